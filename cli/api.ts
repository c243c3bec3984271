import { isNodeId } from '../core/identity.ts';
import type { NodeDetail } from '../core/messages/node.ts';

export type ServiceName = 'registrar' | 'verifier' | 'issuer';
export type Query = Readonly<Record<string, string | undefined>>;

/** The services as the command line sees them: HTTP and nothing else. */
export interface Api {
  /** @throws {AssayError} with the service's own code and words when it refuses */
  get<T>(service: ServiceName, path: string, query?: Query): Promise<T>;
  /** The body as it is, such as a digest set. */
  getBytes(service: ServiceName, path: string): Promise<Uint8Array>;
  send<T>(service: ServiceName, method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T>;
  /** Sends a text as it is, such as a CSV file. */
  sendText<T>(service: ServiceName, path: string, body: string, contentType: string): Promise<T>;
  /** Sends bytes, as application/octet-stream. */
  sendBytes<T>(service: ServiceName, path: string, body: Uint8Array): Promise<T>;
  /** Server-Sent Events, until the signal aborts; reconnects with the last id. */
  events<T>(service: ServiceName, path: string, signal: AbortSignal): AsyncIterable<T>;
  /** The id of a node given by id, unique prefix or alias. */
  nodeId(name: string): Promise<string>;
  close(): Promise<void>;
}

/** `nodeId` for any Api: the registrar alone knows what a name means. Keylime's agents are named by UUIDs too. */
export async function resolveNode(api: Pick<Api, 'get'>, name: string): Promise<string> {
  if (isNodeId(name)) return name;
  const node = await api.get<Pick<NodeDetail, 'id'>>('registrar', `/v1/nodes/${encodeURIComponent(name)}`);
  return node.id;
}
