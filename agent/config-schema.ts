import Type, { type Static } from 'typebox';
import { DURATION_PATTERN } from '../core/duration.ts';
import { Alias } from '../core/messages/common.ts';

const strict = { additionalProperties: false } as const;
const Optional = Type.Optional;
const Path = Type.String({ pattern: '^/' });
const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Command = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
]);

/** agent.yaml. packaging/systemd/agent.yaml explains each key. */
export const AgentFile = Type.Object(
  {
    registrar: Optional(Type.String({ pattern: '^https://' })),
    issuer: Optional(Type.String({ pattern: '^https://' })),
    ca: Optional(Path),
    'ca-pin': Optional(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' })),
    'join-token-file': Optional(Path),
    alias: Optional(Alias),
    tpm: Optional(Type.String()),
    'endorsement-key': Optional(
      Type.Enum(['auto', 'rsa2048', 'ecc256', 'ecc384', 'ecc521', 'rsa3072', 'rsa4096']),
    ),
    'attestation-key': Optional(Type.Enum(['rsa2048', 'ecc256'])),
    'pcr-bank': Optional(Type.Enum(['sha256', 'sha384', 'sha512'])),
    listen: Optional(Type.String()),
    contact: Optional(Type.String()),
    'state-directory': Optional(Path),
    material: Optional(
      Type.Object(
        {
          directory: Optional(Path),
          user: Optional(Type.String()),
          group: Optional(Type.String()),
          'leaf-ttl': Optional(Type.String({ pattern: DURATION_PATTERN })),
          key: Optional(Type.Enum(['tpm', 'delivered'])),
          'include-issuing-ca': Optional(Type.Boolean()),
          'on-change': Optional(Command),
          'on-revoke': Optional(Command),
          'hook-timeout': Optional(Type.String({ pattern: DURATION_PATTERN })),
        },
        strict,
      ),
    ),
    logs: Optional(
      Type.Object(
        {
          boot: Optional(Nullable(Path)),
          userspace: Optional(Nullable(Path)),
          ima: Optional(Nullable(Path)),
          'ima-binary': Optional(Nullable(Path)),
        },
        strict,
      ),
    ),
    log: Optional(
      Type.Object({ level: Optional(Type.Enum(['trace', 'debug', 'info', 'warn', 'error'])) }, strict),
    ),
  },
  strict,
);
export type AgentFile = Static<typeof AgentFile>;
