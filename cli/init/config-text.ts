import type { ServiceName } from '../api.ts';

/** What `assay init` asks for, checked. */
export interface ConfigInput {
  readonly trustDomain: string;
  readonly nodesDomain: string;
  readonly groups: readonly string[];
  /** Names and addresses of the services; the first one is what nodes are told. */
  readonly hosts: readonly string[];
}

const PORTS: Readonly<Record<ServiceName, number>> = { registrar: 8891, verifier: 8881, issuer: 8882 };

/** URL of a service at the first host. */
function serviceUrl(service: ServiceName, [host = 'localhost']: readonly string[]): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${PORTS[service]}`;
}

/** A first installation on one machine listens for itself alone; one with a name of its own for everybody. */
function listenAddress(service: ServiceName, hosts: readonly string[]): string {
  const local = hosts.every((host) => host === 'localhost' || host.startsWith('127.') || host === '::1');
  return `${local ? '127.0.0.1' : '0.0.0.0'}:${PORTS[service]}`;
}

/** assay.yaml: every key that a person may want to change, with what it does. */
export function renderConfig({ trustDomain, nodesDomain, groups, hosts }: ConfigInput): string {
  const at = (service: ServiceName) =>
    `listen: ${quote(listenAddress(service, hosts))}\n  url: ${quote(serviceUrl(service, hosts))}`;
  return `# Configuration of Assay. Each service reads its own section; a key that nobody knows is an error.
# Paths are relative to this file.

# SPIRE's trust domain. Node certificates cannot carry names of it.
trust-domain: ${trustDomain}
# Below it each node has one DNS name: NODE-ID.${nodesDomain}
nodes-domain: ${nodesDomain}

database:
  # PostgreSQL 15 or newer, such as postgresql://assay@db.example.org/assay; DATABASE_URL says the same.
  # null: a PostgreSQL of our own in \`directory\`.
  url: null
  directory: postgres

redis:
  # For jobs, such as redis://localhost:6379; REDIS_URL says the same. null: jobs live in PostgreSQL.
  url: null

registrar:
  ${at('registrar')}
  # Plain HTTP with Keylime's registration routes alone, for stock Keylime agents, such as 0.0.0.0:8890.
  keylime-http: null
  # How long a node has to answer its enrolment challenge.
  challenge-lifetime: 60s

verifier:
  ${at('verifier')}
  # Where agents may be: the address of an agent is the agent's word, and nothing else is ever connected to.
  dial: [127.0.0.0/8, '::1/128', 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 'fc00::/7']
  # Attestations at the same time.
  concurrency: 500
  # How long verdicts are kept. A pass is recorded when something changed, a fail each time and with its evidence.
  # The newest verdict of each node stays, however old; changes of trust and the audit log are never deleted.
  history:
    fails: 365d
    passes: 90d
  # Where changes of trust are sent, signed by the Standard Webhooks convention.
  # webhooks: [{ name: siem, url: 'https://siem.example.org/assay', secret-files: [siem.secret], events: [failed, banned] }]

issuer:
  ${at('issuer')}
  # Each group has an issuing CA of its own in pki/; \`assay init --add-group NAME\` makes one.
  # ttl: how long a node certificate lives (never longer than trust in its node).
  # key-modes: tpm (the node's key never leaves its TPM), delivered (made by the issuer, sent to that TPM alone).
  groups:
${groups.map((name) => `    ${quote(name)}: ${GROUP_DEFAULTS}`).join('\n')}
  crl:
    # A new CRL at every revocation, and at least this often.
    interval: 1m
    # How long relying parties may use one.
    lifetime: 1h
    # Where CRLs are also written as GROUP.crl; null: HTTP alone.
    directory: null
  # SPIRE servers where failed nodes are banned (docs/spire.md).
  # spire: [{ name: main, socket: /run/spire-server/private/api.sock }]
  # CRLs and OCSP over plain HTTP, for relying parties that do not know our service CA, and where certificates say so.
  # revocation: { listen: 0.0.0.0:8893, url: 'http://pki.example.org:8893' }

log:
  # trace, debug, info, warn, error
  level: info
`;
}

const GROUP_DEFAULTS = '{ ttl: 10m, key-modes: [tpm, delivered] }';

/** client.yaml: what the command line reads, beside the credential. */
export function renderClientProfile(hosts: readonly string[]): string {
  const urls = (['registrar', 'verifier', 'issuer'] as const).map(
    (service) => `${service}: ${quote(serviceUrl(service, hosts))}\n`,
  );
  return `# Where the services are, and who you are. Paths are relative to this file.
${urls.join('')}ca: ca.crt
certificate: admin.crt
key: admin.key
`;
}

// Addresses with brackets and names such as "null" or "1" would be read as something else.
function quote(text: string): string {
  return /^[a-z][a-z0-9-]*$/.test(text) && !/^(null|true|false|yes|no|on|off|y|n)$/.test(text)
    ? text
    : `'${text}'`;
}
