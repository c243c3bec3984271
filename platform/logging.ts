import { pino } from 'pino';
import { printable } from '../core/bytes/encoding.ts';

export type Logger = pino.Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

// Names under which a secret could stand in a logged object, at the top and up to two levels down.
const SECRETS = [
  'authorization',
  'token',
  'joinToken',
  'secret',
  'proof',
  'auth_tag',
  'authTag',
  'key',
  'privateKey',
  'passphrase',
  'password',
  'connectionString',
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
    redact: {
      paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[redacted]',
    },
    serializers: { err: renderError },
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

interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

// Named fields only: errors of libraries carry whole requests, and a failed query its parameters.
function renderError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: logText(String(error)) };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const message = withoutParameters(error.message);
  return {
    type: error.constructor.name,
    message,
    ...code,
    ...(error.stack ? { stack: withoutParameters(error.stack) } : {}),
    ...(error.cause !== undefined && depth < 5 ? { cause: renderError(error.cause, depth + 1) } : {}),
  };
}

// Drizzle puts the values into the message, which the stack repeats.
function withoutParameters(text: string): string {
  return text.startsWith('Failed query: ') || text.includes(': Failed query: ')
    ? text.replace(/\nparams: [\s\S]*?(?=\n {4}at |(?![\s\S]))/, '\nparams: [redacted]')
    : text;
}
