import type { Finding } from '../../core/finding.ts';
import type { BootPolicy } from './boot-rules.ts';
import { isAllowed } from './digests.ts';
import { bootFinding, eventFinding, SECURE_BOOT } from './finding.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';
import type { SecureBootState } from './secure-boot.ts';
import { splitEvents } from './separators.ts';

const PCR = 4;

// What firmware says while it looks for something to boot (PC Client Platform Firmware Profile, 3.3.4.5 and 10.4.1).
// "BOOT ATTEMPTS OMITTED" is not among them: images ran that were not measured.
const STEPS = new Set([
  'Calling EFI Application from Boot Option',
  'Returning from EFI Application from Boot Option',
  'Entering ROM Based Setup',
  'Calling INT 19h',
  'Returned INT 19h',
  'Return via INT 18h',
]);

/** What ran between firmware and operating system: everything in PCR 4 that is no separator and no step of the firmware. */
export function bootApplications(boot: MeasuredBoot): readonly MeasuredEvent[] {
  const { before, after } = splitEvents(boot, PCR);
  return [...before, ...after].filter(
    ({ content }) => !(content.kind === 'text' && content.verified && STEPS.has(content.proven.text)),
  );
}

export function evaluateApplications(
  { applications: rule }: BootPolicy,
  boot: MeasuredBoot,
  secureBoot: SecureBootState,
): Finding[] {
  const status = boot.explained.get(PCR)?.status;
  if (rule === 'any' || status === undefined || status === 'unexplained') return [];
  const images = bootApplications(boot);
  if (images.length === 0) {
    return [bootFinding('boot.application', PCR, 'PCR 4 names no image: what was booted was not measured')];
  }
  if (rule === 'signed') return evaluateSigned(secureBoot);
  return images
    .filter(({ digest }) => !isAllowed(rule, 'image', digest, boot.bank))
    .map((event) =>
      eventFinding(
        'boot.application',
        PCR,
        event,
        `ran an image that the policy does not know: ${event.digest}`,
        {
          found: event.digest,
          remedy:
            'when it is of an update, add its Authenticode digest to boot.applications or import its package; when not, boot the node from media that you trust',
        },
      ),
    );
}

function evaluateSigned({ enabled, authorities }: SecureBootState): Finding[] {
  if (enabled === true && authorities.some(({ signature }) => signature.type !== 'unknown')) return [];
  const why =
    enabled === true ? 'nothing vouched for the images that ran' : 'Secure Boot checked no signature';
  const message = `the policy wants signed images, and ${why}`;
  return [bootFinding('boot.application', PCR, message, { remedy: SECURE_BOOT })];
}
