import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import type { AgentConfig } from '../config.ts';
import { fetchPinnedCa, pinOf } from '../service-ca.ts';
import { createServiceClient } from '../service-client.ts';
import { type CheckResult, fail, ok, systemCode, warn, why } from './result.ts';

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
    return [fail('registrar', why(error), adviceFor(error)), ...clockFindings(error, now())];
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

const BY_CLOCK: ReadonlyMap<string, string> = new Map([
  ['CERT_NOT_YET_VALID', 'is not valid yet'],
  ['CERT_HAS_EXPIRED', 'is over'],
]);

/** A clock that is far wrong shows as a certificate that is not valid, before anybody can tell the time. */
function clockFindings(error: unknown, now: Date): CheckResult[] {
  const what = BY_CLOCK.get(tlsCode(error) ?? '');
  if (what === undefined) return [];
  const message = `this machine's clock says ${now.toISOString()}, and then the registrar's certificate ${what}`;
  return [fail('clock', message, 'start a time service: timedatectl set-ntp true')];
}

/** What TLS said below the error that reports it. */
function tlsCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const code = systemCode(at);
    if (code !== undefined && /^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code)) return code;
  }
  return undefined;
}

function adviceFor(error: unknown): string {
  const code = tlsCode(error);
  if (code !== undefined && BY_CLOCK.has(code)) {
    return 'set the clock; if it is right, the services need new certificates: assay init DIR --renew';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'use a name or address of the registrar that its certificate holds, or renew the certificate with this one';
  }
  if (code !== undefined) return 'the CA that is configured is not the one of this registrar: correct "ca"';
  if (error instanceof AssayError && error.code === 'unauthenticated') {
    return 'compare the pin with the one that "assay token create" prints; if it is right, do not go on';
  }
  if (error instanceof AssayError && error.code === 'unavailable') {
    return 'is the address right, is the registrar running, does a firewall allow the connection?';
  }
  return 'correct "registrar" and "ca" or "ca-pin" in the configuration';
}
