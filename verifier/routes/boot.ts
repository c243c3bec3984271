import Type from 'typebox';
import { AssayError, ParseError } from '../../core/errors.ts';
import { inspectEventLog } from '../../core/eventlog/index.ts';
import { Instant, NodeId } from '../../core/messages/common.ts';
import type { App } from '../../platform/http/server.ts';
import { logsOf } from '../domain/draft.ts';
import { readBootLog } from '../store/boot-logs.ts';
import { readLastEvidence } from '../store/verdicts.ts';
import type { RoutesDeps } from './deps.ts';

const Texts = Type.Record(Type.String(), Type.String());
const Nullable = Type.Union([Type.String(), Type.Null()]);

const BootEvent = Type.Object({
  number: Type.Integer(),
  register: Nullable,
  type: Type.String({ description: 'The word of the node: no digest is of it' }),
  digests: Texts,
  says: Type.String({ description: 'In words, escaped' }),
  proven: Type.Boolean({ description: 'Whether the digest is of what it says' }),
  covers: Type.String(),
  why: Nullable,
});

const BootLog = Type.Object({
  format: Type.String(),
  banks: Type.Array(Type.String()),
  events: Type.Array(BootEvent),
  replayed: Type.Record(Type.String(), Texts),
  warnings: Type.Array(Type.Object({ code: Type.String(), offset: Type.Integer(), message: Type.String() })),
});

const Boot = Type.Object(
  {
    nodeId: NodeId,
    at: Instant,
    firmware: Type.Union([BootLog, Type.Null()]),
    userspace: Type.Union([BootLog, Type.Null()]),
    problems: Type.Array(Type.String({ description: 'Why a log that is kept is not shown' })),
  },
  { title: 'Boot' },
);

/** How a node booted, for people to look at. */
export function bootRoutes(app: App, { database: { db } }: RoutesDeps): void {
  app.get(
    '/v1/nodes/:id/boot',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found'] },
      schema: {
        operationId: 'getBoot',
        summary: "The boot logs of the node's last pass, event by event",
        params: Type.Object({ id: NodeId }),
        response: { 200: Boot },
      },
    },
    async ({ params: { id } }) => {
      const last = await readLastEvidence(db, id);
      if (!last)
        throw new AssayError('not-found', `node ${id} has not passed yet, or its evidence is not kept`);
      const { firmware, userspace } = logsOf(last);
      const problems: string[] = [];
      const inspect = async (sha256: string | undefined) => {
        const bytes = sha256 === undefined ? undefined : await readBootLog(db, sha256);
        return bytes && bytes.length > 0 ? shownLog(bytes, problems) : null;
      };
      return {
        ...{ nodeId: id, at: last.at, problems },
        firmware: await inspect(firmware),
        userspace: await inspect(userspace),
      };
    },
  );
}

/** A policy that does not judge the boot lets a node pass whatever it sends as its log. */
function shownLog(bytes: Uint8Array, problems: string[]) {
  try {
    const { events, warnings, banks, ...log } = inspectEventLog(bytes);
    return { ...log, events: [...events], warnings: [...warnings], banks: [...banks] };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    problems.push(error.message);
    return null;
  }
}
