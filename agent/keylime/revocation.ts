import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { Finding } from '../../core/messages/common.ts';
import { RevocationNotification } from '../../core/messages/keylime/messages.ts';
import { RequestRefused } from './envelope.ts';

const RevocationMessage = Type.Object({
  type: Type.String(),
  agent_id: Type.Optional(Type.String({ maxLength: 200 })),
  node_id: Type.Optional(Type.String({ maxLength: 200 })),
  reasons: Type.Optional(Type.Array(Finding, { maxItems: 1000 })),
});
export type RevocationMessage = Static<typeof RevocationMessage>;

export interface Identity {
  readonly alias: string;
  readonly nodeId: string | undefined;
}

/**
 * The revocation in the body of a notification, if it is one and concerns this node. Who may send it is
 * decided by the connection: the client certificate is the verifier's, so `signature` is not needed.
 *
 * @throws {RequestRefused} for any other body
 */
export function parseRevocation(body: string, me: Identity): RevocationMessage {
  const notification: unknown = parseJson(body);
  if (!Value.Check(RevocationNotification, notification)) {
    throw new RequestRefused(400, 'JSON error: expected an object with the texts msg and signature');
  }
  const message: unknown = parseJson(notification.msg);
  if (!Value.Check(RevocationMessage, message)) {
    throw new RequestRefused(400, 'JSON error: msg is not a revocation message');
  }
  if (message.type !== 'revocation') {
    throw new RequestRefused(400, `Not Implemented: notification of type ${JSON.stringify(message.type)}`);
  }
  if (!concerns(message, me)) throw new RequestRefused(400, 'the notification is about another agent');
  return message;
}

/** The node id decides where there is one; an alias may be used twice. */
function concerns({ node_id, agent_id }: RevocationMessage, me: Identity): boolean {
  if (node_id !== undefined && me.nodeId !== undefined) return node_id === me.nodeId;
  return agent_id === me.alias;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestRefused(400, 'JSON error: the body is not JSON');
  }
}
