import { AssayError } from '../../core/errors.ts';
import { renderSpiffeId, type SpiffeId } from '../../core/spiffe/id.ts';
import { backoff, pause } from '../backoff.ts';
import type { Logger } from '../logging.ts';
import type { X509Identity } from './identity.ts';
import { readSvidFiles, type SvidFiles, versionOfFiles } from './svid-files.ts';
import { workloadApi } from './workload-api.ts';

/** Where an X509-SVID of ours comes from. */
export type SvidOrigin =
  | { readonly files: SvidFiles }
  /** As in SPIFFE_ENDPOINT_SOCKET. `id`: which one, of several; without it the first. */
  | { readonly workloadApi: string; readonly id?: SpiffeId };

/** Our X509-SVID, kept new. */
export interface X509Source {
  /** The same object until it changes. @throws {AssayError} `unavailable` when there is none, or it has expired */
  current(): X509Identity;
  /** Waits for the first. @throws {AssayError} `unavailable` when it does not come in time, with the reason that was given last */
  ready(timeoutMs: number): Promise<X509Identity>;
  /** Called at once, if there is one, and with each new one until the source is closed. */
  onChange(listener: (identity: X509Identity) => void): void;
  close(): Promise<void>;
}

const RECONNECT = { firstMs: 500, longestMs: 30_000 };
const FILES_MS = 1_000;

/**
 * Opens a source, which need not have anything yet. It follows what the Workload API or the files say: an answer that is
 * not good changes nothing, and a stream that ends is opened again.
 *
 * @throws {AssayError} `invalid-config` when the origin cannot be one
 */
export function openX509Source(origin: SvidOrigin, logger: Logger): X509Source {
  const stop = new AbortController();
  const state = new SourceState();
  const running =
    'files' in origin
      ? followFiles(origin.files, state, stop.signal, logger)
      : followApi(origin, state, stop.signal, logger);
  return {
    current: () => state.current(),
    ready: (timeoutMs) => state.ready(timeoutMs),
    onChange: (listener) => state.onChange(listener),
    async close() {
      stop.abort();
      await running;
    },
  };
}

/** What is known now. */
class SourceState {
  readonly #arrived = new AbortController();
  readonly #listeners: ((identity: X509Identity) => void)[] = [];
  #identity: X509Identity | undefined;
  #problem: string | undefined;

  set(identity: X509Identity): void {
    this.#identity = identity;
    this.#problem = undefined;
    this.#arrived.abort();
    for (const listener of this.#listeners) listener(identity);
  }

  /** @returns whether it is another problem than before */
  failed(error: unknown): boolean {
    const before = this.#problem;
    this.#problem = error instanceof Error ? error.message : String(error);
    return this.#problem !== before;
  }

  current(): X509Identity {
    const identity = this.#identity;
    if (identity && Date.now() <= identity.leaf.notAfter.getTime()) return identity;
    const state = identity
      ? `the SVID ${renderSpiffeId(identity.id)} expired at ${identity.leaf.notAfter.toISOString()} and there is no newer one`
      : 'there is no SVID';
    throw new AssayError('unavailable', this.#problem === undefined ? state : `${state}: ${this.#problem}`);
  }

  async ready(timeoutMs: number): Promise<X509Identity> {
    await pause(timeoutMs, this.#arrived.signal);
    return this.current();
  }

  onChange(listener: (identity: X509Identity) => void): void {
    this.#listeners.push(listener);
    if (this.#identity) listener(this.#identity);
  }
}

function followApi(
  { workloadApi: endpoint, id }: Extract<SvidOrigin, { workloadApi: string }>,
  state: SourceState,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  const api = workloadApi(endpoint);
  const wait = backoff(RECONNECT);
  const follow = async (): Promise<void> => {
    for await (const identities of api.x509Svids(signal)) {
      const identity = chosen(identities, id);
      state.set(identity);
      wait.reset();
      logger.info({ id: renderSpiffeId(identity.id), until: identity.leaf.notAfter }, 'has an SVID');
    }
  };
  const forever = async (): Promise<void> => {
    while (!signal.aborted) {
      await follow().catch((error: unknown) => {
        if (signal.aborted || !state.failed(error)) return;
        logger.warn({ err: error, endpoint }, 'the Workload API gives no SVID, will ask again');
      });
      await wait.sleep(signal);
    }
  };
  return forever();
}

function chosen(identities: readonly X509Identity[], id: SpiffeId | undefined): X509Identity {
  const wanted = id && renderSpiffeId(id);
  const found = identities.find((one) => wanted === undefined || renderSpiffeId(one.id) === wanted);
  if (found) return found;
  const had = identities.map((one) => renderSpiffeId(one.id)).join(', ');
  throw new AssayError('unavailable', `the Workload API gives ${had}, not ${wanted}`);
}

async function followFiles(
  files: SvidFiles,
  state: SourceState,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  let version: string | undefined;
  while (!signal.aborted) {
    try {
      const found = versionOfFiles(files);
      if (found !== version) state.set(readSvidFiles(files));
      version = found;
    } catch (error) {
      if (state.failed(error))
        logger.warn({ err: error }, 'the files of the SVID cannot be read, will look again');
    }
    await pause(FILES_MS, signal);
  }
}
