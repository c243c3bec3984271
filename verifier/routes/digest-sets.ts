import Type from 'typebox';
import { AssayError, ParseError } from '../../core/errors.ts';
import { Instant } from '../../core/messages/common.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { addDigestSet, listDigestSets, readDigestSet } from '../store/digest-sets.ts';
import type { RoutesDeps } from './deps.ts';

const MAX_SET_BYTES = 512 * 1024 * 1024;
const BINARY = 'application/octet-stream';
const SetId = Type.String({ pattern: '^sha256:[0-9a-f]{64}$' });
const SetName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._:+~-]{0,127}$' });
const Summary = Type.Object(
  {
    id: SetId,
    name: SetName,
    entries: Type.Integer(),
    sizeBytes: Type.Integer(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { title: 'DigestSetSummary' },
);

/** Digest sets: which bytes may be at which path. Policies name them by id. */
export function digestSetRoutes(app: App, { database }: RoutesDeps): void {
  app.addContentTypeParser(BINARY, { parseAs: 'buffer', bodyLimit: MAX_SET_BYTES }, (_request, body, done) =>
    done(null, body),
  );
  app.post(
    '/v1/digest-sets',
    {
      bodyLimit: MAX_SET_BYTES,
      config: { access: ['admin'] },
      schema: {
        operationId: 'addDigestSet',
        summary: 'Store a digest set; the same content is kept once',
        description: 'The body is the set as "assay digests import" writes it, as application/octet-stream.',
        body: { content: { [BINARY]: { schema: Type.Unsafe<Buffer>({ contentMediaType: BINARY }) } } },
        querystring: Type.Object({ name: SetName }, { additionalProperties: false }),
        response: { 200: Type.Object({ id: SetId, entries: Type.Integer() }) },
      },
    },
    async ({ body, query: { name }, principal }) => {
      const set = parseSet(body);
      await database.transaction((tx) => addDigestSet(tx, { name, set }, actorOf(principal)));
      return { id: set.id, entries: set.size };
    },
  );
  app.get(
    '/v1/digest-sets',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listDigestSets',
        summary: 'All digest sets, the newest first',
        response: { 200: Type.Object({ sets: Type.Array(Summary) }) },
      },
    },
    async () => ({ sets: await listDigestSets(database.db) }),
  );
  app.get(
    '/v1/digest-sets/:id/content',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found'] },
      schema: {
        operationId: 'getDigestSet',
        summary: 'The bytes of a digest set',
        params: Type.Object({ id: SetId }),
        response: {
          200: {
            content: { [BINARY]: { schema: Type.Unsafe<Buffer>({ contentMediaType: BINARY }) } },
          },
        },
      },
    },
    async ({ params: { id } }, reply) => {
      const bytes = await readDigestSet(database.db, id);
      if (!bytes) throw new AssayError('not-found', `there is no digest set ${id}`);
      return reply.type(BINARY).send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    },
  );
}

function parseSet(body: unknown): DigestSet {
  if (!(body instanceof Uint8Array)) {
    throw new AssayError('invalid-request', `a digest set is expected, as ${BINARY}`);
  }
  try {
    return DigestSet.parse(new Uint8Array(body));
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('invalid-request', `this is no digest set: ${error.message}`, { cause: error });
  }
}
