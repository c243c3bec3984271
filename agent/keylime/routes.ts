import type { HashName } from '../../core/tpm/constants.ts';
import { type LogPaths, readImaList, readLog } from '../evidence/logs.ts';
import { failure, type Reply, RequestRefused, success, wrongMethod } from './envelope.ts';

import { readImaEntry, readMask, readNonce, readPartial } from './parameters.ts';
import { type QuoteSource, quoteFields } from './quotes.ts';
import { type Identity, parseRevocation, type RevocationMessage } from './revocation.ts';

const API_VERSIONS = ['2.1', '2.2', '2.3', '2.4', '2.5', '2.6'] as const;
const NEWEST = '2.6';

export interface KeylimeDependencies {
  readonly identity: () => Identity;
  /** Undefined until the TPM answers. */
  readonly quoteSource: () => QuoteSource | undefined;
  readonly bank: HashName;
  /** SubjectPublicKeyInfo of the key of this server's certificate, PEM. */
  readonly publicKeyPem: string;
  readonly logs: LogPaths;
  /** Told of each quote that was answered. */
  readonly onQuote: (pcrs: readonly number[]) => void;
  /** Resolves when what must be destroyed is gone. */
  readonly onRevocation: (message: RevocationMessage) => Promise<void>;
}

export interface KeylimeRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly body: string;
}

interface Call {
  readonly minor: number;
  readonly query: URLSearchParams;
  readonly body: string;
}

interface Route {
  readonly method: 'GET' | 'POST';
  /** First minor version of the API that has it. */
  readonly since?: number;
  readonly answer: (deps: KeylimeDependencies, call: Call) => Reply | Promise<Reply>;
}

const NO_PAYLOAD =
  'payload keys are not supported by this agent: it receives no secrets over this interface; the node certificate it gets from the issuer takes their place';

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['agent/info', { method: 'GET', since: 2, answer: agentInfo }],
  ['quotes/identity', { method: 'GET', answer: identityQuote }],
  ['quotes/integrity', { method: 'GET', answer: integrityQuote }],
  ['keys/pubkey', { method: 'GET', answer: ({ publicKeyPem }) => success({ pubkey: publicKeyPem }) }],
  [
    'keys/verify',
    { method: 'GET', answer: () => failure(400, `Bootstrap key not available: ${NO_PAYLOAD}`) },
  ],
  ['keys/ukey', { method: 'POST', answer: () => failure(400, `Not Implemented: ${NO_PAYLOAD}`) }],
  ['keys/vkey', { method: 'POST', answer: () => failure(400, `Not Implemented: ${NO_PAYLOAD}`) }],
  ['notifications/revocation', { method: 'POST', answer: revocation }],
]);

/** Keylime's agent API 2.x (pull). Who asks has been checked before. */
export async function answerKeylime(deps: KeylimeDependencies, request: KeylimeRequest): Promise<Reply> {
  try {
    return await dispatch(deps, request);
  } catch (error) {
    if (error instanceof RequestRefused) return error.reply;
    throw error;
  }
}

function dispatch(
  deps: KeylimeDependencies,
  { method, target, body }: KeylimeRequest,
): Reply | Promise<Reply> {
  const [path = '', search = ''] = target.split('?', 2);
  if (path === '/version') return method === 'GET' ? version() : wrongMethod('GET', 'version');
  const versioned = /^\/(v\d+\.(\d+))\/(.*)$/.exec(path);
  if (!versioned)
    return failure(400, `Not Implemented: Use /${API_VERSIONS.join(', /')} or /version interfaces`);
  const [, name = '', minor, rest = ''] = versioned;
  if (!API_VERSIONS.some((known) => `v${known}` === name)) {
    return failure(400, `API version not supported: ${name}`);
  }
  const route = ROUTES.get(rest);
  const call = { minor: Number(minor), query: new URLSearchParams(search), body };
  if (route === undefined || call.minor < (route.since ?? 0)) {
    return failure(400, 'Not Implemented: Use /agent, /keys, or /quotes interfaces');
  }
  if (method !== route.method) return wrongMethod(route.method, rest.split('/')[0] ?? '');
  return route.answer(deps, call);
}

function version(): Reply {
  return success({ supported_version: NEWEST, supported_versions: API_VERSIONS });
}

function agentInfo({ identity, bank, quoteSource }: KeylimeDependencies): Reply {
  const source = readySource(quoteSource());
  return success({
    agent_uuid: identity().alias,
    tpm_hash_alg: bank,
    tpm_enc_alg: source.encAlg,
    tpm_sign_alg: source.signAlg,
    // A number of Keylime's TPM library; nobody can do anything with it.
    ak_handle: 0,
  });
}

async function identityQuote(deps: KeylimeDependencies, { minor, query }: Call): Promise<Reply> {
  const { bank, publicKeyPem } = deps;
  const nonce = readNonce(query);
  const source = readySource(deps.quoteSource());
  const fields = await quoteFields(source, { nonce, bank, pcrs: [], publicKeyPem, minor });
  return success({ ...fields, pubkey: publicKeyPem });
}

async function integrityQuote(deps: KeylimeDependencies, { minor, query }: Call): Promise<Reply> {
  const { bank, publicKeyPem, logs } = deps;
  const nonce = readNonce(query);
  const pcrs = readMask(query);
  const partial = readPartial(query);
  const source = readySource(deps.quoteSource());
  const fields = await quoteFields(source, { nonce, bank, pcrs, publicKeyPem, minor });
  // Logs are read after the quote, so that they hold all that was quoted, and perhaps more.
  const boot = pcrs.includes(0) ? await readLog(logs.boot) : undefined;
  const ima = await readImaList(logs.ima, readImaEntry(query));
  deps.onQuote(pcrs);
  return success({
    ...fields,
    ...(partial ? {} : { pubkey: publicKeyPem }),
    ...(ima === undefined ? {} : { ima_measurement_list: ima.text, ima_measurement_list_entry: ima.entry }),
    ...(boot === undefined ? {} : { mb_measurement_list: boot.toString('base64') }),
  });
}

async function revocation(deps: KeylimeDependencies, { body }: Call): Promise<Reply> {
  await deps.onRevocation(parseRevocation(body, deps.identity()));
  return success(null);
}

function readySource(source: QuoteSource | undefined): QuoteSource {
  if (source === undefined) throw new RequestRefused(500, 'the TPM is not ready');
  return source;
}
