import { pino } from 'pino';
import { printable } from '../core/bytes/encoding.ts';

export type Logger = pino.Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

// Names under which a secret could stand in a logged object, at the top and one level down.
const SECRETS = [
  'authorization',
  'token',
  'joinToken',
  'secret',
  'proof',
  'auth_tag',
  'key',
  'privateKey',
  'passphrase',
  'password',
];

/** JSON lines on standard output (or `destination`), with secrets redacted. */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly name: string;
  readonly destination?: pino.DestinationStream;
}): Logger {
  const settings: pino.LoggerOptions = {
    name: options.name,
    level: options.level,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    base: { name: options.name },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** Text that a node chose, as it may stand in a log line (rule `bytes.text`). */
export function logText(value: string | Uint8Array, longest = 200): string {
  const text = printable(value);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
