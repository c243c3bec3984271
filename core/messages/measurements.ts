import Type, { type Static } from 'typebox';
import { Finding, Instant, NodeId, Outcome } from './common.ts';

const Texts = Type.Record(Type.String(), Type.String());
const Nullable = Type.Union([Type.String(), Type.Null()]);
const Rules = Type.Array(Type.String(), { description: 'Rules that found something wrong with it' });
const LogName = Type.Enum(['firmware', 'userspace']);

const BootEvent = Type.Object({
  number: Type.Integer(),
  register: Nullable,
  type: Type.String({ description: 'The word of the node: no digest is of it' }),
  digests: Texts,
  says: Type.String({ description: 'In words, escaped' }),
  proven: Type.Boolean({ description: 'Whether the digest is of what it says' }),
  covers: Type.String(),
  why: Nullable,
  rules: Rules,
});

const BootLog = Type.Object({
  format: Type.String(),
  banks: Type.Array(Type.String()),
  events: Type.Array(BootEvent),
  replayed: Type.Record(Type.String(), Texts),
  warnings: Type.Array(Type.Object({ code: Type.String(), offset: Type.Integer(), message: Type.String() })),
});

const Pcr = Type.Object({
  pcr: Type.Integer(),
  value: Type.String({ description: 'Hex, as it was quoted' }),
  status: Type.Enum(['replays', 'literal', 'unexplained', 'measurement-list', 'channel-key', 'no-log'], {
    description:
      'What explains the value: events, the value of a reset, nothing, IMA, the key of the connection',
  }),
  events: Type.Array(Type.Object({ log: LogName, index: Type.Integer() })),
  rules: Rules,
});

/** Verifier's GET /v1/nodes/:id/boot: registers and boot logs that a node showed last. */
export const Boot = Type.Object(
  {
    nodeId: NodeId,
    at: Instant,
    outcome: Outcome,
    bank: Type.String(),
    pcrs: Type.Array(Pcr),
    firmware: Type.Union([BootLog, Type.Null()]),
    userspace: Type.Union([BootLog, Type.Null()]),
    problems: Type.Array(Type.String({ description: 'Why something that is kept is not shown' })),
  },
  { title: 'Boot' },
);
export type Boot = Static<typeof Boot>;

const Count = Type.Integer({ minimum: 0 });

/** Verifier's GET /v1/nodes/:id/files: its measurement list in numbers, and the entries that fail. */
export const Files = Type.Object(
  {
    nodeId: NodeId,
    judged: Type.Union(
      [
        Type.Object({
          entries: Type.Integer({
            description: 'How many entries of the list are proven and judged, in this boot',
          }),
          policy: Type.String(),
          counts: Type.Union([
            Type.Object({
              ...{
                allowed: Count,
                signed: Count,
                excluded: Count,
                buffers: Count,
                violations: Count,
                refused: Count,
              },
            }),
            Type.Null(),
          ]),
        }),
        Type.Null(),
      ],
      { description: 'Null where the whole list is to be judged next, as after a fail' },
    ),
    last: Type.Union(
      [
        Type.Object({
          at: Instant,
          outcome: Outcome,
          list: Type.Union([
            Type.Object({
              firstEntry: Type.Integer({ description: 'Number of the first entry in the list of this boot' }),
              entries: Count,
              templates: Type.Record(Type.String(), Count),
              violations: Count,
              complete: Type.Boolean(),
            }),
            Type.Null(),
          ]),
          failing: Type.Array(Finding),
        }),
        Type.Null(),
      ],
      { description: 'The part of the list that came with the newest evidence that is kept' },
    ),
  },
  { title: 'Files' },
);
export type Files = Static<typeof Files>;
