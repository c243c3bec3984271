import { type Logger, logText } from '../platform/logging.ts';
import type { AgentEvent, AgentStep } from './events.ts';

const TEXT: Readonly<Record<AgentStep, string>> = {
  listening: 'listening for the verifier',
  'ek-checked': 'endorsement key found',
  'ak-ready': 'attestation key ready',
  challenged: 'the registrar has sent a challenge',
  activated: 'enrolled',
  'enrolment-failed': 'not enrolled',
  waiting: 'waiting for admission',
  admitted: 'admitted',
  quoted: 'quoted',
  'not-trusted': 'the issuer gives no certificate',
  certificate: 'node CA certificate received',
  'material-written': 'node material written',
  revoked: 'trust in this node was ended',
  destroyed: 'node material destroyed',
  hook: 'hook',
  trouble: 'something did not work',
};
const WARNINGS: ReadonlySet<AgentStep> = new Set(['enrolment-failed', 'revoked', 'destroyed', 'trouble']);

/** One line for each step. What servers said is shown escaped. */
export function logEvent(logger: Logger, event: AgentEvent): void {
  const fields = Object.fromEntries(
    Object.entries(event).map(([key, value]) => [
      key,
      typeof value === 'string' ? logText(value, 1000) : value,
    ]),
  );
  if (event.step === 'quoted') logger.debug(fields, TEXT[event.step]);
  else if (WARNINGS.has(event.step) || (event.step === 'hook' && !event.ok))
    logger.warn(fields, TEXT[event.step]);
  else logger.info(fields, TEXT[event.step]);
}
