import { spkiOf } from '../../core/tpm/key.ts';
import type { TpmtPublic } from '../../core/tpm/public.ts';
import { renderPem } from '../../core/x509/pem.ts';
import type { KeyedCertificate, Validity } from '../../platform/pki/certify.ts';
import { createEkCertificate, createManufacturerCa } from '../../platform/pki/manufacturer.ts';

const YEAR_MS = 365 * 24 * 3600 * 1000;
const TPM = { manufacturer: 'id:41535359', model: 'fleet', version: 'id:20240001' };

/** Stands in for the maker of all TPMs of a fleet: one root that certifies their EKs. */
export class FleetManufacturer {
  readonly #root: KeyedCertificate;
  readonly #validity: Validity;

  private constructor(root: KeyedCertificate, validity: Validity) {
    this.#root = root;
    this.#validity = validity;
  }

  static async create(now: Date): Promise<FleetManufacturer> {
    const validity = {
      notBefore: new Date(now.getTime() - YEAR_MS),
      notAfter: new Date(now.getTime() + 10 * YEAR_MS),
    };
    return new FleetManufacturer(
      await createManufacturerCa({ commonName: 'Fleet simulator TPM root', ...validity }),
      validity,
    );
  }

  /** What the registrar must trust, in PEM. */
  get root(): string {
    return renderPem('CERTIFICATE', this.#root.certificate.der);
  }

  /** DER of the EK certificate of a TPM. */
  async certify(ek: TpmtPublic): Promise<Uint8Array> {
    const { der } = await createEkCertificate({
      ca: this.#root,
      ekSpki: spkiOf(ek),
      keyType: 'ecc',
      tpm: TPM,
      ...this.#validity,
    });
    return der;
  }
}
