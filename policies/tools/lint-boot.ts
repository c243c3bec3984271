import type { PolicyDocument } from '../language/schema.ts';
import type { Remark } from './lint.ts';

/** What a section `boot` lets pass without need. */
export function lintBoot({ boot }: PolicyDocument): Remark[] {
  if (!boot || boot.profile === 'no-log') return [];
  const remarks: Remark[] = [];
  const tell = (code: string, key: string, problem: string, advice: string) =>
    remarks.push({ code, path: ['boot', key], problem, advice });
  if (boot.applications === 'any') {
    const advice = 'name digests, digest sets, or signed where Secure Boot is on';
    tell('boot.applications', 'applications', 'any boot loader and any kernel may run', advice);
  }
  if (boot.applications === 'signed' && boot.authorities === undefined) {
    const advice = 'name the certificates of your distribution in authorities';
    tell(
      'boot.authorities',
      'applications',
      'whatever somebody whom the firmware trusts has signed may run, such as the live system of another distribution',
      advice,
    );
  }
  if (boot['secure-boot'] === 'any' && boot.files === 'any') {
    const advice = 'require Secure Boot, or name the digests in files';
    tell(
      'boot.files',
      'files',
      'nothing checks the kernel and the initrd: no signature, and no digest',
      advice,
    );
  }
  if (boot['command-line'] === 'any' && boot.profile !== 'uki') {
    const advice = 'forbid what goes around init and around IMA, such as init=* and ima_appraise=off';
    tell(
      'boot.command-line',
      'command-line',
      'the kernel may be started in any way, such as with init=/bin/sh',
      advice,
    );
  }
  return remarks;
}
