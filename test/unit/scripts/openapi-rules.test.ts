import { expect, test } from 'vitest';
import { openApiProblems } from '../../../scripts/openapi-rules.ts';

const description = 'Done';
const content = { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } };

function operation(changes: object = {}) {
  return {
    operationId: 'getThing',
    summary: 'A thing',
    parameters: [{ in: 'path', name: 'id' }],
    'x-access': ['admin', 'viewer'],
    security: [{ clientCertificate: ['admin'] }, { clientCertificate: ['viewer'] }],
    responses: { 200: { description, content }, default: { description, content } },
    ...changes,
  };
}

function documentOf(get: object, more: object = {}) {
  const schemas = { Thing: { type: 'object' }, ...more };
  return { openapi: '3.1.0', paths: { '/v1/things/{id}': { get } }, components: { schemas } };
}

test('a complete document has no problems', () => {
  expect(openApiProblems(documentOf(operation()))).toEqual([]);
});

const wrong: readonly (readonly [name: string, changes: object, problem: RegExp])[] = [
  ['no operationId', { operationId: undefined }, /operationId is missing/],
  ['no summary', { summary: '' }, /summary is missing/],
  ['no access', { 'x-access': [] }, /x-access is missing/],
  ['an unknown role', { 'x-access': ['root'] }, /x-access root is unknown/],
  ['security for one role of two', { security: [{ clientCertificate: ['admin'] }] }, /security is not/],
  ['public access with a certificate', { 'x-access': ['public'] }, /security is not/],
  ['no success', { responses: { default: { description, content } } }, /no answer of success/],
  ['no errors', { responses: { 200: { description, content } } }, /errors are not described/],
  [
    'a response without a description',
    {
      responses: {
        200: { description: 'Default Response', content },
        default: { description, content },
      },
    },
    /200 has no description/,
  ],
  [
    'a response without content',
    { responses: { 200: { description }, default: { description, content } } },
    /200 has no content/,
  ],
  ['a body without content', { requestBody: { content: {} } }, /the request body has no content/],
  ['a parameter that is not described', { parameters: [] }, /\{id\} is not described/],
  [
    'a parameter that is not in the path',
    {
      parameters: [
        { in: 'path', name: 'id' },
        { in: 'path', name: 'other' },
      ],
    },
    /other is not in the path/,
  ],
];

for (const [name, changes, problem] of wrong) {
  test(`${name} is a problem`, () => {
    expect(openApiProblems(documentOf(operation(changes)))).toEqual([expect.stringMatching(problem)]);
  });
}

test('references lead somewhere, and schemas are used', () => {
  const document = documentOf(operation(), { Other: { $ref: '#/components/schemas/Nothing' } });
  expect(openApiProblems(document)).toEqual([
    '#/components/schemas/Other: #/components/schemas/Nothing is not there',
    'nothing uses the schema Other',
  ]);
});

test('an operationId is one operation', () => {
  const { paths, ...rest } = documentOf(operation());
  const get = operation({ parameters: [] });
  expect(openApiProblems({ ...rest, paths: { ...paths, '/v1/things': { get } } })).toEqual([
    expect.stringMatching(/GET \/v1\/things: the operationId getThing/),
  ]);
});

test('a document of another version, or without operations, is none of ours', () => {
  expect(openApiProblems({ openapi: '3.0.3', paths: {} })).toEqual([
    expect.stringMatching(/3\.1\.0/),
    'there is no operation',
  ]);
});
