import { createPublicKey } from 'node:crypto';
import type { DocumentSource } from '../../core/document.ts';
import { type ErrorDetail, ParseError } from '../../core/errors.ts';
import { type ImaKey, imaKey, imaKeyOfCertificate } from '../../core/ima/key.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';
import { DigestSetBuilder } from '../digests/build.ts';
import { FILE_DIGESTS, type FileDigestName } from '../digests/digest-entry.ts';
import { DigestSet } from '../digests/digest-set.ts';
import type { ImaRules } from '../ima-policy.ts';
import { compileGlob, type PathGlob } from '../path-glob.ts';
import type { PolicyDocument } from './schema.ts';

type ImaSection = NonNullable<PolicyDocument['ima']>;
type Path = readonly (string | number)[];

/** Compiles the section `ima`; what the schema could not see becomes a problem with its place. */
export function compileIma(section: ImaSection, source: DocumentSource, problems: ErrorDetail[]): ImaRules {
  const tell = (path: Path, problem: string) => problems.push(source.locate(['ima', ...path], problem));
  const attempt = <T>(path: Path, work: () => T): T[] => {
    try {
      return [work()];
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof ParseError)) throw error;
      tell(path, error.message);
      return [];
    }
  };
  const globs = (texts: readonly string[], path: Path): PathGlob[] =>
    texts.flatMap((text, index) => attempt([...path, index], () => compileGlob(text)));
  const { allow = [], files, match = 'path', exclude = [], violations, keys = [], buffers = {} } = section;
  const { keyrings = {}, 'measured-policy': measuredPolicy = {} } = section;
  const kexec = section.kexec === 'allow';
  if (new Set(keys.map(({ id }) => id)).size < keys.length) tell(['keys'], 'two keys have one id');
  const signers = keys.length + Object.values(keyrings).filter(({ paths = [] }) => paths.length > 0).length;
  if (allow.length === 0 && !files && signers === 0) {
    tell([], 'allows no file: name digest sets in allow, files in files, keys, or paths of keyrings');
  }
  for (const name of Object.keys(keyrings).filter((one) => Object.hasOwn(buffers, one)))
    tell(['keyrings', name], 'is named in buffers too: say in one place what may come into it');
  // What must be measured may be there.
  const own = [files ?? {}, measuredPolicy];
  return {
    allow,
    files: own.some((one) => Object.keys(one).length > 0) ? compileFiles(own) : undefined,
    anyPath: match === 'anywhere',
    kexec,
    exclude: globs(exclude, ['exclude']),
    acceptedViolations: globs(violations?.accept ?? [], ['violations', 'accept']),
    keys: keys.flatMap(({ id, key, paths }, index) =>
      attempt(['keys', index, 'key'], () => readKey(key)).map((one) => ({
        id,
        key: one,
        paths: globs(paths, ['keys', index, 'paths']),
      })),
    ),
    buffers: new Map(
      Object.entries(buffers).map(([name, digests]) => [
        name,
        digests === 'any' ? digests : new Set(digests),
      ]),
    ),
    keyrings: new Map(
      Object.entries(keyrings).map(([name, { keys: accepted, paths = [] }]) => [
        name,
        {
          keys: accepted === 'any' ? accepted : new Set(accepted),
          paths: globs(paths, ['keyrings', name, 'paths']),
        },
      ]),
    ),
    measuredPolicy: new Map(
      Object.entries(measuredPolicy).map(([path, digests]) => [path, new Set(digests)]),
    ),
  };
}

function compileFiles(files: readonly NonNullable<ImaSection['files']>[]): DigestSet {
  const builder = new DigestSetBuilder();
  for (const [path, digests] of files.flatMap(Object.entries<readonly string[]>)) {
    for (const hex of digests) {
      const digest = Uint8Array.from(Buffer.from(hex, 'hex'));
      builder.add({ path: Uint8Array.from(Buffer.from(path)), algorithm: algorithmOf(digest), digest });
    }
  }
  return DigestSet.parse(builder.build());
}

function algorithmOf({ length }: Uint8Array): FileDigestName {
  if (length === FILE_DIGESTS.sha384) return 'sha384';
  return length === FILE_DIGESTS.sha512 ? 'sha512' : 'sha256';
}

function readKey(pem: string): ImaKey {
  if (/-----BEGIN PUBLIC KEY-----/.test(pem)) {
    try {
      return imaKey(createPublicKey(pem));
    } catch (error) {
      if (error instanceof RangeError) throw error;
      throw new RangeError('is no public key that can be read');
    }
  }
  const [der, ...more] = parsePemBundle(pem);
  if (!der || more.length > 0) throw new RangeError('must hold one certificate or one public key');
  return imaKeyOfCertificate(parseCertificate(der));
}
