import { printable, toHex } from '../../core/bytes/encoding.ts';
import { loadOptionsDigest } from '../../core/eventlog/index.ts';
import type { Finding } from '../../core/finding.ts';
import type { BootPolicy, CommandLineRule } from './boot-rules.ts';
import { bootFinding, eventFinding, quoted } from './finding.ts';
import { kernelWords } from './kernel-words.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';

const GRUB_TEXT_PCR = 8;
const STUB_PCR = 9;
const STUB_TEXT_PCR = 12;
const RULE = 'boot.command-line';

/** A command line that is proven, and the event that proves it. */
export interface CommandLine {
  readonly pcr: number;
  readonly event: MeasuredEvent;
  /** `undefined` where only the digest of it is known. */
  readonly text: string | undefined;
}

// A command that loads a kernel, and what GRUB measures when it does: the path of the kernel and the rest.
const LOADED = /^(?:(?:linux|linuxefi|linux16|kernel)\s+)?[(/]\S*\s*(.*)$/s;

/** Command lines of kernels that were started, as far as the boot's profile says where they are measured. */
export function commandLines(
  profile: BootPolicy['profile'],
  boot: MeasuredBoot,
  known: readonly string[],
): CommandLine[] {
  if (profile === 'bios') return [];
  return profile === 'shim-grub' ? grubCommandLines(boot) : stubCommandLine(boot, known);
}

function grubCommandLines(boot: MeasuredBoot): CommandLine[] {
  return boot.events(GRUB_TEXT_PCR).flatMap((event) => {
    const { content } = event;
    if (content.kind !== 'text' || !content.verified) return [];
    const found = LOADED.exec(content.proven.text);
    return found ? [{ pcr: GRUB_TEXT_PCR, event, text: found[1]?.trim() ?? '' }] : [];
  });
}

// Linux' stub measures its command line before anything else; the event names it and holds a digest.
function stubCommandLine(boot: MeasuredBoot, known: readonly string[]): CommandLine[] {
  const [event] = boot.events(STUB_PCR);
  if (!event) return [];
  const texts = [...known, ...boot.events(STUB_TEXT_PCR).flatMap(textOf)];
  const text = texts.find((one) => toHex(loadOptionsDigest(one, boot.bank)) === event.digest);
  return [{ pcr: STUB_PCR, event, text }];
}

function textOf({ content }: MeasuredEvent): string[] {
  return content.kind === 'text' && content.verified ? [content.proven.text] : [];
}

export function evaluateCommandLine(
  { profile, commandLine: rule }: BootPolicy,
  boot: MeasuredBoot,
): Finding[] {
  if (profile === 'bios') return [];
  const unproven = profile === 'shim-grub' ? unprovenTexts(boot) : [];
  if (rule === 'any') return unproven;
  const pcr = profile === 'shim-grub' ? GRUB_TEXT_PCR : STUB_PCR;
  if (boot.explained.get(pcr)?.status === 'unexplained') return unproven;
  const lines = commandLines(profile, boot, rule.anyOf);
  if (lines.length === 0)
    return [
      ...unproven,
      bootFinding(RULE, pcr, `PCR ${pcr} has no command line of a kernel: it was not measured`),
    ];
  return [...unproven, ...lines.flatMap((line) => evaluateLine(rule, line))];
}

function evaluateLine(
  { anyOf, require, forbid }: CommandLineRule,
  { pcr, event, text }: CommandLine,
): Finding[] {
  const tell = (problem: string, remedy: string, found = text) =>
    eventFinding(RULE, pcr, event, problem, {
      ...(found === undefined ? {} : { found: printable(found) }),
      remedy,
    });
  if (text === undefined)
    return [
      tell(
        'is a command line that the policy does not know',
        'only its digest was measured: name the command line whole in boot.command-line.any-of',
      ),
    ];
  if (anyOf.length > 0 && !anyOf.includes(text))
    return [
      tell(
        `starts a kernel with ${quoted(text)}, which boot.command-line.any-of does not name`,
        'add it there, or start the kernel as the policy wants it',
      ),
    ];
  const { parameters, any } = kernelWords(text);
  return [
    ...require
      .filter((glob) => !parameters.some((word) => glob.matches(word)))
      .map((glob) =>
        tell(
          `starts a kernel without ${quoted(glob.text)}, which the policy requires`,
          'add it to the command line, and reboot',
        ),
      ),
    ...forbid.flatMap((glob) => {
      const word = any.find((one) => glob.matches(one));
      return word === undefined
        ? []
        : [
            tell(
              `starts a kernel with ${quoted(word)}, which the policy forbids (${glob.text})`,
              'take it from the command line, and reboot',
              word,
            ),
          ];
    }),
  ];
}

/** GRUB measures all its commands as text; where a text is not what was measured, it may be any. */
function unprovenTexts(boot: MeasuredBoot): Finding[] {
  return boot
    .events(GRUB_TEXT_PCR)
    .filter(({ content }) => !(content.kind === 'text' && content.verified))
    .map((event) =>
      eventFinding(
        'log.payload',
        GRUB_TEXT_PCR,
        event,
        'is not the text of a command: the digest is of something else',
      ),
    );
}
