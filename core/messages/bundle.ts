import Type, { type Static } from 'typebox';
import { Finding, Instant, NodeId, Outcome } from './common.ts';

/** What an envelope around a bundle says that it holds. */
export const BUNDLE_TYPE = 'application/vnd.assay.evidence.v1+json';

// Its reader looks at each character: a pattern over a whole log would cost a stack.
const Bytes = Type.String({ description: 'Base64' });
const Hex = Type.String({ pattern: '^([0-9a-f]{2})*$' });
const Count = Type.Integer({ minimum: 0 });
const Uint32 = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
const Pcr = Type.Integer({ minimum: 0, maximum: 23 });
/** Banks that a quote may come over; those of policies are all but the first. */
export const HASH_BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const Bank = Type.Enum(['sha256', 'sha384', 'sha512']);
const closed = { additionalProperties: false } as const;

/** A quote in its parts; `raw` is what a node sent in place of one. */
const Quote = Type.Union([
  Type.Object(
    {
      attest: Type.String({ ...Bytes, description: 'TPMS_ATTEST' }),
      signature: Type.String({ ...Bytes, description: 'TPMT_SIGNATURE' }),
      pcrs: Type.Record(
        Type.String({ pattern: `^(${HASH_BANKS.join('|')})$` }),
        Type.Record(Type.String({ pattern: '^(1?[0-9]|2[0-3])$' }), Hex, closed),
        { ...closed, description: 'Values that came with it, by bank' },
      ),
    },
    closed,
  ),
  Type.Object({ raw: Type.String() }, closed),
]);

const Asked = Type.Object(
  {
    nonce: Bytes,
    bank: Bank,
    pcrs: Type.Array(Pcr),
    channel: Type.Union([
      Type.Null(),
      Type.Object({ binding: Type.Enum(['tls-key', 'reported-key']), value: Hex }, closed),
    ]),
  },
  closed,
);

const ImaPart = Type.Object(
  {
    form: Type.Enum(['binary', 'ascii']),
    firstEntry: Count,
    bytes: Bytes,
    complete: Type.Boolean({ description: 'False when it was too long to be kept: the rest is not here' }),
  },
  closed,
);

const History = Type.Object(
  {
    clock: Type.Optional(
      Type.Object(
        {
          clock: Type.String({ pattern: '^[0-9]{1,20}$' }),
          resetCount: Uint32,
          restartCount: Uint32,
          safe: Type.Boolean(),
        },
        closed,
      ),
    ),
    ima: Type.Optional(
      Type.Object(
        {
          ...{ entries: Count, bank: Bank, pcr: Hex },
          learned: Type.Optional(
            Type.Array(Type.Object({ keyring: Type.String(), certificate: Bytes }, closed), {
              description: 'Keys of keyrings that the policy follows, of the entries before',
            }),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
);

/**
 * Everything that a verdict rests on, in one document: who, what was asked and answered, by which policy it was judged,
 * and how. Rendered by renderBundle (policies/bundle), it is signed by the verifier.
 */
export const EvidenceBundle = Type.Object(
  {
    format: Type.Literal('assay-evidence/1'),
    verifier: Type.Object(
      {
        url: Type.String(),
        version: Type.String(),
        chain: Type.Array(Bytes, { description: 'DER: of the key that signed, then of its issuers' }),
      },
      closed,
    ),
    judgedAt: Instant,
    node: Type.Object(
      {
        id: NodeId,
        akPublic: Type.String({ ...Bytes, description: 'TPM2B_PUBLIC' }),
        ekPublic: Type.String({ ...Bytes, description: 'TPM2B_PUBLIC' }),
        ekCertificate: Type.Union([Bytes, Type.Null()]),
        ekChain: Type.Array(Bytes, { description: 'Issuers of the EK certificate, the anchor last' }),
      },
      closed,
    ),
    asked: Asked,
    quote: Quote,
    logs: Type.Object(
      { firmware: Type.Optional(Bytes), userspace: Type.Optional(Bytes), ima: Type.Optional(ImaPart) },
      closed,
    ),
    history: History,
    policy: Type.Object({ name: Type.String(), version: Count, document: Type.String() }, closed),
    sets: Type.Array(Type.Object({ id: Type.String(), bytes: Type.Optional(Bytes) }, closed)),
    verdict: Type.Object({ outcome: Outcome, reasons: Type.Array(Finding) }, closed),
  },
  { ...closed, title: 'EvidenceBundle' },
);
export type EvidenceBundle = Static<typeof EvidenceBundle>;
