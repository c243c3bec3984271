import Type, { type Static } from 'typebox';
import { DURATION_PATTERN } from '../../core/duration.ts';
import { BootSection } from './boot-schema.ts';

/** The shape of a policy document. What a shape cannot say is in parse.ts. */

/** A key that is not among those, or not of that form, is refused: it would say something that nobody reads. */
const closed = { additionalProperties: false } as const;

const Duration = Type.String({ pattern: DURATION_PATTERN });
const Digest = Type.String({ pattern: '^[0-9a-f]{64}([0-9a-f]{32})?([0-9a-f]{32})?$' });
const PcrSet = Type.String({ pattern: '^[0-9]{1,2}(-[0-9]{1,2})?(\\s*,\\s*[0-9]{1,2}(-[0-9]{1,2})?)*$' });

/** In a row. */
const Passes = Type.Integer({ minimum: 1, maximum: 1000 });

const PcrRule = Type.Object(
  {
    id: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' })),
    why: Type.Optional(Type.String({ maxLength: 200, description: 'What the value stands for' })),
    'any-of': Type.Array(Digest, { maxItems: 10_000 }),
  },
  { additionalProperties: false },
);

const Glob = Type.String({ minLength: 2, maxLength: 512 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Id = Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' });
const Globs = Type.Array(Glob, { maxItems: 10_000 });

const ImaRules = Type.Object(
  {
    allow: Type.Optional(
      Type.Array(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }), {
        maxItems: 1000,
        description: 'Ids of digest sets: which bytes may be at which path',
      }),
    ),
    files: Type.Optional(
      Type.Record(Type.String({ pattern: '^/' }), Type.Array(Digest, { minItems: 1, maxItems: 1000 }), {
        ...closed,
        description: 'A few files more, by path',
      }),
    ),
    match: Type.Optional(
      Type.Enum(['path', 'anywhere'], { description: 'anywhere: the bytes of a set may be at any path' }),
    ),
    exclude: Type.Optional(Globs),
    violations: Type.Optional(Type.Object({ accept: Globs }, { additionalProperties: false })),
    keys: Type.Optional(
      Type.Array(
        Type.Object(
          {
            id: Id,
            key: Type.String({ maxLength: 16_384, description: 'PEM of a public key or a certificate' }),
            paths: Type.Array(Glob, { minItems: 1, maxItems: 1000 }),
          },
          { additionalProperties: false },
        ),
        { maxItems: 100 },
      ),
    ),
    kexec: Type.Optional(
      Type.Enum(['refuse', 'allow'], { description: 'A kernel that another kernel started without a boot' }),
    ),
    buffers: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[^\\s]{1,255}$' }),
        Type.Union([Type.Literal('any'), Type.Array(Digest, { minItems: 1, maxItems: 1000 })]),
        closed,
      ),
    ),
    keyrings: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[^\\s]{1,255}$' }),
        Type.Object(
          {
            keys: Type.Union([Type.Literal('any'), Type.Array(Sha256, { minItems: 1, maxItems: 1000 })]),
            paths: Type.Optional(Globs),
          },
          closed,
        ),
        { ...closed, description: 'Keys that may come into keyrings, and what they may sign' },
      ),
    ),
    'measured-policy': Type.Optional(
      Type.Record(Type.String({ pattern: '^/' }), Type.Array(Digest, { minItems: 1, maxItems: 1000 }), {
        ...closed,
        description: 'IMA policies that must be measured, by path',
      }),
    ),
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
    recovery: Type.Optional(
      Type.Object(
        { reboot: Type.Optional(Passes), 're-enrolment': Type.Optional(Passes) },
        {
          ...closed,
          minProperties: 1,
          description: 'How a node that this policy banned comes back without a person',
        },
      ),
    ),
    pcrs: Type.Object(
      {
        bank: Type.Enum(['sha256', 'sha384', 'sha512']),
        require: PcrSet,
        values: Type.Optional(Type.Record(Type.String({ pattern: '^[0-9]{1,2}$' }), PcrRule, closed)),
      },
      { additionalProperties: false },
    ),
    boot: Type.Optional(BootSection),
    ima: Type.Optional(ImaRules),
    when: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,58}$' }),
        Type.String({ minLength: 1, maxLength: 1024 }),
        { ...closed, maxProperties: 32, description: 'Conditions in CEL that must all hold, by name' },
      ),
    ),
  },
  { additionalProperties: false },
);
export type PolicyDocument = Static<typeof PolicyDocument>;
