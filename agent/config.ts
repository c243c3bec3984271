import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseDuration } from '../core/duration.ts';
import { AssayError } from '../core/errors.ts';
import type { HashName } from '../core/tpm/constants.ts';
import { environmentSecret, parseListen, readConfig } from '../platform/config.ts';
import type { LogLevel } from '../platform/logging.ts';
import { AgentFile } from './config-schema.ts';
import type { LogPaths } from './evidence/logs.ts';
import type { HookCommand } from './node-material/hooks.ts';
import type { AkAlgorithm } from './tpm/attestation-key.ts';
import type { EkPreference } from './tpm/endorsement.ts';

export const DEFAULT_CONFIG = '/etc/assay/agent.yaml';

export interface MaterialConfig {
  readonly directory: string;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly leafTtlMs: number;
  readonly keyMode: 'tpm' | 'delivered';
  readonly includeIssuingCa: boolean;
  readonly onChange: HookCommand | undefined;
  readonly onRevoke: HookCommand | undefined;
  readonly hookTimeoutMs: number;
}

/** How the servers are recognised: by the CA's certificate, or by the SHA-256 of its key. */
export type CaSource =
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'pin'; readonly sha256: string };

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** All that an agent must be told; nothing of it changes while it runs. */
export interface AgentConfig {
  readonly registrar: string;
  /** Asked from the registrar unless given. */
  readonly issuer: string | undefined;
  readonly ca: CaSource;
  readonly joinToken: string | undefined;
  readonly alias: string;
  readonly tpm: string;
  readonly endorsementKey: EkPreference;
  readonly attestationKey: AkAlgorithm;
  readonly pcrBank: HashName;
  readonly listen: HostPort;
  /** Where the verifier reaches us; port 0 stands for the one that was really opened. */
  readonly contact: HostPort;
  readonly stateDirectory: string;
  readonly material: MaterialConfig;
  readonly logs: LogPaths;
  readonly logLevel: LogLevel;
}

/** What the command line can say in place of the file. */
export interface AgentFlags {
  readonly registrar?: string;
  readonly ca?: string;
  readonly tokenFile?: string;
  readonly tpm?: string;
  readonly alias?: string;
  readonly listen?: string;
  readonly contact?: string;
  readonly stateDir?: string;
  readonly materialDir?: string;
}

export interface ConfigSources {
  /** Undefined when there is no file: flags and environment must then say enough. */
  readonly file: string | undefined;
  readonly flags?: AgentFlags;
  readonly env?: NodeJS.ProcessEnv;
  /** A join token that was given on standard input or the command line. */
  readonly token?: string;
}

/** Flags win over the environment, the environment over the file, the file over what is built in. */
export function loadConfig({ file, flags = {}, env = {}, token }: ConfigSources): AgentConfig {
  const document: AgentFile = file === undefined ? {} : readConfig(file, AgentFile).value;
  const registrar = flags.registrar ?? env.ASSAY_REGISTRAR ?? document.registrar;
  if (registrar === undefined)
    throw missing('the address of the registrar', 'registrar: https://HOST:PORT', '--registrar');
  const stateDirectory = flags.stateDir ?? document['state-directory'] ?? '/var/lib/assay-agent';
  const listen = parseListen(flags.listen ?? env.ASSAY_LISTEN ?? document.listen ?? '0.0.0.0:9002');
  return {
    registrar: checkUrl(registrar),
    issuer: document.issuer,
    ca: caSource(flags.ca ?? env.ASSAY_CA, document),
    joinToken: token ?? joinToken(flags, env, document),
    alias: flags.alias ?? document.alias ?? hostname().slice(0, 128),
    tpm: flags.tpm ?? env.ASSAY_TPM ?? document.tpm ?? 'device:/dev/tpmrm0',
    endorsementKey: document['endorsement-key'] ?? 'auto',
    attestationKey: document['attestation-key'] ?? 'rsa2048',
    pcrBank: document['pcr-bank'] ?? 'sha256',
    listen,
    contact: contactOf(flags.contact ?? env.ASSAY_CONTACT ?? document.contact, listen),
    stateDirectory,
    material: materialConfig(document, flags),
    logs: {
      boot: withDefault(document.logs?.boot, '/sys/kernel/security/tpm0/binary_bios_measurements'),
      userspace: withDefault(document.logs?.userspace, '/run/log/systemd/tpm2-measure.log'),
      ima: withDefault(document.logs?.ima, '/sys/kernel/security/ima/ascii_runtime_measurements'),
      imaBinary: withDefault(
        document.logs?.['ima-binary'],
        '/sys/kernel/security/ima/binary_runtime_measurements',
      ),
    },
    logLevel: document.log?.level ?? 'info',
  };
}

/** `sha256:…`, or the path of a PEM file. */
function parseCaSource(text: string): CaSource {
  const pin = /^sha256:([0-9a-f]{64})$/i.exec(text)?.[1];
  if (pin !== undefined) return { type: 'pin', sha256: pin.toLowerCase() };
  if (text.startsWith('sha256:')) {
    throw new AssayError(
      'invalid-config',
      `"${text}" is not a pin: expected sha256: and 64 hexadecimal digits`,
    );
  }
  return { type: 'file', path: text };
}

function materialConfig({ material = {} }: AgentFile, flags: AgentFlags): MaterialConfig {
  return {
    directory: flags.materialDir ?? material.directory ?? '/run/assay-agent',
    user: material.user,
    group: material.group,
    leafTtlMs: parseDuration(material['leaf-ttl'] ?? '5m'),
    keyMode: material.key ?? 'tpm',
    includeIssuingCa: material['include-issuing-ca'] ?? true,
    onChange: material['on-change'],
    onRevoke: material['on-revoke'],
    hookTimeoutMs: parseDuration(material['hook-timeout'] ?? '30s'),
  };
}

function caSource(override: string | undefined, document: AgentFile): CaSource {
  if (override !== undefined) return parseCaSource(override);
  if (document.ca !== undefined) return { type: 'file', path: document.ca };
  if (document['ca-pin'] !== undefined) return parseCaSource(document['ca-pin']);
  throw missing('how to recognise the servers', 'ca: FILE or ca-pin: sha256:…', '--ca');
}

function joinToken(flags: AgentFlags, env: NodeJS.ProcessEnv, document: AgentFile): string | undefined {
  if (flags.tokenFile !== undefined) return readToken(flags.tokenFile);
  const given = environmentSecret('ASSAY_JOIN_TOKEN', env);
  if (given !== undefined) return given;
  const file = document['join-token-file'];
  return file === undefined ? undefined : readToken(file);
}

// A token is spent by its first use, and whoever made it may clean up after that.
function readToken(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new AssayError('invalid-config', `cannot read the join token in ${path}`, { cause });
  }
}

function contactOf(text: string | undefined, listen: HostPort): HostPort {
  if (text !== undefined) return parseListen(text);
  const isOpenToAll = listen.host === '0.0.0.0' || listen.host === '::';
  return { host: isOpenToAll ? hostname() : listen.host, port: listen.port };
}

function withDefault(value: string | null | undefined, otherwise: string): string | null {
  return value === undefined ? otherwise : value;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.pathname !== '/' || url.username !== '') {
    throw new AssayError(
      'invalid-config',
      `"${text}" is not the address of a registrar, such as https://assay.example.org:8891`,
    );
  }
  return url.origin;
}

function missing(what: string, key: string, flag: string): AssayError {
  return new AssayError(
    'invalid-config',
    `${what} is not configured: set "${key}" in agent.yaml or give ${flag}`,
  );
}
