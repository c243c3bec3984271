import Type, { type Static } from 'typebox';
import { IssuerSection } from '../../issuer/config.ts';
import { RegistrarConfig } from '../../registrar/config.ts';
import { VerifierSection } from '../../verifier/config.ts';

const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** assay.yaml: one file for all services. */
export const ServeConfig = Type.Object(
  {
    'trust-domain': Type.String(),
    'nodes-domain': Type.String(),
    database: Type.Object(
      { url: Type.Optional(Nullable(Type.String())), directory: Type.Optional(Type.String()) },
      { additionalProperties: false },
    ),
    redis: Type.Optional(
      Type.Object({ url: Type.Optional(Nullable(Type.String())) }, { additionalProperties: false }),
    ),
    registrar: RegistrarConfig,
    verifier: VerifierSection,
    issuer: IssuerSection,
    log: Type.Optional(
      Type.Object(
        { level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type ServeConfig = Static<typeof ServeConfig>;
