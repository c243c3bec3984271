import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { DatabaseConnection } from '../../../platform/database/index.ts';

/** A way to PostgreSQL that can be cut and joined again: what a process sees of a server that dies. */
export class DatabaseProxy {
  readonly #target: DatabaseConnection;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(target: DatabaseConnection) {
    this.#target = target;
  }

  get connection(): DatabaseConnection {
    const url = new URL('postgresql://localhost');
    if ('connectionString' in this.#target) url.href = this.#target.connectionString;
    else {
      url.username = this.#target.user;
      url.pathname = this.#target.database;
    }
    // A `host` in the query, such as a socket directory, would win over the one that we set.
    url.searchParams.delete('host');
    url.host = `127.0.0.1:${this.#port}`;
    return { connectionString: url.href };
  }

  async join(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket)).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  async cut(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(server, 'close');
  }

  #serve(socket: Socket): void {
    const upstream = connect(addressOf(this.#target));
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      upstream.destroy();
    });
    upstream.on('close', () => socket.destroy());
    for (const one of [socket, upstream]) one.on('error', () => {});
    socket.pipe(upstream).pipe(socket);
  }
}

function addressOf(target: DatabaseConnection) {
  if (!('connectionString' in target)) return { path: `${target.host}/.s.PGSQL.5432` };
  const { hostname, port, searchParams } = new URL(target.connectionString);
  const host = searchParams.get('host') ?? hostname;
  return host.startsWith('/')
    ? { path: `${host}/.s.PGSQL.${port || 5432}` }
    : { host, port: Number(port || 5432) };
}
