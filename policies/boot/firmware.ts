import type { Finding } from '../../core/finding.ts';
import type { BootPolicy } from './boot-rules.ts';
import { isAllowed } from './digests.ts';
import { bootFinding, eventFinding, quoted } from './finding.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';
import { splitEvents } from './separators.ts';

const FIRMWARE_PCR = 0;
const OPTION_ROM_PCR = 2;

/** Firmware code and version (PCR 0), and code of devices (PCR 2). */
export function evaluateFirmware(policy: BootPolicy, boot: MeasuredBoot): Finding[] {
  return [...evaluateCode(policy, boot), ...evaluateOptionRoms(policy, boot), ...nothingLate(boot)];
}

/** What the firmware says of its version, where it does: the text that PCR 0 proves. */
export function firmwareVersions(boot: MeasuredBoot): string[] {
  return splitEvents(boot, FIRMWARE_PCR).before.flatMap((event) => versionOf(event) || []);
}

function versionOf({ content }: MeasuredEvent): string | undefined {
  if (content.kind === 'text' && content.verified) return content.proven.text;
  if (content.kind !== 'bytes' || !content.verified) return undefined;
  const bytes = Buffer.from(content.proven.data);
  if (bytes.length === 0 || bytes.length > 512) return undefined;
  const wide = bytes.length % 2 === 0 && bytes.every((byte, i) => i % 2 === 0 || byte === 0);
  return bytes.toString(wide ? 'utf16le' : 'latin1').replace(/\0+$/, '');
}

function evaluateCode({ firmware, firmwareVersions: wanted }: BootPolicy, boot: MeasuredBoot): Finding[] {
  const findings = splitEvents(boot, FIRMWARE_PCR)
    .before.filter((event) => versionOf(event) === undefined && event.content.kind !== 'separator')
    .filter(({ digest }) => !isAllowed(firmware, 'file', digest, boot.bank))
    .map((event) =>
      eventFinding(
        'boot.firmware',
        FIRMWARE_PCR,
        event,
        `is not firmware that the policy knows: ${event.digest}`,
        { found: event.digest, remedy: "compare it with the vendor's values, and add it to boot.firmware" },
      ),
    );
  const versions = firmwareVersions(boot);
  const explained = boot.explained.get(FIRMWARE_PCR)?.status === 'replays';
  if (wanted.length > 0 && explained && !versions.some((version) => wanted.includes(version))) {
    const found = versions.map(quoted).join(', ') || 'none';
    const message = `firmware version is ${found}, the policy wants ${wanted.map(quoted).join(' or ')}`;
    const remedy = 'update the firmware, or add its version to boot.firmware.versions';
    findings.push(bootFinding('boot.firmware', FIRMWARE_PCR, message, { found, expected: wanted, remedy }));
  }
  return findings;
}

function evaluateOptionRoms({ optionRoms }: BootPolicy, boot: MeasuredBoot): Finding[] {
  const { before, after } = splitEvents(boot, OPTION_ROM_PCR);
  return [...before, ...after]
    .filter(({ content }) => !(content.kind === 'text' && content.verified))
    .filter(({ digest }) => !isAllowed(optionRoms, 'image', digest, boot.bank))
    .map((event) =>
      eventFinding(
        'boot.option-rom',
        OPTION_ROM_PCR,
        event,
        `is code of a device that the policy does not know: ${event.digest}`,
        { found: event.digest, remedy: 'add it to boot.option-roms, or say any there' },
      ),
    );
}

// After its separator the firmware has no more code of its own to measure: what comes is of somebody else.
function nothingLate(boot: MeasuredBoot): Finding[] {
  return splitEvents(boot, FIRMWARE_PCR).after.map((event) =>
    eventFinding('log.event', FIRMWARE_PCR, event, 'was measured after the firmware had ended its part'),
  );
}
