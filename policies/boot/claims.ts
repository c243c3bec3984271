import { bootApplications } from './applications.ts';
import type { BootPolicy } from './boot-rules.ts';
import { commandLines } from './command-line.ts';
import { firmwareVersions } from './firmware.ts';
import type { MeasuredBoot } from './measured.ts';
import type { SecureBootState } from './secure-boot.ts';

/** What a quote proves of a boot. Texts are the node's: show them escaped. */
export interface BootClaims {
  readonly firmwareVersions: readonly string[];
  /** `undefined` where the firmware says nothing of it. */
  readonly secureBoot: boolean | undefined;
  /** Hex SHA-256 of the certificates, or digests, that vouched for images, and in which variable they were. */
  readonly authorities: readonly { readonly variable: string; readonly digest: string }[];
  /** Generation below which shim revokes a component. */
  readonly sbat: Readonly<Record<string, number>>;
  /** Hex digests of the images that ran, in order. */
  readonly applications: readonly string[];
  /** Command lines of kernels; where only a digest is proven, and no text is known for it, the digest in hex. */
  readonly commandLines: readonly string[];
}

export function bootClaims(policy: BootPolicy, boot: MeasuredBoot, state: SecureBootState): BootClaims {
  const known = policy.commandLine === 'any' ? [] : policy.commandLine.anyOf;
  return {
    firmwareVersions: firmwareVersions(boot),
    secureBoot: state.enabled,
    authorities: state.authorities.map(({ variable, signature: { digest } }) => ({ variable, digest })),
    sbat: Object.fromEntries(state.sbat ?? []),
    applications: bootApplications(boot).map(({ digest }) => digest),
    commandLines: commandLines(policy.profile, boot, known).map(({ text, event }) => text ?? event.digest),
  };
}
