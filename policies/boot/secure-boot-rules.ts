import type { Finding } from '../../core/finding.ts';
import type { BootPolicy, SignatureListName, SignatureListRule, SignatureMatch } from './boot-rules.ts';
import { bootFinding, eventFinding, SECURE_BOOT } from './finding.ts';
import type { MeasuredBoot } from './measured.ts';
import type { SecureBootState, TrustedSignature } from './secure-boot.ts';

const PCR = 7;

/** Rules of Secure Boot: its state, what the firmware trusts, and what vouched for the images. */
export function evaluateSecureBoot(
  policy: BootPolicy,
  boot: MeasuredBoot,
  state: SecureBootState,
): Finding[] {
  if (boot.explained.get(PCR)?.status !== 'replays') return [];
  const findings: Finding[] = [];
  if (policy.secureBoot === 'required' && state.enabled !== true) {
    const found = state.enabled === false ? 'off' : 'not stated by the firmware';
    const message = `Secure Boot is ${found}, the policy requires it`;
    const more = { found, expected: ['on'], remedy: SECURE_BOOT };
    findings.push(bootFinding('boot.secure-boot', PCR, message, more));
  }
  for (const [name, rule] of policy.lists) findings.push(...evaluateList(name, rule, state.lists.get(name)));
  return [...findings, ...evaluateSbat(policy, state), ...evaluateAuthorities(policy, state)];
}

function evaluateList(
  name: SignatureListName,
  { only, include }: SignatureListRule,
  found: readonly TrustedSignature[] | undefined,
): Finding[] {
  const rule = `boot.${name.toLowerCase()}`;
  const tell = (message: string, remedy?: string) =>
    bootFinding(rule, PCR, message, remedy === undefined ? {} : { remedy });
  if (!found) return [tell(`the firmware measured no ${name}, and the policy has a rule for it`)];
  const strange = only ? found.filter((one) => !only.some((match) => fits(match, one))) : [];
  const missing = include.filter((match) => !found.some((one) => fits(match, one)));
  return [
    ...strange.map((one) =>
      tell(
        `${name} has ${renderSignature(one)}, which the policy does not know`,
        `take it out of the firmware, or add it to boot.keys.${name}`,
      ),
    ),
    ...missing.map((match) =>
      tell(`${name} lacks ${renderMatch(match)}`, `update ${name} of the firmware, such as with fwupdmgr`),
    ),
  ];
}

function evaluateSbat({ sbat }: BootPolicy, state: SecureBootState): Finding[] {
  return [...sbat].flatMap(([component, floor]) => {
    const found = state.sbat?.get(component);
    if (found !== undefined && found >= floor) return [];
    const is = found === undefined ? 'not revoked at all' : `revoked below generation ${found}`;
    const message = `${component} is ${is}, the policy wants below ${floor}`;
    const remedy = 'update shim, and its SbatLevel (mokutil --set-sbat-policy latest), and reboot';
    return [bootFinding('boot.sbat', PCR, message, { remedy })];
  });
}

function evaluateAuthorities({ authorities }: BootPolicy, state: SecureBootState): Finding[] {
  if (!authorities) return [];
  return state.authorities
    .filter(({ signature }) => !authorities.some((match) => fits(match, signature)))
    .map(({ event, signature }) =>
      eventFinding(
        'boot.authority',
        PCR,
        event,
        `vouched for an image, and the policy does not accept it: ${renderSignature(signature)}`,
        { found: signature.digest, remedy: 'add it to boot.authorities, or boot what others vouch for' },
      ),
    );
}

function fits({ certificate, image, owner }: SignatureMatch, one: TrustedSignature): boolean {
  if (certificate !== undefined && !(one.type === 'x509' && one.digest === certificate)) return false;
  if (image !== undefined && !(one.type === 'sha256' && one.digest === image)) return false;
  return owner === undefined || owner === one.owner;
}

function renderSignature({ type, digest, owner }: TrustedSignature): string {
  const what = type === 'x509' ? `the certificate ${digest}` : `${type} ${digest}`;
  return owner === undefined ? `${what}, which has no owner` : `${what} of owner ${owner}`;
}

function renderMatch({ certificate, image, owner }: SignatureMatch): string {
  const what = certificate !== undefined ? `the certificate ${certificate}` : `the image digest ${image}`;
  if (certificate === undefined && image === undefined) return `an entry of owner ${owner}`;
  return owner === undefined ? what : `${what} of owner ${owner}`;
}
