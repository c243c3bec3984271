import { sign } from 'node:crypto';
import { EXTENSION } from '../../../../core/x509/certificate.ts';
import { explicitTag, implicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derBits, derOid, derSequence, derTime, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { AFTER, BEFORE, commonName, extension, newKey } from './forge.ts';

const ALGORITHM = derSequence(derOid('1.2.840.10045.4.3.2'));
const NONE = new Uint8Array();
const key = newKey();

/** Everything that can be wrong with a CRL is a field here: the DER that stands in its place. */
export interface CrlForgery {
  readonly version?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly thisUpdate?: Uint8Array;
  readonly nextUpdate?: Uint8Array;
  /** With the tag of the list. */
  readonly revoked?: Uint8Array;
  /** The explicit tag is put around them. */
  readonly extensions?: readonly Uint8Array[];
  /** In the place of the extensions, with the explicit tag. */
  readonly extensionsField?: Uint8Array;
  /** Behind the extensions. */
  readonly behind?: Uint8Array;
  readonly signature?: Uint8Array;
}

export const crlNumber = (...octets: readonly number[]) =>
  extension(EXTENSION.CRL_NUMBER, false, der(TAG.INTEGER, Uint8Array.from(octets)));
export const crlKeyId = extension(
  EXTENSION.AUTHORITY_KEY_ID,
  false,
  derSequence(der(implicitTag(0), new Uint8Array(20))),
);
export const reasonOf = (code: number) =>
  extension(EXTENSION.CRL_REASON, false, der(TAG.ENUMERATED, Uint8Array.of(code)));

/** An entry; without extensions it has none, and with an empty list of them an empty SEQUENCE. */
export function crlEntry(
  serial: Uint8Array = derUnsigned(Uint8Array.of(5)),
  extensions?: readonly Uint8Array[],
  date: Uint8Array = derTime(BEFORE),
): Uint8Array {
  return derSequence(serial, date, extensions ? derSequence(...extensions) : NONE);
}

/** DER of a CRL, as it should be but for `forgery`. */
export function forgeCrl(forgery: CrlForgery = {}): Uint8Array {
  const { algorithm = ALGORITHM, extensions = [crlKeyId, crlNumber(1)] } = forgery;
  const tbs = derSequence(
    forgery.version ?? derUnsigned(Uint8Array.of(1)),
    algorithm,
    forgery.issuer ?? commonName('issuer'),
    forgery.thisUpdate ?? derTime(BEFORE),
    forgery.nextUpdate ?? derTime(AFTER),
    forgery.revoked ?? derSequence(crlEntry(undefined, [reasonOf(4)])),
    forgery.extensionsField ?? der(explicitTag(0), derSequence(...extensions)),
    forgery.behind ?? NONE,
  );
  const signature = forgery.signature ?? derBits(sign('sha256', tbs, key.privateKey));
  return derSequence(tbs, forgery.outerAlgorithm ?? algorithm, signature);
}
