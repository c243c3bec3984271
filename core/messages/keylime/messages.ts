import Type, { type Static, type TSchema } from 'typebox';
import { Alias, base64 } from '../common.ts';

/**
 * Keylime's HTTP API, versions 2.0 to 2.6, as far as attestation needs it. Members that a later version may
 * add are ignored; what the schemas say is only the shape, and binary values are parsed elsewhere.
 */

const PUBLIC_BYTES = 2048;
const CERTIFICATE_CHARACTERS = 64 * 1024;
const NullableText = (maxLength: number) =>
  Type.Optional(Type.Union([Type.String({ maxLength }), Type.Null()]));

/** Every answer of Keylime's v2 API; a POST that succeeds may answer `null` results. */
export const Envelope = <T extends TSchema>(results: T) =>
  Type.Object({ code: Type.Integer(), status: Type.String({ maxLength: 1024 }), results });

/** Results of an error, of an activation, and of a notification. */
export const EmptyResults = Type.Union([Type.Object({}), Type.Null()]);

/** Body of POST /v2.x/agents/:id. */
export const RegistrationRequest = Type.Object(
  {
    ek_tpm: base64(PUBLIC_BYTES, 'TPM2B_PUBLIC of the EK'),
    aik_tpm: base64(PUBLIC_BYTES, 'TPM2B_PUBLIC of the AK'),
    ekcert: NullableText(CERTIFICATE_CHARACTERS),
    iak_tpm: NullableText(PUBLIC_BYTES * 2),
    idevid_tpm: NullableText(PUBLIC_BYTES * 2),
    iak_cert: NullableText(CERTIFICATE_CHARACTERS),
    idevid_cert: NullableText(CERTIFICATE_CHARACTERS),
    iak_attest: NullableText(PUBLIC_BYTES * 2),
    iak_sign: NullableText(PUBLIC_BYTES * 2),
    mtls_cert: NullableText(CERTIFICATE_CHARACTERS),
    ip: Type.Optional(Type.Union([Type.String({ maxLength: 253 }), Type.Null()])),
    port: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 65535 }), Type.Null()])),
  },
  { title: 'KeylimeRegistration' },
);
export type RegistrationRequest = Static<typeof RegistrationRequest>;

/** Body of POST /v2.x/agents and /v3.0/agents, where the id is not in the path. */
export const RegistrationRequestWithId = Type.Interface(
  [RegistrationRequest],
  { agent_id: Alias },
  { title: 'KeylimeRegistrationWithId' },
);
export type RegistrationRequestWithId = Static<typeof RegistrationRequestWithId>;

export const RegistrationResults = Type.Object({ blob: base64(4096, 'credential in the tpm2-tools format') });
export type RegistrationResults = Static<typeof RegistrationResults>;

/** Body of PUT /v2.x/agents/:id and of POST /v2.x/agents/:id/activate. */
export const ActivationRequest = Type.Object(
  {
    auth_tag: Type.String({ pattern: '^[0-9a-f]{96}$', description: 'renderAuthTag(secret, id)' }),
  },
  { title: 'KeylimeActivation' },
);
export type ActivationRequest = Static<typeof ActivationRequest>;

/** GET /version of a registrar. Agents that do not know `current_version` take the highest they share. */
export const RegistrarVersion = Type.Object({
  current_version: Type.String(),
  supported_versions: Type.Array(Type.String()),
});
export type RegistrarVersion = Static<typeof RegistrarVersion>;

/** Query of GET /v2.x/quotes/integrity. PCR 16 is quoted besides those of the mask. */
export const IntegrityQuery = Type.Object({
  nonce: Type.String({ pattern: '^[A-Za-z0-9]{1,64}$', description: 'its characters are extraData' }),
  mask: Type.String({ pattern: '^(0x)?[0-9a-fA-F]{1,8}$', description: 'bit n asks for PCR n' }),
  partial: Type.String({ pattern: '^[01]$', description: '0 asks for pubkey in the answer' }),
  ima_ml_entry: Type.Optional(Type.String({ pattern: '^[0-9]{1,10}$' })),
});
export type IntegrityQuery = Static<typeof IntegrityQuery>;

/** Longest log that an agent's answer may carry, in characters. */
const MAX_LOG_CHARACTERS = 64 * 1024 * 1024;

/** Results of GET /v2.x/quotes/identity and /v2.x/quotes/integrity. Only `quote` is signed. */
export const QuoteResults = Type.Object({
  quote: Type.String({ maxLength: 64 * 1024, description: 'parseQuoteString reads it' }),
  hash_alg: Type.String({ maxLength: 32 }),
  enc_alg: Type.String({ maxLength: 32 }),
  sign_alg: Type.String({ maxLength: 32 }),
  pubkey: NullableText(16 * 1024),
  ima_measurement_list: NullableText(MAX_LOG_CHARACTERS),
  ima_measurement_list_entry: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
  mb_measurement_list: NullableText(MAX_LOG_CHARACTERS),
});
export type QuoteResults = Static<typeof QuoteResults>;

/** Body of POST /v2.x/notifications/revocation: `msg` is the JSON text that is signed. */
export const RevocationNotification = Type.Object({
  msg: Type.String({ maxLength: 64 * 1024 }),
  signature: Type.String({ maxLength: 4096 }),
});
