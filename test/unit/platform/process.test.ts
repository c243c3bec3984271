import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { backoff, pause } from '../../../platform/backoff.ts';
import { Lifecycle } from '../../../platform/lifecycle.ts';
import { createLogger, logText } from '../../../platform/logging.ts';

function capture() {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'debug',
    name: 'test',
    destination: { write: (line) => void lines.push(line) },
  });
  return { logger, text: () => lines.join('') };
}

describe('backoff', () => {
  test('doubles up to the longest wait, and starts over', () => {
    const wait = backoff({ firstMs: 100, longestMs: 500, random: () => 0.5 });
    expect([wait.next(), wait.next(), wait.next(), wait.next(), wait.next()]).toEqual([
      100, 200, 400, 500, 500,
    ]);
    wait.reset();
    expect(wait.next()).toBe(100);
  });

  test('spreads the waits by half their length', () => {
    const waits = [0, 0.999999].map((random) =>
      backoff({ firstMs: 1000, longestMs: 1000, random: () => random }).next(),
    );
    expect(waits[0]).toBe(750);
    expect(waits[1]).toBeCloseTo(1250, 0);
  });

  test('a pause ends early when it is told to', async () => {
    const stop = new AbortController();
    const started = Date.now();
    setTimeout(() => stop.abort(), 20);
    await pause(60_000, stop.signal);
    await pause(60_000, stop.signal);
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe('logging', () => {
  test('api.own: secrets are redacted, wherever they stand', () => {
    const { logger, text } = capture();
    const token = 's3cret';
    logger.info(
      { token, headers: { authorization: token }, request: { body: { joinToken: token } }, key: token },
      'x',
    );
    expect(text()).not.toContain('s3cret');
    expect(text()).toContain('[redacted]');
  });

  test('an error is logged by name, message, code and causes, without the rest of what it carries', () => {
    const { logger, text } = capture();
    const cause = Object.assign(new Error('duplicate key'), { code: '23505', request: { body: 's3cret' } });
    const error = new Error('Failed query: insert into t values ($1)\nparams: s3cret,\ns3cret too', {
      cause,
    });
    logger.error({ err: error }, 'x');
    logger.error({ err: 's3cret is not an error\u001b[31m' }, 'x');
    expect(text().replace('s3cret is not', '')).not.toContain('s3cret');
    expect(text()).toContain('"code":"23505"');
    expect(text()).toContain('insert into t values');
    expect(text()).not.toContain('\u001b');
  });

  test('bytes.text: what a node says cannot forge a line', () => {
    expect(logText('a\nb\u001b[2J\u202e')).toBe('a\\x0ab\\x1b[2J\\u{202e}');
    expect(logText('x'.repeat(500))).toHaveLength(201);
  });
});

describe('the end of a process', () => {
  test('parts are closed in reverse order, once, and one that fails keeps none open', async () => {
    const { logger, text } = capture();
    const order: string[] = [];
    const parts = new Lifecycle(logger);
    const part = (name: string, fails = false) =>
      parts.own(name, {
        close: async () => {
          order.push(name);
          if (fails) throw new Error('stuck');
        },
      });
    part('database');
    part('queue', true);
    part('http');
    await Promise.all([parts.close(), parts.close()]);
    await parts.close();
    expect(order).toEqual(['http', 'queue', 'database']);
    expect(text()).toContain('"part":"queue"');
  });

  const program = fileURLToPath(new URL('closing-program.ts', import.meta.url));

  async function run(
    mode: string,
    signals: readonly NodeJS.Signals[],
  ): Promise<{ code: number | null; text: string }> {
    const child = spawn(process.execPath, [program, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    const rest = [...signals];
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const signal = rest.shift();
      if (signal) child.kill(signal);
    });
    const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
    return { code, text };
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends it in order`, async () => {
      expect(await run('quick', [signal])).toEqual({
        code: 0,
        text: `ready\nclosing after ${signal}\nclosed\n`,
      });
    });
  }

  test('a second signal ends it at once', async () => {
    const { code, text } = await run('stuck', ['SIGTERM', 'SIGINT']);
    expect(code).toBe(130);
    expect(text).not.toContain('closed');
  });

  test('a close that takes too long ends it', async () => {
    expect((await run('late', ['SIGTERM'])).code).toBe(1);
  });
});
