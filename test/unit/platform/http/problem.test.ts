import { expect, test } from 'vitest';
import { AssayError, ParseError } from '../../../../core/errors.ts';
import { problemOf, STATUS } from '../../../../platform/http/problem.ts';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { silent } from './toy-server.ts';

const access = { config: { access: ['public'] as const } };

function serverThatThrows(error: unknown) {
  const app = createHttpServer({ service: 'toy', logger: silent });
  app.get('/', access, async () => {
    throw error;
  });
  return app;
}

test('an error of ours is shown with its code, words and findings', async () => {
  const error = new AssayError('identity-refused', 'the EK certificate is not trusted', {
    details: [{ rule: 'ek.chain', message: 'no path' }],
    cause: new Error('secret of the log'),
  });
  const app = serverThatThrows(error);
  const answer = await app.inject('/');
  expect(answer.statusCode).toBe(422);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.json()).toEqual({
    type: 'about:blank',
    title: 'Refused',
    status: 422,
    code: 'identity-refused',
    detail: 'the EK certificate is not trusted',
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    findings: [{ rule: 'ek.chain', message: 'no path' }],
  });
  await app.close();
});

const hidden: readonly [name: string, error: unknown][] = [
  ['an unexpected error', new TypeError('cannot read properties of /etc/assay/secret')],
  ['something that is no error', 'secret'],
  ['a fault of our configuration', new AssayError('invalid-config', 'secret path')],
  [
    'an error of a library that calls itself a server error',
    Object.assign(new Error('secret'), { statusCode: 502 }),
  ],
];
for (const [name, error] of hidden) {
  test(`${name} is a 500 without detail, and a number to look up`, async () => {
    const app = serverThatThrows(error);
    const answer = await app.inject('/');
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain('secret');
    expect(answer.json()).toMatchObject({ code: 'internal', requestId: expect.any(String) });
    await app.close();
  });
}

test('a database that is away is a 503 that says to come back', async () => {
  const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED', syscall: 'connect' });
  const app = serverThatThrows(new Error('Failed query: x\nparams: secret', { cause }));
  const answer = await app.inject('/');
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toBe('2');
  expect(answer.json()).toMatchObject({
    code: 'unavailable',
    detail: 'the database does not answer; try again',
  });
  await app.close();
});

test('a route can answer errors in another form', async () => {
  const app = createHttpServer({ service: 'toy', logger: silent });
  const errorHandler = (
    error: unknown,
    _request: unknown,
    reply: { status(code: number): { send(body: object): unknown } },
  ) => reply.status(problemOf(error, '').status).send({ code: 404, status: 'not here', results: {} });
  app.get('/keylime', { ...access, errorHandler }, async () => {
    throw new AssayError('not-found', 'x');
  });
  app.get('/keylime/closed', { config: { access: ['admin'] }, errorHandler }, async () => 'x');
  expect((await app.inject('/keylime')).json()).toEqual({ code: 404, status: 'not here', results: {} });
  const refused = await app.inject('/keylime/closed');
  expect([refused.statusCode, refused.json().results]).toEqual([401, {}]);
  await app.close();
});

test('an unknown path is a problem too, without its query', async () => {
  const app = createHttpServer({ service: 'toy', logger: silent });
  const answer = await app.inject('/nowhere?token=secret');
  expect(answer.json()).toMatchObject({ status: 404, detail: 'there is no GET /nowhere' });
  await app.close();
});

test('every status is one of an error', () => {
  for (const status of Object.values(STATUS)) expect(status).toBeGreaterThanOrEqual(400);
  expect(problemOf(new ParseError('TPMS_ATTEST.magic', 0, 'is wrong'), 'id')).toMatchObject({
    status: 400,
    code: 'malformed',
    detail: 'TPMS_ATTEST.magic at byte 0: is wrong',
  });
});
