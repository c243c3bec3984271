import { fromHex, toHex } from '../bytes/encoding.ts';
import type { Finding } from '../finding.ts';
import type { HashName } from './constants.ts';
import type { EccCurve } from './curve.ts';
import { type TpmaObject, tpmaObject } from './object-attributes.ts';
import type { RsaKeyBits, TpmtPublic, TpmtPublicEcc } from './public.ts';
import { weaknessOf } from './weak-key.ts';

/** PolicyA (TCG EK Credential Profile 2.5, B.6.2): TPM2_PolicySecret with the endorsement hierarchy. */
const POLICY_A_SHA256 = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';

/** PolicyB (B.6.5): PolicyA or PolicyC, where PolicyC is an index that the platform's maker controls. */
const POLICY_B: Readonly<Record<Exclude<HashName, 'sha1'>, string>> = {
  sha256: 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
  sha384: 'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  sha512:
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
};

const KNOWN_POLICIES = new Set([POLICY_A_SHA256, ...Object.values(POLICY_B)]);
const REQUIRED = ['fixedTPM', 'fixedParent', 'restricted', 'decrypt'] as const;

const LOW_RANGE = tpmaObject(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const HIGH_RANGE: TpmaObject = { ...LOW_RANGE, userWithAuth: true };

/**
 * Default templates of the TCG EK Credential Profile 2.5 (B.3, B.4), by their names there: the public
 * areas from which TPM2_CreatePrimary makes the same EK each time.
 */
export const EK_TEMPLATES = {
  'L-1': rsaTemplate(2048, lowRange(), new Uint8Array(256)),
  'L-2': eccTemplate('p256', lowRange(), new Uint8Array(32)),
  'H-1': rsaTemplate(2048, highRange('sha256')),
  'H-2': eccTemplate('p256', highRange('sha256')),
  'H-3': eccTemplate('p384', highRange('sha384')),
  'H-4': eccTemplate('p521', highRange('sha512')),
  'H-6': rsaTemplate(3072, highRange('sha384')),
  'H-7': rsaTemplate(4096, highRange('sha384')),
} as const satisfies Record<string, TpmtPublic>;

/**
 * What is wrong with a public area that shall be an endorsement key: all of it, or nothing. Does not say
 * whose TPM it is; that is for the EK certificate to show (rules `ek.chain` and `ek.same`).
 */
export function checkEndorsementKey(publicArea: TpmtPublic): readonly Finding[] {
  const findings = [
    ...checkAttributes(publicArea),
    ...checkPolicy(publicArea),
    ...checkProtection(publicArea),
  ];
  const weakness = weaknessOf(publicArea);
  if (weakness !== undefined) findings.push({ rule: 'ek.weak', message: `the EK is ${weakness}` });
  return findings;
}

function checkAttributes({ objectAttributes }: TpmtPublic): readonly Finding[] {
  const problems: string[] = REQUIRED.filter((name) => !objectAttributes[name]).map(
    (name) => `${name} is CLEAR`,
  );
  if (objectAttributes.sign) problems.push('sign is SET');
  if (problems.length === 0) return [];
  const message = `an endorsement key is a restricted decryption key that never leaves its TPM; of this one ${problems.join(', ')}`;
  return [{ rule: 'ek.attributes', message }];
}

function checkPolicy({ authPolicy }: TpmtPublic): readonly Finding[] {
  if (KNOWN_POLICIES.has(toHex(authPolicy))) return [];
  const message = "the EK's authorisation policy is of no TCG template, so others than its owner may use it";
  return [{ rule: 'ek.policy', message }];
}

/** Without these, MakeCredential has nothing to encrypt with, or a broken hash to derive it from. */
function checkProtection({ symmetric, nameAlg }: TpmtPublic): readonly Finding[] {
  const findings: Finding[] = [];
  if (symmetric.type !== 'aes' || symmetric.mode !== 'cfb') {
    findings.push({ rule: 'ek.symmetric', message: 'the EK does not protect credentials with AES-CFB' });
  }
  if (nameAlg === 'sha1') {
    findings.push({
      rule: 'ek.symmetric',
      message: "the EK's name algorithm is SHA-1, SHA-256 or better expected",
    });
  }
  return findings;
}

type EkCommon = Pick<TpmtPublic, 'nameAlg' | 'objectAttributes' | 'authPolicy' | 'symmetric'>;

function lowRange(): EkCommon {
  const authPolicy = fromHex(POLICY_A_SHA256, 'PolicyA');
  const symmetric = { type: 'aes', keyBits: 128, mode: 'cfb' } as const;
  return { nameAlg: 'sha256', objectAttributes: LOW_RANGE, authPolicy, symmetric };
}

function highRange(nameAlg: keyof typeof POLICY_B): EkCommon {
  const authPolicy = fromHex(POLICY_B[nameAlg], 'PolicyB');
  const symmetric = { type: 'aes', keyBits: nameAlg === 'sha256' ? 128 : 256, mode: 'cfb' } as const;
  return { nameAlg, objectAttributes: HIGH_RANGE, authPolicy, symmetric };
}

function rsaTemplate(keyBits: RsaKeyBits, common: EkCommon, unique = new Uint8Array()): TpmtPublic {
  return { type: 'rsa', ...common, scheme: { type: 'null' }, keyBits, exponent: 0, unique };
}

function eccTemplate(curve: EccCurve, common: EkCommon, coordinate = new Uint8Array()): TpmtPublicEcc {
  const unique = { x: coordinate, y: coordinate };
  return { type: 'ecc', ...common, scheme: { type: 'null' }, curve, kdf: { type: 'null' }, unique };
}
