import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const Digest = Type.String({ pattern: '^[0-9a-f]{64}([0-9a-f]{32})?([0-9a-f]{32})?$' });
const SetId = Type.String({ pattern: '^sha256:[0-9a-f]{64}$' });
const Any = Type.Literal('any');

const Digests = Type.Object(
  {
    allow: Type.Optional(Type.Array(Digest, { maxItems: 10_000 })),
    sets: Type.Optional(Type.Array(SetId, { maxItems: 1000, description: 'Ids of digest sets' })),
    why: Type.Optional(Type.String({ maxLength: 200 })),
  },
  closed,
);

const Match = Type.Object(
  {
    certificate: Type.Optional(
      Type.String({ maxLength: 16_384, description: 'Hex SHA-256 of its DER, or the certificate as PEM' }),
    ),
    image: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    owner: Type.Optional(
      Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' }),
    ),
    name: Type.Optional(Type.String({ maxLength: 200, description: 'For people' })),
  },
  { ...closed, minProperties: 1 },
);
const Matches = Type.Array(Match, { minItems: 1, maxItems: 1000 });
const List = Type.Object(
  { only: Type.Optional(Matches), include: Type.Optional(Matches) },
  { ...closed, minProperties: 1 },
);
const Words = Type.Array(Type.String({ pattern: '^\\S{1,256}$' }), { maxItems: 1000 });

/** The section `boot` of a policy. */
export const BootSection = Type.Object(
  {
    profile: Type.Enum(['shim-grub', 'uki', 'direct-kernel', 'bios', 'no-log'], {
      description: 'Which way the machine boots',
    }),
    'secure-boot': Type.Optional(Type.Enum(['required', 'any'])),
    keys: Type.Optional(
      Type.Object(
        { pk: Type.Optional(List), kek: Type.Optional(List), db: Type.Optional(List) },
        { ...closed, minProperties: 1 },
      ),
    ),
    dbx: Type.Optional(
      Type.Object(
        {
          include: Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { minItems: 1, maxItems: 10_000 }),
        },
        closed,
      ),
    ),
    sbat: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[\\x21-\\x2b\\x2d-\\x7e]{1,128}$' }),
        Type.Integer({ minimum: 1, maximum: 999_999_999 }),
        { ...closed, minProperties: 1, maxProperties: 500 },
      ),
    ),
    authorities: Type.Optional(Matches),
    applications: Type.Optional(Type.Union([Any, Type.Literal('signed'), Digests])),
    files: Type.Optional(Type.Union([Any, Digests])),
    'option-roms': Type.Optional(Type.Union([Any, Type.Literal('none'), Digests])),
    firmware: Type.Optional(
      Type.Union([
        Any,
        Type.Object(
          {
            ...Digests.properties,
            versions: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1 }),
            ),
          },
          closed,
        ),
      ]),
    ),
    'accept-states': Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 100 }),
    ),
    'command-line': Type.Optional(
      Type.Union([
        Any,
        Type.Object(
          {
            'any-of': Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 8192 }), { minItems: 1, maxItems: 1000 }),
            ),
            require: Type.Optional(Words),
            forbid: Type.Optional(Words),
          },
          { ...closed, minProperties: 1 },
        ),
      ]),
    ),
    sections: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^\\.[a-z0-9_]{1,31}$' }),
        Type.Array(Digest, { minItems: 1, maxItems: 1000 }),
        { ...closed, minProperties: 1 },
      ),
    ),
    overrides: Type.Optional(Type.Enum(['none', 'any'])),
  },
  closed,
);
export type BootSection = Static<typeof BootSection>;
