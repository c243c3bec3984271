import Type, { type Static } from 'typebox';

/** Parts that several messages share. All binary values are standard base64 with padding unless named hex. */

const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

export const NodeId = Type.String({
  title: 'NodeId',
  pattern: UUID,
  description: 'Node id: UUIDv8 of the EK public key',
});

/** An agent's own name (Keylime's uuid, or a host name): never an identity. */
export const Alias = Type.String({ pattern: '^[A-Za-z0-9._-]{1,128}$', description: "The agent's own name" });

export const GroupName = Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' });

/** Longest base64 of a part of evidence or of an identity that is accepted. */
export const base64 = (maxBytes: number, description = '') =>
  Type.String({ maxLength: Math.ceil(maxBytes / 3) * 4, pattern: '^[A-Za-z0-9+/]*={0,2}$', description });

export const Sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const Instant = Type.String({ description: 'RFC 3339, UTC' });

export const Finding = Type.Object(
  {
    rule: Type.String({ description: 'Stable rule code, such as quote.nonce' }),
    message: Type.String({ description: 'What was expected and what came' }),
    pcr: Type.Optional(Type.Integer({ minimum: 0, maximum: 23 })),
    event: Type.Optional(
      Type.Object({ log: Type.Enum(['firmware', 'userspace']), index: Type.Integer({ minimum: 0 }) }),
    ),
    file: Type.Optional(
      Type.Object({
        path: Type.String({ description: 'Escaped' }),
        entry: Type.Integer({ minimum: 0, description: 'Place in the measurement list of this boot' }),
        package: Type.Optional(Type.String({ description: 'Whose bytes these are' })),
        expectedPackages: Type.Optional(Type.Immutable(Type.Array(Type.String()))),
      }),
    ),
    found: Type.Optional(Type.String()),
    expected: Type.Optional(
      Type.Immutable(Type.Array(Type.String(), { description: 'The first few of what is accepted' })),
    ),
    remedy: Type.Optional(Type.String({ description: 'What to do about it' })),
  },
  { title: 'Finding' },
);

export const NodeState = Type.Enum(
  ['pending', 'enrolled', 'trusted', 'stale', 'failed', 'banned', 'retired'],
  { title: 'NodeState' },
);
export type NodeState = Static<typeof NodeState>;

export const Outcome = Type.Enum(['pass', 'fail', 'inconclusive'], { title: 'Outcome' });

/** RFC 9457, with our stable error code and the findings that explain it. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable error code' }),
    detail: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
    findings: Type.Optional(
      Type.Array(Type.Object({ rule: Type.Optional(Type.String()), message: Type.String() })),
    ),
  },
  { title: 'Problem' },
);
export type Problem = Static<typeof Problem>;

/** Why a person did something; kept in the audit log. */
export const ActReason = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: 500 }) },
  { title: 'ActReason', additionalProperties: false },
);
