import Type from 'typebox';
import { printable, toHex } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { Finding, Instant, Sha256Hex } from '../../core/messages/common.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Transaction } from '../../platform/database/index.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { anchorsOf, validUntil } from '../domain/anchor.ts';
import {
  type AnchorRow,
  addAnchors,
  findAnchors,
  listAnchors,
  removeAnchor,
} from '../store/trust-anchors.ts';
import type { RoutesDeps } from './deps.ts';

const PEM_CHARACTERS = 512 * 1024;
const CHECKED_CHARACTERS = 128 * 1024;

const Anchor = Type.Object(
  {
    sha256: Sha256Hex,
    kind: Type.Enum(['root', 'intermediate']),
    subject: Type.String(),
    notAfter: Instant,
    source: Type.String(),
    addedBy: Type.String(),
    addedAt: Instant,
  },
  { title: 'TrustAnchor' },
);
const Check = Type.Object(
  {
    ok: Type.Boolean(),
    path: Type.Array(Type.String()),
    findings: Type.Array(Finding),
    faults: Type.Array(Type.String()),
    missingIssuer: Type.Optional(
      Type.Object({
        subject: Type.String(),
        keyId: Type.Union([Type.String(), Type.Null()]),
        urls: Type.Array(Type.String()),
      }),
    ),
  },
  { title: 'EkCertificateCheck' },
);

/** Which TPM manufacturers are trusted. */
export function trustRoutes(app: App, deps: RoutesDeps): void {
  readRoutes(app, deps);
  changeRoutes(app, deps);
}

function readRoutes(app: App, { database, trust }: RoutesDeps): void {
  app.get(
    '/v1/trust',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listTrustAnchors',
        summary: 'Certificates that EK certificates must lead to',
        response: { 200: Type.Object({ anchors: Type.Array(Anchor) }) },
      },
    },
    async () => ({ anchors: (await listAnchors(database.db)).map(renderAnchor) }),
  );
  app.post(
    '/v1/trust/check',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'checkEkCertificate',
        summary: 'Would this EK certificate be accepted? The EK certificate first, then its chain',
        description:
          'Nothing is stored. `missingIssuer` names the certificate that is wanted and where its maker publishes it.',
        body: Type.Object(
          { certificates: Type.String({ minLength: 1, maxLength: CHECKED_CHARACTERS, description: 'PEM' }) },
          { additionalProperties: false },
        ),
        response: { 200: Check },
      },
    },
    async ({ body }) => trust.check(body.certificates),
  );
}

function changeRoutes(app: App, { database, trust }: RoutesDeps): void {
  app.post(
    '/v1/trust',
    {
      config: { access: ['admin'] },
      schema: {
        operationId: 'addTrustAnchors',
        summary: 'Trust the certificates of a PEM text',
        description:
          'Self-signed certificates become roots, others intermediates. Those that are trusted already are left out of the answer.',
        body: Type.Object(
          { pem: Type.String({ minLength: 1, maxLength: PEM_CHARACTERS }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ added: Type.Array(Anchor) }) },
      },
    },
    async ({ body, principal }) => {
      const actor = actorOf(principal);
      const anchors = anchorsOf(body.pem);
      const added = await database.transaction(async (tx) => {
        const rows = await addAnchors(tx, anchors, actor);
        for (const row of rows) await audit(tx, actor, 'trust.add', row);
        return rows;
      });
      trust.reload();
      return { added: added.map(renderAnchor) };
    },
  );
  app.delete(
    '/v1/trust/:sha256',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'removeTrustAnchor',
        summary:
          'No longer trust a certificate, by the beginning of its SHA-256; nodes already enrolled stay',
        params: Type.Object({ sha256: Type.String({ pattern: '^[0-9a-f]{8,64}$' }) }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params, principal }, reply) => {
      await database.transaction(async (tx) => {
        const row = await findOne(tx, params.sha256);
        await removeAnchor(tx, row.sha256);
        await audit(tx, actorOf(principal), 'trust.remove', row);
      });
      trust.reload();
      return reply.status(204).send(null);
    },
  );
}

async function findOne(tx: Transaction, prefix: string): Promise<AnchorRow> {
  const [row, second] = await findAnchors(tx, prefix);
  if (!row) throw new AssayError('not-found', `nothing that is trusted has the SHA-256 ${prefix}`);
  if (second) throw new AssayError('conflict', `several certificates begin with ${prefix}; give more digits`);
  return row;
}

async function audit(tx: Transaction, actor: string, act: string, row: AnchorRow): Promise<void> {
  const detail = { subject: row.subject, kind: row.kind, source: row.source };
  await appendAudit(tx, { actor, act, subject: toHex(row.sha256), detail });
}

function renderAnchor(row: AnchorRow): Type.Static<typeof Anchor> {
  return {
    sha256: toHex(row.sha256),
    kind: row.kind,
    subject: printable(row.subject),
    notAfter: validUntil(row.der).toISOString(),
    source: printable(row.source),
    addedBy: printable(row.addedBy),
    addedAt: row.addedAt.toISOString(),
  };
}
