import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable } from '../../../../core/bytes/encoding.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaBuffer } from '../../../../core/ima/buffer.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import { imaKeyOfCertificate } from '../../../../core/ima/key.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { binaryList, bytesOf, digestNg, entryOf, utf8 } from './vectors.ts';

function buffersOf(name: string) {
  const list = parseImaList(binaryList(name));
  return Array.from({ length: list.length }, (_, i) => imaEntry(list, i))
    .filter(({ template }) => template.name === 'ima-buf')
    .map(imaBuffer);
}

function bufferEntry(name: string, value: Uint8Array, algo = 'sha256', measured = value) {
  const digest = new Uint8Array(createHash(algo).update(measured).digest());
  return entryOf('ima-buf', digestNg(algo, digest), utf8(`${name}\0`), value);
}

const contentOf = (name: string, text: string) => imaBuffer(bufferEntry(name, utf8(text)))?.content;

describe('buffers of real boots', () => {
  test('keys, kexec command line and device mapper events, all with the digest that was measured', () => {
    const buffers = buffersOf('ima-custom-policy-mixed');
    expect(buffers.map((buffer) => `${printable(buffer?.name ?? '')} ${buffer?.content.type}`)).toEqual([
      '.builtin_trusted_keys key',
      'lab key',
      'dm_table_load device-mapper',
      'dm_device_resume device-mapper',
      'dm_device_remove device-mapper',
      'kexec-cmdline kexec-cmdline',
    ]);
    expect(buffers.at(-1)?.content).toMatchObject({ text: 'lab=kexec-cmdline-measured' });
  });

  test('a key that was learned is the one of its certificate', () => {
    const content = buffersOf('ima-custom-policy-mixed')[1]?.content;
    if (content?.type !== 'key') return expect.unreachable('it is a key');
    expect(content.keyring).toBe('lab');
    const expected = imaKeyOfCertificate(parseCertificate(bytesOf('keys/ima.der')));
    expect(imaKeyOfCertificate(content.certificate).fingerprint).toBe(expected.fingerprint);
  });

  test('the kernel names its version, and the device mapper its tables', () => {
    const [version, table] = buffersOf('ima-critical-data').map((buffer) => buffer?.content);
    expect(version).toEqual({ type: 'text', name: 'kernel_version', text: '6.1.0-56-cloud-amd64' });
    expect(table).toMatchObject({
      event: 'dm_table_load',
      records: [
        [['dm_version', '4.47.0']],
        [
          ['name', 'labzero'],
          ['uuid', ''],
          ['major', '253'],
          ['minor', '0'],
          ['minor_count', '1'],
          ['num_targets', '1'],
        ],
        [
          ['target_index', '0'],
          ['target_begin', '0'],
          ['target_len', '16'],
        ],
      ],
    });
  });
});

describe('contents', () => {
  test('ima.keys: a buffer that is not the measured one says nothing', () => {
    const certificate = bytesOf('keys/ima.der');
    expect(imaBuffer(bufferEntry('.ima', certificate))?.content.type).toBe('key');
    expect(imaBuffer(bufferEntry('.ima', certificate, 'sha256', utf8('another')))).toBeUndefined();
    expect(imaBuffer(bufferEntry('.ima', certificate, 'md5'))).toBeUndefined();
    const verity = digestNg(
      'verity:sha256',
      new Uint8Array(createHash('sha256').update(certificate).digest()),
    );
    expect(imaBuffer(entryOf('d-ngv2|n-ng|buf', verity, utf8('.ima\0'), certificate))).toBeUndefined();
  });

  test('an entry without a buffer', () => {
    expect(
      imaBuffer(entryOf('ima-ng', digestNg('sha256', new Uint8Array(32)), utf8('/x\0'))),
    ).toBeUndefined();
  });

  test.each(['sha1', 'sha384', 'sha512', 'sha3-256'])('measured with %s', (algo) => {
    expect(imaBuffer(bufferEntry('selinux-state', utf8('initialized=1;'), algo))?.content).toEqual({
      type: 'text',
      name: 'selinux-state',
      text: 'initialized=1;',
    });
  });

  test('the hash of a SELinux policy', () => {
    expect(contentOf('selinux-policy-hash', 'hash')).toMatchObject({ type: 'hash', value: utf8('hash') });
  });

  test('what is no certificate in a keyring, and names that are not known', () => {
    expect(contentOf('.ima', 'not a certificate')).toEqual({ type: 'bytes' });
    expect(contentOf('something-new', 'text')).toEqual({ type: 'bytes' });
  });

  test('separators in names of devices are escaped', () => {
    expect(contentOf('dm_table_load', 'name=a\\,b\\;c\\=d\\\\,uuid=x=y;;')).toMatchObject({
      records: [
        [
          ['name', 'a,b;c=d\\'],
          ['uuid', 'x=y'],
        ],
      ],
    });
  });

  test('an event of the device mapper has a limit', () => {
    expect(contentOf('dm_table_load', 'a=b,'.repeat(4096))).toMatchObject({ type: 'device-mapper' });
    expect(contentOf('dm_table_load', 'a=b,'.repeat(4097))).toEqual({ type: 'bytes' });
  });

  test('any value under any name is some content', () => {
    const name = fc.constantFrom(
      '.ima',
      'dm_table_load',
      'kexec-cmdline',
      'kernel_version',
      'selinux-policy-hash',
      'x',
    );
    fc.assert(
      fc.property(name, fc.uint8Array({ maxLength: 200 }), (of, value) => {
        expect(imaBuffer(bufferEntry(of, value))?.value).toEqual(value);
      }),
    );
  });
});
