import type { Finding } from '../../core/finding.ts';
import type { BootPolicy } from './boot-rules.ts';
import { isAllowed } from './digests.ts';
import { eventFinding } from './finding.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';

const FILES_PCR = 9;
const SECTIONS_PCR = 11;
const OVERRIDE_PCRS = [12, 13];
const NAMED = 3;

/** Kernel, initrd and configuration in PCR 9. Of a stub the first event is the command line, which has its own rule. */
export function evaluateFiles({ files: rule, profile }: BootPolicy, boot: MeasuredBoot): Finding[] {
  if (rule === 'any' || profile === 'bios') return [];
  const events = boot.events(FILES_PCR);
  // A loader or a kernel that measures nothing there would load any file.
  if (events.length === 0 && boot.explained.get(FILES_PCR)?.status !== 'unexplained') return [NO_FILES];
  return (profile === 'shim-grub' ? events : events.slice(1))
    .filter(({ digest }) => !isAllowed(rule, 'file', digest, boot.bank))
    .map((event) =>
      eventFinding(
        'boot.file',
        FILES_PCR,
        event,
        `is a file that the policy does not know: ${event.digest}`,
        {
          found: event.digest,
          remedy: 'when it is of an update, add its digest to boot.files; when not, find out who changed it',
        },
      ),
    );
}

const NO_FILES: Finding = {
  rule: 'boot.file',
  pcr: FILES_PCR,
  message: 'PCR 9 names no file: kernel and initrd were not measured',
};

/** A section of a unified kernel image. */
export interface Section {
  readonly name: string;
  readonly event: MeasuredEvent;
}

/** Sections in PCR 11: a name, which is proven, and then the content. What userspace measures comes behind them. */
export function imageSections(boot: MeasuredBoot): {
  readonly sections: readonly Section[];
  readonly rest: readonly MeasuredEvent[];
} {
  const events = boot.events(SECTIONS_PCR);
  const sections: Section[] = [];
  let at = 0;
  for (; at + 1 < events.length; at += 2) {
    const [name, event] = [events[at]?.content, events[at + 1]];
    if (name?.kind !== 'section' || !event) break;
    sections.push({ name: name.proven.name, event });
  }
  return { sections, rest: events.slice(at) };
}

const NO_IMAGE: Finding = {
  rule: 'boot.section',
  pcr: SECTIONS_PCR,
  message:
    'no section of a unified kernel image was measured: the machine booted another way than profile uki',
};

/** Sections of a unified kernel image, the phases of userspace, and what came to the image from outside. */
export function evaluateImage(
  { profile, sections: rules, overrides }: BootPolicy,
  boot: MeasuredBoot,
): Finding[] {
  if (profile !== 'uki') return [];
  const { sections, rest } = imageSections(boot);
  return [
    ...(sections.length > 0 || boot.explained.get(SECTIONS_PCR)?.status === 'unexplained' ? [] : [NO_IMAGE]),
    ...sections
      .filter(({ name, event }) => rules.get(name)?.has(event.digest) === false)
      .map(({ name, event }) =>
        eventFinding(
          'boot.section',
          SECTIONS_PCR,
          event,
          `is another section ${name} than the policy knows: ${event.digest}`,
          {
            found: event.digest,
            expected: [...(rules.get(name) ?? [])].slice(0, NAMED),
            remedy: `when the image is of an update, add the digest to boot.sections.${name}`,
          },
        ),
      ),
    ...[...rules.keys()]
      .filter((name) => sections.length > 0 && !sections.some((one) => one.name === name))
      .map((name) => ({
        rule: 'boot.section',
        pcr: SECTIONS_PCR,
        message: `the image measured no section ${name}, and the policy has a rule for it`,
      })),
    ...rest
      .filter(isStrange)
      .map((event) => eventFinding('log.payload', SECTIONS_PCR, event, 'is no section and no phase')),
    ...(overrides === 'any' ? [] : evaluateOverrides(boot)),
  ];
}

function isStrange({ content }: MeasuredEvent): boolean {
  return !(content.kind === 'text' && content.verified);
}

// A command line is proven text and has its own rule; credentials, add-ons and extensions are digests of files.
function evaluateOverrides(boot: MeasuredBoot): Finding[] {
  return OVERRIDE_PCRS.flatMap((pcr) =>
    boot
      .events(pcr)
      .filter(isStrange)
      .map((event) =>
        eventFinding(
          'boot.override',
          pcr,
          event,
          'came to the unified kernel image from outside: an add-on, a credential or an extension',
          { remedy: 'take it away from the ESP, or set boot.overrides to any' },
        ),
      ),
  );
}
