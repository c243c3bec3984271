import Type, { type Static } from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../core/duration.ts';
import { AssayError } from '../core/errors.ts';
import { GroupName } from '../core/messages/common.ts';
import { parseListen } from '../platform/config.ts';
import type { KeyMode } from '../platform/database/schema.ts';

const Duration = Type.String({ pattern: DURATION_PATTERN });
const closed = { additionalProperties: false } as const;

const GroupSection = Type.Object(
  {
    ttl: Type.Optional(Duration),
    'key-modes': Type.Optional(
      Type.Array(Type.Enum(['tpm', 'delivered']), { minItems: 1, uniqueItems: true }),
    ),
  },
  closed,
);

/** The section `issuer` of assay.yaml. */
export const IssuerSection = Type.Object(
  {
    listen: Type.String(),
    url: Type.String({ pattern: '^https://[^\\s/]+$' }),
    groups: Type.Record(GroupName, GroupSection, { ...closed, minProperties: 1 }),
    crl: Type.Optional(
      Type.Object(
        {
          interval: Type.Optional(Duration),
          lifetime: Type.Optional(Duration),
          directory: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        },
        closed,
      ),
    ),
    bans: Type.Optional(Type.Object({ interval: Type.Optional(Duration) }, closed)),
  },
  closed,
);
export type IssuerSection = Static<typeof IssuerSection>;

/** What nodes of a group get. */
export interface GroupPolicy {
  readonly ttlMs: number;
  readonly keyModes: readonly KeyMode[];
}

export interface IssuerConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly url: string;
  readonly groups: ReadonlyMap<string, GroupPolicy>;
  readonly crl: {
    readonly intervalMs: number;
    readonly lifetimeMs: number;
    /** Where CRLs are also written as files. */
    readonly directory: string | undefined;
  };
  readonly bans: { readonly intervalMs: number };
}

const SHORTEST_TTL_MS = 60_000;
const LONGEST_TTL_MS = 24 * 3_600_000;

/** The section with its defaults and with numbers for texts. @throws {AssayError} `invalid-config` */
export function resolveIssuerConfig(section: IssuerSection): IssuerConfig {
  const groups = Object.entries(section.groups).map(
    ([name, group]) => [name, policyOf(name, group)] as const,
  );
  const intervalMs = parseDuration(section.crl?.interval ?? '1m');
  const lifetimeMs = parseDuration(section.crl?.lifetime ?? '1h');
  if (intervalMs < 1000 || lifetimeMs < 2 * intervalMs) {
    throw new AssayError(
      'invalid-config',
      'issuer.crl: the interval is at least 1s, and the lifetime at least two intervals, so that a late CRL is not an expired one',
    );
  }
  return {
    listen: parseListen(section.listen),
    url: section.url,
    groups: new Map(groups),
    crl: { intervalMs, lifetimeMs, directory: section.crl?.directory ?? undefined },
    bans: { intervalMs: parseDuration(section.bans?.interval ?? '1m') },
  };
}

function policyOf(name: string, section: Static<typeof GroupSection>): GroupPolicy {
  const ttlMs = parseDuration(section.ttl ?? '10m');
  if (ttlMs < SHORTEST_TTL_MS || ttlMs > LONGEST_TTL_MS) {
    throw new AssayError(
      'invalid-config',
      `issuer.groups.${name}.ttl: ${section.ttl} is not between 1m and 1d`,
    );
  }
  return { ttlMs, keyModes: section['key-modes'] ?? ['tpm'] };
}
