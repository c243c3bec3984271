import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import type { AgentConfig } from '../config.ts';
import { fetchPinnedCa, pinOf } from '../service-ca.ts';
import { createServiceClient } from '../service-client.ts';
import { type CheckResult, fail, ok, warn, why } from './result.ts';

const NOTICEABLE_SKEW_MS = 5_000;
/** Certificates are back-dated by at least this much. */
const HARMFUL_SKEW_MS = 60_000;
const Discovery = Type.Object({ issuer: Type.String() });

/** Whether the registrar answers, is the right one, and has the same time as we. */
export async function checkRegistrar(config: AgentConfig, now: () => Date): Promise<CheckResult[]> {
  try {
    const { registrar: url } = config;
    const ca = await caOf(config);
    const client = createServiceClient({ url, name: 'registrar', ca });
    try {
      const { issuer } = await client.get('/v1/discovery', Discovery);
      const pin = `sha256:${pinOf(new X509Certificate(ca)).slice(0, 16)}…`;
      const answer = ok(
        'registrar',
        `${url} answers, its CA is the expected one (${pin}); the issuer is ${issuer}`,
      );
      return [answer, checkClock(now(), client.serverTime)];
    } finally {
      await client.close();
    }
  } catch (error) {
    return [fail('registrar', why(error), adviceFor(error))];
  }
}

function caOf({ ca, registrar }: AgentConfig): Promise<string> {
  return ca.type === 'file' ? readFile(ca.path, 'utf8') : fetchPinnedCa(registrar, ca.sha256);
}

/** A certificate that is not valid yet by our clock, or over, is of no use. */
export function checkClock(here: Date, there: Date | undefined): CheckResult {
  if (there === undefined)
    return warn('clock', 'the registrar does not tell the time', 'compare the clocks by hand');
  const skewMs = here.getTime() - there.getTime();
  const amount = `${Math.abs(Math.round(skewMs / 1000))} s ${skewMs > 0 ? 'ahead of' : 'behind'} the registrar's`;
  if (Math.abs(skewMs) >= HARMFUL_SKEW_MS) {
    return fail(
      'clock',
      `this machine's clock is ${amount}`,
      'start a time service: timedatectl set-ntp true',
    );
  }
  if (Math.abs(skewMs) >= NOTICEABLE_SKEW_MS) {
    return warn(
      'clock',
      `this machine's clock is ${amount}`,
      'start a time service: timedatectl set-ntp true',
    );
  }
  return ok('clock', "this machine's clock is that of the registrar");
}

function adviceFor(error: unknown): string {
  if (error instanceof AssayError && error.code === 'unauthenticated') {
    return 'compare the pin with the one that "assay token create" prints; if it is right, do not go on';
  }
  if (error instanceof AssayError && error.code === 'unavailable') {
    return 'is the address right, is the registrar running, does a firewall allow the connection?';
  }
  return 'correct "registrar" and "ca" or "ca-pin" in the configuration';
}
