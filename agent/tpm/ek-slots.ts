import type { EK_TEMPLATES } from '../../core/tpm/endorsement-key.ts';

export type EkTemplateName = keyof typeof EK_TEMPLATES;
export type EkAlgorithm = 'rsa2048' | 'ecc256' | 'ecc384' | 'ecc521' | 'rsa3072' | 'rsa4096';

/** Where a TPM keeps what belongs to one EK template (TCG EK Credential Profile 2.5, section 2.2.1.4). */
export interface EkSlot {
  readonly template: EkTemplateName;
  readonly algorithm: EkAlgorithm;
  /** NV index of the certificate. */
  readonly certificateIndex: number;
  /** NV index of a nonce that goes into the template's `unique`; the low range only. */
  readonly nonceIndex?: number;
  /** NV index of a template that the manufacturer uses in place of the TCG's. */
  readonly templateIndex: number;
}

/**
 * In the order of preference: nearly every TPM has a certificate in the first. The order must stay as it
 * is, because the EK that comes first is the identity of nodes that are configured with `auto`.
 */
export const EK_SLOTS: readonly EkSlot[] = [
  lowRange('L-1', 'rsa2048', 0x01c00002),
  lowRange('L-2', 'ecc256', 0x01c0000a),
  highRange('H-1', 'rsa2048', 0x01c00012),
  highRange('H-2', 'ecc256', 0x01c00014),
  highRange('H-3', 'ecc384', 0x01c00016),
  highRange('H-4', 'ecc521', 0x01c00018),
  highRange('H-6', 'rsa3072', 0x01c0001c),
  highRange('H-7', 'rsa4096', 0x01c0001e),
];

function lowRange(template: EkTemplateName, algorithm: EkAlgorithm, certificateIndex: number): EkSlot {
  const [nonceIndex, templateIndex] = [certificateIndex + 1, certificateIndex + 2];
  return { template, algorithm, certificateIndex, nonceIndex, templateIndex };
}

function highRange(template: EkTemplateName, algorithm: EkAlgorithm, certificateIndex: number): EkSlot {
  return { template, algorithm, certificateIndex, templateIndex: certificateIndex + 1 };
}
