import { hash } from 'node:crypto';
import { equalBytes } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import { type CmsSigner, parseDetachedCms, type SignerIdentifier } from './cms.ts';
import type { ImaEntry } from './entry.ts';
import { imaHashAlgo } from './hash-algo.ts';
import type { ImaKey, ImaKeyring } from './key.ts';
import type { ImaSignatureVerdict } from './verify.ts';
import { verifyDigest } from './verify-digest.ts';

/**
 * Checks the signature appended to a module or kernel (fields `modsig` and `d-modsig` of `ima-modsig`). It covers the
 * file without the signature; that digest and the one of the whole file are both measured, so both are the entry's.
 *
 * The kernel gives the list an appended signature as CMS without certificates; keys are taken from `keyring` alone.
 */
export function verifyModsig(entry: ImaEntry, keyring: ImaKeyring): ImaSignatureVerdict {
  const bytes = entry.fields.get('modsig');
  if (bytes === undefined || bytes.length === 0) return { verdict: 'none' };
  const digest = digestOf(entry.fields.get('d-modsig') ?? new Uint8Array());
  if (digest === undefined) return refused('there is no d-modsig that it could be over');
  try {
    const verdicts = parseDetachedCms(bytes).map((signer) => verifySigner(signer, digest, keyring));
    return verdicts.find(({ verdict }) => verdict === 'good') ?? verdicts[0] ?? refused('it has no signer');
  } catch (error) {
    if (error instanceof ParseError) return refused(error.message);
    throw error;
  }
}

function verifySigner(
  signer: CmsSigner,
  digest: { readonly algo: string; readonly value: Uint8Array },
  keyring: ImaKeyring,
): ImaSignatureVerdict {
  const { attributes, hash: algo, keyType } = signer;
  if (algo === undefined || keyType === undefined)
    return refused('it is made with an algorithm that is not accepted');
  const key = keyring.keys.find((candidate) => isNamed(candidate, signer.id));
  if (key === undefined) return { verdict: 'unknown-key', keyId: nameOf(signer.id) };
  const bad = { verdict: 'bad', keyId: nameOf(signer.id) } as const;
  if (key.publicKey.asymmetricKeyType !== keyType) return bad;
  if (algo !== digest.algo) return refused(`it is over a ${algo}, d-modsig is a ${digest.algo}`);
  if (attributes !== undefined && !equalBytes(attributes.messageDigest, digest.value)) return bad;
  const signed = attributes === undefined ? digest.value : hash(algo, attributes.der, 'buffer');
  return verifyDigest(key, algo, signed, signer.signature) ? { verdict: 'good', key } : bad;
}

/** `algorithm:`, NUL and the digest, as the list's parser has found it; `undefined` for an empty field. */
function digestOf(field: Uint8Array): { readonly algo: string; readonly value: Uint8Array } | undefined {
  const end = field.indexOf(0);
  const algo = imaHashAlgo(Buffer.from(field.subarray(0, Math.max(end - 1, 0))).toString('latin1'));
  return algo && { algo: algo.name, value: field.subarray(end + 1) };
}

function isNamed(key: ImaKey, id: SignerIdentifier): boolean {
  if ('subjectKeyId' in id) return equalBytes(id.subjectKeyId, key.subjectKeyId);
  return (
    key.issuer !== undefined &&
    equalBytes(id.issuer, key.issuer.name) &&
    equalBytes(id.serial, key.issuer.serial)
  );
}

function nameOf(id: SignerIdentifier): string {
  return Buffer.from('subjectKeyId' in id ? id.subjectKeyId : id.serial).toString('hex');
}

function refused(why: string): ImaSignatureVerdict {
  return { verdict: 'refused', why };
}
