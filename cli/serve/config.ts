import Type, { type Static } from 'typebox';
import { IssuerSection } from '../../issuer/config.ts';
import { SvidSection } from '../../platform/spiffe/config.ts';
import { RegistrarConfig } from '../../registrar/config.ts';
import { VerifierSection } from '../../verifier/config.ts';

const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const SpiffeIds = Type.Array(
  Type.String({ description: 'A SPIFFE ID, or one followed by /* for all below it' }),
  { maxItems: 1000 },
);

/** A second way in, with X509-SVIDs at both ends. */
const SpiffeSection = Type.Object(
  {
    svid: SvidSection,
    listen: Type.Object(
      {
        registrar: Type.Optional(Type.String()),
        verifier: Type.Optional(Type.String()),
        issuer: Type.Optional(Type.String()),
      },
      { additionalProperties: false },
    ),
    admins: Type.Optional(SpiffeIds),
    viewers: Type.Optional(SpiffeIds),
  },
  { additionalProperties: false },
);

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
    spiffe: Type.Optional(SpiffeSection),
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
