import Type from 'typebox';
import { parseDocument } from './document.ts';
import type { ImportSink } from './report.ts';

const HexList = Type.Record(Type.String(), Type.Array(Type.String()));

/** Keylime's runtime policy, version 1. */
const RuntimePolicy = Type.Object({
  meta: Type.Object({ version: Type.Literal(1) }),
  digests: HexList,
  excludes: Type.Optional(Type.Array(Type.String())),
  keyrings: Type.Optional(HexList),
  ima: Type.Optional(Type.Object({ ignored_keyrings: Type.Optional(Type.Array(Type.String())) })),
  'ima-buf': Type.Optional(HexList),
  'verification-keys': Type.Optional(Type.String()),
});

/** What a runtime policy says besides file digests: for the policy document that takes its place. */
export interface KeylimeRules {
  /** Regular expressions. Ours are anchored globs: those that have no counterpart are for a person to rewrite. */
  readonly excludes: readonly string[];
  readonly keyrings: Readonly<Record<string, readonly string[]>>;
  readonly ignoredKeyrings: readonly string[];
  readonly buffers: Readonly<Record<string, readonly string[]>>;
  /** JSON text with the keys of file signatures, or empty. */
  readonly verificationKeys: string;
}

const NAMES: Readonly<Record<number, string>> = {
  32: 'md5',
  40: 'sha1',
  64: 'sha256',
  96: 'sha384',
  128: 'sha512',
};

/**
 * Takes the digests of a Keylime runtime policy. Their algorithm is told by their length, as Keylime does.
 *
 * @throws {AssayError} `invalid-request` for another format or version
 */
export function importKeylimePolicy(text: string, sink: ImportSink): KeylimeRules {
  const policy = parseDocument(text, RuntimePolicy, 'a Keylime runtime policy of version 1');
  for (const [path, digests] of Object.entries(policy.digests)) {
    if (!path.startsWith('/')) {
      // boot_aggregate is computed from the quoted PCRs, never allowed by a list.
      sink.skip('the name is not a path', path);
      continue;
    }
    sink.addStated(
      path,
      digests.map((hex) => ({ algorithm: NAMES[hex.length] ?? `of ${hex.length} digits`, hex })),
    );
  }
  return {
    excludes: policy.excludes ?? [],
    keyrings: policy.keyrings ?? {},
    ignoredKeyrings: policy.ima?.ignored_keyrings ?? [],
    buffers: policy['ima-buf'] ?? {},
    verificationKeys: policy['verification-keys'] ?? '',
  };
}
