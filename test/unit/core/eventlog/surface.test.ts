import { expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import {
  authorityValue,
  EV,
  EVENT_TAG,
  eventContent,
  eventDigest,
  explainPcrs,
  filePathOf,
  type LogEvent,
  loadOptionsDigest,
  parseCelLog,
  parseDevicePath,
  parseEventLog,
  recordContent,
  registerName,
  renderDevicePath,
  replayEventLog,
  replayLogs,
  signatureCertificate,
  tdxRegisterOf,
  VENDOR,
  variableValue,
  windowsEvents,
} from '../../../../core/eventlog/index.ts';
import { logBytes, pcrsOf } from './vectors.ts';

const BANK = 'sha256';

/** What a verifier concludes from a log: a line for each thing that is proven, or counts by its digest. */
function facts(event: LogEvent): readonly string[] {
  const content = eventContent(event, BANK);
  const digest = toHex(eventDigest(event, BANK) ?? new Uint8Array()).slice(0, 8);
  if (content.kind === 'image') {
    const path = parseDevicePath(content.unverified.devicePath);
    return [
      `image ${digest}, said to be ${filePathOf(path) ?? renderDevicePath(content.unverified.devicePath)}`,
    ];
  }
  if (!content.verified) return [];
  switch (content.kind) {
    case 'variable': {
      const { unicodeName, variableName } = content.proven;
      const value = variableValue(content.proven);
      if (value.type === 'boolean') return [`${unicodeName} is ${value.value}`];
      if (value.type !== 'signature-lists' || variableName !== VENDOR.SECURITY_DATABASE) return [];
      return value.signatures.map((signature) =>
        signature.type === 'x509'
          ? `${unicodeName} has ${signatureCertificate(signature).subject.text}`
          : `${unicodeName} has a digest`,
      );
    }
    case 'authority': {
      const value = authorityValue(content.proven);
      return value.type === 'sbat' ? value.entries.map((one) => `${one.component} ${one.generation}`) : [];
    }
    case 'text':
      return event.pcr === 12 ? [`command line ${content.proven.text.slice(0, 13)}`] : [];
    case 'section':
      return [`section ${content.proven.name}`];
    case 'tags':
      return windowsEvents(content.proven).map(({ name }) => name);
    default:
      return [];
  }
}

test('a boot with a unified kernel image: what its log proves', () => {
  const log = parseEventLog(logBytes('uki-clean'));
  const values = pcrsOf('uki-clean').get(BANK) ?? new Map();
  const replays = explainPcrs(replayEventLog(log), BANK, values).filter(({ status }) => status === 'replays');
  expect(replays.map(({ pcr }) => registerName(log.registers, pcr))).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 12].map((pcr) => `PCR ${pcr}`),
  );
  expect(log.events.flatMap(facts)).toEqual([
    'SecureBoot is true',
    expect.stringMatching(/^db has /),
    'dbx has a digest',
    expect.stringMatching(/^image 9bf2519c, said to be \\EFI\\BOOT\\BOOTX64.EFI$/),
    expect.stringMatching(/^image e1e8323e, said to be \\EFI\\Linux\\lab.efi$/),
    'command line console=ttyS0',
    'section .linux',
    'section .osrel',
    'section .cmdline',
    'section .initrd',
  ]);
});

test('a boot without a loader: the command line is proven by what Linux measured of it', () => {
  const { events } = parseEventLog(logBytes('direct-clean-1'));
  const event = events.find(({ type, data }) => {
    const id = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
    return type === EV.EVENT_TAG && id === EVENT_TAG.LINUX_LOAD_OPTIONS;
  });
  const base =
    'console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ima_policy=tcb ima_hash=sha256 ima_template=ima-ng';
  const measured = event && eventDigest(event, BANK);
  expect(loadOptionsDigest(`${base} initrd=initrd`, BANK)).toEqual(measured);
  expect(loadOptionsDigest(base, BANK)).not.toEqual(measured);
});

test('an empty log of userspace changes nothing', () => {
  const firmware = parseEventLog(logBytes('bios-seabios'));
  const userspace = parseCelLog(new Uint8Array());
  expect(replayLogs(firmware, userspace).values).toEqual(replayEventLog(firmware).values);
  expect(userspace.records.map((record) => recordContent(record, BANK))).toEqual([]);
  expect(tdxRegisterOf(7)).toBe(1);
});
