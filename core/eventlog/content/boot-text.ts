import { concat } from '../../bytes/writer.ts';
import { byteText, looksUtf16, utf16Text, withoutNul } from '../efi/text.ts';
import type { Coverage } from './coverage.ts';
import type { EventContent } from './types.ts';

// What GRUB puts before a text, and leaves out of its digest; the last two are of RHEL 8.
const LABELS: ReadonlyMap<string, string> = new Map([
  ['grub_cmd: ', 'grub_cmd'],
  ['kernel_cmdline: ', 'kernel_cmdline'],
  ['module_cmdline: ', 'module_cmdline'],
  ['grub_cmd ', 'grub_cmd'],
  ['grub_kernel_cmdline ', 'kernel_cmdline'],
]);

/**
 * EV_IPL: text of GRUB (a labelled command, or the path of a file whose content the digest is of), shim (the name of a
 * list), systemd-boot and systemd-stub (a command line, or the name of a section twice: first for itself, then for the
 * content).
 */
export function iplContent(coverage: Coverage): EventContent {
  const { data } = coverage.event;
  if (looksUtf16(data)) return utf16Content(coverage);
  const cut = cutUtf16Content(coverage);
  if (cut !== undefined) return cut;
  const found = [...LABELS].find(([prefix]) => startsWith(data, prefix));
  return found === undefined ? plainContent(coverage, 'external') : labelled(coverage, ...found);
}

/** A text whose digest may be of all of it, with or without the NUL at its end; else of what `expected` says. */
export function plainContent(coverage: Coverage, expected: 'external' | 'data'): EventContent {
  const text = byteText(coverage.event.data);
  const covers = coverage.rule('data', 'data-without-nul');
  const claim = { label: '', encoding: 'utf-8' } as const;
  if (covers !== undefined) {
    return { kind: 'text', verified: true, covers, proven: { text }, unverified: claim };
  }
  return { kind: 'text', ...coverage.unverified(expected), unverified: { text, ...claim } };
}

/** The digest is of the text; of commands of RHEL 8, with the NUL at its end. */
function labelled(coverage: Coverage, prefix: string, label: string): EventContent {
  const whole = coverage.event.data.subarray(prefix.length);
  const body = withoutNul(whole);
  const text = byteText(body);
  const claim = { label, encoding: 'utf-8' } as const;
  if (coverage.of(body) || coverage.of(whole)) {
    return { kind: 'text', verified: true, covers: 'text', proven: { text }, unverified: claim };
  }
  return { kind: 'text', ...coverage.unverified('text'), unverified: { text, ...claim } };
}

function utf16Content(coverage: Coverage): EventContent {
  const { data } = coverage.event;
  const text = utf16Text(data);
  const claim = { label: '', encoding: 'utf-16' } as const;
  const bare = text.length * 2 < data.length ? data.subarray(0, text.length * 2) : undefined;
  if (coverage.of(data)) {
    return { kind: 'text', verified: true, covers: 'data', proven: { text }, unverified: claim };
  }
  if (bare !== undefined && coverage.of(bare)) {
    return { kind: 'text', verified: true, covers: 'data-without-nul', proven: { text }, unverified: claim };
  }
  const name = sectionName(text);
  if (name !== undefined && coverage.of(name)) {
    const proven = { name: text };
    return { kind: 'section', verified: true, covers: 'section-name', proven, unverified: undefined };
  }
  return { kind: 'text', ...coverage.unverified('external'), unverified: { text, ...claim } };
}

/** Old systemd-boot leaves the last byte of the NUL out of the log, not out of what it measures. */
function cutUtf16Content(coverage: Coverage): EventContent | undefined {
  const { data } = coverage.event;
  if (data.length % 2 === 0 || data.at(-1) !== 0) return undefined;
  const whole = concat(data, Uint8Array.of(0));
  if (!looksUtf16(whole) || !coverage.of(whole)) return undefined;
  const claim = { label: '', encoding: 'utf-16' } as const;
  return {
    kind: 'text',
    verified: true,
    covers: 'text',
    proven: { text: utf16Text(whole) },
    unverified: claim,
  };
}

/** A section's name as systemd-stub measures it: ASCII, with its NUL. */
function sectionName(text: string): Uint8Array | undefined {
  return /^\.[a-z0-9_]{1,31}$/.test(text) ? new Uint8Array(Buffer.from(`${text}\0`, 'latin1')) : undefined;
}

function startsWith(data: Uint8Array, prefix: string): boolean {
  if (data.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (data[i] !== prefix.charCodeAt(i)) return false;
  return true;
}
