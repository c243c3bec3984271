import Type from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../../core/duration.ts';
import { AssayError } from '../../core/errors.ts';
import { GroupName, Instant, NodeId } from '../../core/messages/common.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';
import { parsePem } from '../../core/x509/pem.ts';
import { pinOf } from '../../core/x509/spki.ts';
import { appendAudit } from '../../platform/audit.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { joinCommand, renderToken, TOKEN_BYTES, tokenHash } from '../domain/token.ts';
import { deleteUnusedToken, insertToken, listTokens } from '../store/tokens.ts';
import type { RoutesDeps } from './deps.ts';

const MIN_TTL_SECONDS = 1;
const MAX_TTL_SECONDS = 30 * 86_400;

const TokenRequest = Type.Object(
  {
    group: GroupName,
    ttl: Type.String({ pattern: DURATION_PATTERN, description: 'at most 30d' }),
    note: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { title: 'TokenRequest', additionalProperties: false },
);
const CreatedToken = Type.Object(
  {
    id: Type.String(),
    token: Type.String({ description: 'shown once' }),
    expiresAt: Instant,
    command: Type.String({ description: 'the line that joins a node' }),
  },
  { title: 'CreatedToken' },
);
const TokenRow = Type.Object(
  {
    id: Type.String(),
    group: GroupName,
    note: Type.String(),
    createdBy: Type.String(),
    createdAt: Instant,
    expiresAt: Instant,
    usedAt: Type.Union([Instant, Type.Null()]),
    usedBy: Type.Union([NodeId, Type.Null()]),
  },
  { title: 'Token' },
);
const Identified = Type.Object({ id: Type.String({ format: 'uuid' }) });

/** One-time join tokens. */
export function tokenRoutes(app: App, deps: RoutesDeps): void {
  const { database } = deps;
  app.post(
    '/v1/tokens',
    {
      config: { access: ['admin'] },
      schema: {
        operationId: 'createToken',
        summary: 'Make a token that admits one node to a group',
        description:
          'The token is in this answer alone: what is stored is its SHA-256. It admits the first node that uses it.',
        body: TokenRequest,
        response: { 201: CreatedToken },
      },
    },
    async ({ body, principal }, reply) => {
      const { group, note = '' } = body;
      const ttlSeconds = ttlOf(body.ttl);
      const [id, secret, createdBy] = [deps.newId(), deps.randomBytes(TOKEN_BYTES), actorOf(principal)];
      const expiresAt = await database.transaction(async (tx) => {
        const row = { id, secretSha256: tokenHash(secret), group, note, createdBy, ttlSeconds };
        const expires = await insertToken(tx, row);
        const detail = { group, note, expiresAt: expires.toISOString() };
        await appendAudit(tx, { actor: createdBy, act: 'token.create', subject: id, detail });
        return expires;
      });
      const token = renderToken(secret);
      const pin = pinOf(parseCertificate(parsePem('CERTIFICATE', deps.serviceCa)));
      const command = joinCommand(deps.discovery.registrar, token, pin);
      return reply.status(201).send({ id, token, expiresAt: expiresAt.toISOString(), command });
    },
  );
  app.get(
    '/v1/tokens',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listTokens',
        summary: 'Tokens, newest first',
        response: { 200: Type.Object({ tokens: Type.Array(TokenRow) }) },
      },
    },
    async () => {
      const rows = await listTokens(database.db);
      return { tokens: rows.map(renderRow) };
    },
  );
  app.delete(
    '/v1/tokens/:id',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'revokeToken',
        summary: 'Make an unused token worthless',
        params: Identified,
        response: { 204: Type.Null() },
      },
    },
    async ({ params, principal }, reply) => {
      await database.transaction(async (tx) => {
        if (!(await deleteUnusedToken(tx, params.id))) {
          throw new AssayError('not-found', `there is no unused token ${params.id}`);
        }
        await appendAudit(tx, { actor: actorOf(principal), act: 'token.revoke', subject: params.id });
      });
      return reply.status(204).send(null);
    },
  );
}

function ttlOf(text: string): number {
  const seconds = Math.floor(parseDuration(text) / 1000);
  if (seconds >= MIN_TTL_SECONDS && seconds <= MAX_TTL_SECONDS) return seconds;
  throw new AssayError('invalid-request', `a token lives from 1s to 30d, not ${text}`);
}

function renderRow(row: Awaited<ReturnType<typeof listTokens>>[number]): Type.Static<typeof TokenRow> {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    usedAt: row.usedAt?.toISOString() ?? null,
  };
}
