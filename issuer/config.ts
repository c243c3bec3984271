import Type, { type Static } from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../core/duration.ts';
import { AssayError } from '../core/errors.ts';
import { GroupName } from '../core/messages/common.ts';
import { parseListen } from '../platform/config.ts';
import type { KeyMode } from '../platform/database/schema.ts';
import { SvidSection } from '../platform/spiffe/config.ts';

const Duration = Type.String({ pattern: DURATION_PATTERN });
const closed = { additionalProperties: false } as const;

const GroupSection = Type.Object(
  {
    ttl: Type.Optional(Duration),
    'full-tier-ca': Type.Optional(
      Type.Boolean({ description: 'Nodes of the full tier get their certificates from a CA of their own' }),
    ),
    'key-modes': Type.Optional(
      Type.Array(Type.Enum(['tpm', 'delivered']), { minItems: 1, uniqueItems: true }),
    ),
  },
  closed,
);

const SpireSection = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$' }),
    'trust-domain': Type.Optional(Type.String()),
    socket: Type.Optional(Type.String({ minLength: 1 })),
    address: Type.Optional(Type.String({ pattern: '^[^\\s/]+:[0-9]{1,5}$' })),
    svid: Type.Optional(SvidSection),
    groups: Type.Optional(Type.Array(GroupName, { minItems: 1, uniqueItems: true })),
    'default-x509-svid-ttl': Type.Optional(Duration),
    'agent-ttl': Type.Optional(Duration),
    watch: Type.Optional(Duration),
    clones: Type.Optional(Type.Enum(['report', 'ban'])),
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
    revocation: Type.Optional(
      Type.Object(
        {
          listen: Type.String({
            description: 'Plain HTTP with CRLs and OCSP alone: what is signed needs no TLS',
          }),
          url: Type.Optional(
            Type.String({
              pattern: '^http://[^\\s?#]+[^\\s?#/]$',
              description: 'How relying parties reach it; stands in the certificates then',
            }),
          ),
        },
        closed,
      ),
    ),
    bans: Type.Optional(
      Type.Object({ interval: Type.Optional(Duration), confirm: Type.Optional(Duration) }, closed),
    ),
    spire: Type.Optional(Type.Array(SpireSection, { maxItems: 100 })),
  },
  closed,
);
export type IssuerSection = Static<typeof IssuerSection>;

/** What nodes of a group get. */
export interface GroupPolicy {
  readonly ttlMs: number;
  readonly keyModes: readonly KeyMode[];
  /** Nodes of the full tier get their certificates from a CA of their own: SPIRE's selectors can tell them apart. */
  readonly fullTierCa: boolean;
}

/** A SPIRE server. */
export interface SpireConfig {
  readonly name: string;
  /** Absent: the installation's. */
  readonly trustDomain: string | undefined;
  readonly at: { readonly socket: string } | { readonly address: string; readonly svid: SvidSection };
  /** Whose nodes attest there; absent: all. */
  readonly groups: ReadonlySet<string> | undefined;
  readonly lifetimes: SpireLifetimes;
  /** How often its agents are looked at. */
  readonly watchMs: number;
  /** What becomes of a node whose agent looks cloned. */
  readonly clones: 'report' | 'ban';
}

/** Lifetimes that the server's configuration gives and its API does not tell, in seconds. */
export interface SpireLifetimes {
  /** `default_x509_svid_ttl`. */
  readonly workloadSeconds: number;
  /** `agent_ttl`. */
  readonly agentSeconds: number;
}

export interface RevocationPlace {
  readonly listen: { readonly host: string; readonly port: number };
  /** Without a slash at its end; absent: certificates do not say where their status can be asked. */
  readonly url: string | undefined;
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
  /** A plain HTTP listener for CRLs and OCSP alone. */
  readonly revocation: RevocationPlace | undefined;
  readonly bans: {
    readonly intervalMs: number;
    /** How often a ban that was reached is applied again: SPIRE forgets. */
    readonly confirmMs: number;
  };
  /** Where nodes are banned; empty: bans are recorded as wanted. */
  readonly spire: readonly SpireConfig[];
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
    revocation: section.revocation && {
      listen: parseListen(section.revocation.listen),
      url: section.revocation.url,
    },
    bans: {
      intervalMs: parseDuration(section.bans?.interval ?? '1m'),
      confirmMs: parseDuration(section.bans?.confirm ?? '15s'),
    },
    spire: spireServers(section),
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
  return {
    ttlMs,
    keyModes: section['key-modes'] ?? ['tpm'],
    fullTierCa: section['full-tier-ca'] ?? false,
  };
}

function spireServers({ spire = [], groups: known }: IssuerSection): SpireConfig[] {
  const refuse = (name: string, problem: string) =>
    new AssayError('invalid-config', `issuer.spire ${name}: ${problem}`);
  if (new Set(spire.map(({ name }) => name)).size < spire.length)
    throw new AssayError('invalid-config', 'issuer.spire: two servers have one name');
  return spire.map((one) => {
    const { name, socket, address, svid, groups, 'trust-domain': trustDomain } = one;
    const unknown = groups?.find((group) => known[group] === undefined);
    if (unknown !== undefined) throw refuse(name, `there is no group ${unknown} in issuer.groups`);
    const common = { name, trustDomain, groups: groups && new Set(groups), ...watchOf(one) };
    if (socket !== undefined && address === undefined && svid === undefined)
      return { ...common, at: { socket } };
    if (socket === undefined && address !== undefined && svid !== undefined)
      return { ...common, at: { address, svid } };
    throw refuse(name, 'needs either socket, or address and svid');
  });
}

/** SPIRE's own default of default_x509_svid_ttl; agent_ttl follows it. */
const SPIRE_TTL = '1h';

function watchOf(
  section: Static<typeof SpireSection>,
): Pick<SpireConfig, 'lifetimes' | 'watchMs' | 'clones'> {
  const workload = section['default-x509-svid-ttl'] ?? SPIRE_TTL;
  const agent = section['agent-ttl'] ?? workload;
  return {
    lifetimes: { workloadSeconds: parseDuration(workload) / 1000, agentSeconds: parseDuration(agent) / 1000 },
    watchMs: parseDuration(section.watch ?? '15s'),
    clones: section.clones ?? 'report',
  };
}
