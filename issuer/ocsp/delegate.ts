import { parseCertificate } from '../../core/x509/certificate.ts';
import type { OcspResponder } from '../../core/x509/ocsp-response.ts';
import { createKeyPair, signWith } from '../../platform/pki/keys.ts';
import { wholeSecond } from '../domain/revocation.ts';
import type { Signer } from '../signer/signer.ts';

/** Short, since nobody can revoke it (id-pkix-ocsp-nocheck). */
const LIFETIME_MS = 24 * 3_600_000;
/** Clocks of relying parties may be behind ours. */
const BACKDATE_MS = 5 * 60_000;

/**
 * One who may answer for an issuing CA (RFC 6960, 4.2.2.2): a key that was made here and is never written anywhere, and
 * a new one when half of its certificate's time has passed. The CA's own key, which may be a slow device, signs no
 * answers.
 */
export function delegates(signer: Signer, clock: () => Date): () => Promise<OcspResponder> {
  let known: { readonly responder: Promise<OcspResponder>; readonly until: number } | undefined;
  return () => {
    const now = clock().getTime();
    if (known && now < known.until) return known.responder;
    const responder = makeDelegate(signer, now);
    const made = { responder, until: now + LIFETIME_MS / 2 };
    known = made;
    // What failed is tried again by whoever asks next.
    responder.catch(() => {
      if (known === made) known = undefined;
    });
    return responder;
  };
}

async function makeDelegate(signer: Signer, now: number): Promise<OcspResponder> {
  const { publicKey, privateKey } = await createKeyPair('p256');
  const der = await signer.signResponder({
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    notBefore: wholeSecond(new Date(now - BACKDATE_MS)),
    notAfter: wholeSecond(new Date(Math.min(now + LIFETIME_MS, signer.notAfter.getTime()))),
  });
  return { certificate: parseCertificate(der), sign: signWith(privateKey) };
}
