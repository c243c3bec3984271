import { readAlgorithm } from '../x509/certificate.ts';
import { DerReader, explicitTag, implicitTag, TAG } from '../x509/der.ts';
import { readInteger, readOid, readSmallInteger } from '../x509/der-values.ts';

const OID = {
  DATA: '1.2.840.113549.1.7.1',
  SIGNED_DATA: '1.2.840.113549.1.7.2',
  CONTENT_TYPE: '1.2.840.113549.1.9.3',
  MESSAGE_DIGEST: '1.2.840.113549.1.9.4',
} as const;

const DIGESTS: ReadonlyMap<string, string> = new Map([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
  ['2.16.840.1.101.3.4.2.8', 'sha3-256'],
  ['2.16.840.1.101.3.4.2.9', 'sha3-384'],
  ['2.16.840.1.101.3.4.2.10', 'sha3-512'],
]);

/** Signature algorithms whose parameters say nothing more, and the type of key that they need. */
const KEY_TYPES: ReadonlyMap<string, 'rsa' | 'ec'> = new Map([
  ['1.2.840.113549.1.1.1', 'rsa'],
  ['1.2.840.113549.1.1.11', 'rsa'],
  ['1.2.840.113549.1.1.12', 'rsa'],
  ['1.2.840.113549.1.1.13', 'rsa'],
  ['1.2.840.10045.4.3.2', 'ec'],
  ['1.2.840.10045.4.3.3', 'ec'],
  ['1.2.840.10045.4.3.4', 'ec'],
]);

const MAX_SIGNERS = 8;
const MAX_ATTRIBUTES = 32;

/** How a signature names its key (RFC 5652, 5.3). */
export type SignerIdentifier =
  | { readonly issuer: Uint8Array; readonly serial: Uint8Array }
  | { readonly subjectKeyId: Uint8Array };

/** One signature of a CMS SignedData without content. */
export interface CmsSigner {
  readonly id: SignerIdentifier;
  /** As the kernel names it; undefined when it is not one that is accepted. */
  readonly hash: string | undefined;
  readonly keyType: 'rsa' | 'ec' | undefined;
  /** What is signed instead of the content's digest: attributes, of which one has that digest. */
  readonly attributes: { readonly der: Uint8Array; readonly messageDigest: Uint8Array } | undefined;
  readonly signature: Uint8Array;
}

/**
 * Parses a detached CMS SignedData (RFC 5652, 5.1), as appended signatures of modules and kernels are. Certificates in
 * it are skipped: keys come from a keyring.
 *
 * @throws {ParseError} for anything else, also for SignedData with its content inside
 */
export function parseDetachedCms(bytes: Uint8Array): readonly CmsSigner[] {
  const outer = DerReader.over(bytes, 'CMS');
  const info = outer.sequence('contentInfo');
  if (readOid(info, 'contentType') !== OID.SIGNED_DATA)
    info.fail('contentType', 'is not SignedData', 'bytes.known');
  const content = info.nested(explicitTag(0), 'content');
  const data = content.sequence('signedData');
  const signers = readSignedData(data);
  for (const reader of [data, content, info, outer]) reader.end();
  return signers;
}

function readSignedData(data: DerReader): readonly CmsSigner[] {
  const version = readSmallInteger(data, 'version');
  if (version !== 1 && version !== 3) data.fail('version', `is ${version}, 1 or 3 expected`, 'bytes.known');
  data.element(TAG.SET, 'digestAlgorithms');
  const content = data.sequence('encapContentInfo');
  if (readOid(content, 'eContentType') !== OID.DATA)
    content.fail('eContentType', 'is not data', 'bytes.known');
  if (!content.done) content.fail('eContent', 'is inside, a detached signature is expected');
  data.optional(explicitTag(0), 'certificates');
  data.optional(explicitTag(1), 'crls');
  const list = data.nested(TAG.SET, 'signerInfos');
  const signers: CmsSigner[] = [];
  while (!list.done) {
    if (signers.length === MAX_SIGNERS) list.fail('signerInfos', `more than ${MAX_SIGNERS} signers`);
    signers.push(readSigner(list.sequence('signerInfo')));
  }
  return signers;
}

function readSigner(reader: DerReader): CmsSigner {
  const version = readSmallInteger(reader, 'version');
  const byKeyId = reader.peek(implicitTag(0));
  if (version !== (byKeyId ? 3 : 1))
    reader.fail('version', `${version} does not fit how the signer is named`);
  const id = byKeyId
    ? { subjectKeyId: reader.element(implicitTag(0), 'subjectKeyIdentifier').value }
    : readIssuerAndSerial(reader.sequence('issuerAndSerialNumber'));
  const hash = DIGESTS.get(readAlgorithm(reader.sequence('digestAlgorithm')).oid);
  const attributes = reader.optional(explicitTag(0), 'signedAttrs');
  const keyType = KEY_TYPES.get(readAlgorithm(reader.sequence('signatureAlgorithm')).oid);
  const signature = reader.element(TAG.OCTET_STRING, 'signature').value;
  reader.optional(explicitTag(1), 'unsignedAttrs');
  reader.end();
  const signed = attributes && {
    // The signature is over the attributes as a SET OF, whatever tag they stand under (5.4).
    der: Uint8Array.from(attributes.raw, (octet, i) => (i === 0 ? TAG.SET : octet)),
    messageDigest: readMessageDigest(reader.within(attributes, 'signedAttrs')),
  };
  return { id, hash, keyType, attributes: signed, signature };
}

function readIssuerAndSerial(reader: DerReader): SignerIdentifier {
  const issuer = reader.element(TAG.SEQUENCE, 'issuer').raw;
  const serial = readInteger(reader, 'serialNumber');
  reader.end();
  return { issuer, serial };
}

/** The message-digest attribute; there must be one, and content-type must be data (5.3 and 11.1). */
function readMessageDigest(list: DerReader): Uint8Array {
  const found = new Map<string, DerReader>();
  while (!list.done) {
    if (found.size === MAX_ATTRIBUTES) list.fail('signedAttrs', `more than ${MAX_ATTRIBUTES} attributes`);
    const attribute = list.sequence('attribute');
    const type = readOid(attribute, 'attrType');
    if (found.has(type)) attribute.fail('attrType', 'stands twice', 'bytes.duplicates');
    found.set(type, attribute.nested(TAG.SET, 'attrValues'));
    attribute.end();
  }
  const contentType = found.get(OID.CONTENT_TYPE);
  const digest = found.get(OID.MESSAGE_DIGEST);
  if (contentType === undefined || digest === undefined)
    list.fail('signedAttrs', 'lack content type or digest');
  if (readOid(contentType, 'contentType') !== OID.DATA)
    contentType.fail('contentType', 'is not data', 'bytes.known');
  const { value } = digest.element(TAG.OCTET_STRING, 'messageDigest');
  contentType.end();
  digest.end();
  return value;
}
