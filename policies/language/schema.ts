import Type, { type Static } from 'typebox';
import { DURATION_PATTERN } from '../../core/duration.ts';

/** The shape of a policy document. What a shape cannot say is in check.ts. */

const Duration = Type.String({ pattern: DURATION_PATTERN });
const Digest = Type.String({ pattern: '^[0-9a-f]{64}([0-9a-f]{32})?([0-9a-f]{32})?$' });
const PcrSet = Type.String({ pattern: '^[0-9]{1,2}(-[0-9]{1,2})?(\\s*,\\s*[0-9]{1,2}(-[0-9]{1,2})?)*$' });

const PcrRule = Type.Object(
  {
    id: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' })),
    why: Type.Optional(Type.String({ maxLength: 200, description: 'What the value stands for' })),
    'any-of': Type.Array(Digest, { minItems: 1, maxItems: 10_000 }),
  },
  { additionalProperties: false },
);

export const PolicyDocument = Type.Object(
  {
    assay: Type.Literal('policy/v1'),
    name: Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$' }),
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    freshness: Type.Object(
      {
        interval: Duration,
        'trust-for': Duration,
      },
      { additionalProperties: false },
    ),
    reaction: Type.Enum(['ban', 'stop', 'report']),
    pcrs: Type.Object(
      {
        bank: Type.Enum(['sha256', 'sha384', 'sha512']),
        require: PcrSet,
        values: Type.Optional(Type.Record(Type.String({ pattern: '^[0-9]{1,2}$' }), PcrRule)),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
export type PolicyDocument = Static<typeof PolicyDocument>;
