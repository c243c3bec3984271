import { rm } from 'node:fs/promises';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { Certificate } from '../../core/x509/certificate.ts';
import { SpiffeWorkloadAPI } from '../../platform/spiffe/gen/workload_pb.js';
import type { SpiffeCa, TestSvid } from './spiffe-ca.ts';

interface Answer {
  readonly svids: readonly TestSvid[];
  readonly bundles: Readonly<Record<string, Uint8Array>>;
}

/** The Workload API over a socket, in this process: what a spire-agent 1.15 says, and what a broken one might. */
export class FakeWorkloadApi {
  readonly socket: string;
  /** How many streams were opened. */
  opened = 0;
  /** Changes what is sent in place of the SVIDs. */
  distort: (message: {
    spiffeId: string;
    x509Svid: Uint8Array;
    x509SvidKey: Uint8Array;
    bundle: Uint8Array;
  }) => object = (message) => message;
  #answer: Answer | undefined;
  #wake: () => void = () => {};
  #changed = Promise.resolve();
  #server: Http2Server | undefined;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(socket: string) {
    this.socket = socket;
    this.#next();
  }

  get endpoint(): string {
    return `unix://${this.socket}`;
  }

  async start(): Promise<this> {
    const adapter = connectNodeAdapter({
      connect: false,
      routes: (router) => {
        router.service(SpiffeWorkloadAPI, {
          fetchX509SVID: (_request, context) => this.#svids(context),
          fetchX509Bundles: (_request, context) => this.#bundles(context),
        });
      },
    });
    const server = createServer(adapter);
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.socket, resolve);
    });
    this.#server = server;
    return this;
  }

  /** What it knows is kept. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const session of this.#sessions) session.destroy();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    await rm(this.socket, { force: true });
  }

  /** What everybody gets from now on, the first authority's SVIDs first. Nothing: no identity. */
  give(authorities: readonly SpiffeCa[], svids: readonly TestSvid[]): void {
    const bundles = Object.fromEntries(
      authorities.map(({ trustDomain, root }) => [`spiffe://${trustDomain}`, derOf([root.certificate])]),
    );
    this.#answer = svids.length === 0 ? undefined : { svids, bundles };
    this.#wake();
    this.#next();
  }

  #next(): void {
    this.#changed = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async *#answers({ requestHeader, signal }: HandlerContext): AsyncGenerator<Answer> {
    if (requestHeader.get('workload.spiffe.io') !== 'true')
      throw new ConnectError('security header missing from request', Code.InvalidArgument);
    this.opened += 1;
    while (!signal.aborted) {
      if (!this.#answer) throw new ConnectError('no identity issued', Code.PermissionDenied);
      yield this.#answer;
      await Promise.race([
        this.#changed,
        new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
      ]);
    }
  }

  async *#svids(context: HandlerContext) {
    for await (const { svids, bundles } of this.#answers(context)) {
      yield {
        svids: svids.map(({ id, chain, key }) => {
          const bundle = bundles[id.split('/').slice(0, 3).join('/')] ?? new Uint8Array();
          return this.distort({ spiffeId: id, x509Svid: derOf(chain), x509SvidKey: key, bundle });
        }),
        federatedBundles: bundles,
      };
    }
  }

  async *#bundles(context: HandlerContext) {
    for await (const { bundles } of this.#answers(context)) yield { bundles };
  }
}

function derOf(certificates: readonly Certificate[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(certificates.map(({ der }) => der)));
}
