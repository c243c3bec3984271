import Type from 'typebox';
import { toBase64 } from '../../core/bytes/encoding.ts';
import { Alias } from '../../core/messages/common.ts';
import { Envelope } from '../../core/messages/keylime/messages.ts';
import { renderPem } from '../../core/x509/pem.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { retireNode } from '../store/lifecycle.ts';
import { findAdmitted, listAdmittedAliases, type NodeRow } from '../store/node-queries.ts';
import type { RoutesDeps } from './deps.ts';
import { BASE, Named, unknownAgent, Versioned } from './keylime.ts';
import { KEYLIME_ERRORS, sendKeylimeError, success } from './keylime-envelope.ts';

const RegisteredAgent = Type.Object(
  {
    aik_tpm: Type.String(),
    ek_tpm: Type.String(),
    ekcert: Type.String(),
    mtls_cert: Type.String(),
    ip: Type.String(),
    port: Type.Integer(),
    regcount: Type.Integer(),
  },
  { title: 'KeylimeAgent' },
);

const common = {
  config: { access: ['admin' as const], errorForm: KEYLIME_ERRORS },
  errorHandler: sendKeylimeError,
};

/** What Keylime's tenant asks of a registrar. A name means the admitted node that has it. */
export function keylimeAdminRoutes(app: App, { database }: RoutesDeps): void {
  const { db } = database;
  // Keylime's tenant asks with a slash at the end.
  for (const [url, operationId] of [
    [BASE, 'keylimeListAgents'],
    [`${BASE}/`, 'keylimeListAgentsOfTenant'],
  ] as const) {
    app.get(
      url,
      {
        ...common,
        schema: {
          operationId,
          summary: 'Names of admitted nodes (Keylime)',
          params: Type.Object(Versioned),
          response: { 200: Envelope(Type.Object({ uuids: Type.Array(Alias) })) },
        },
      },
      async () => success({ uuids: await listAdmittedAliases(db) }),
    );
  }
  app.get(
    `${BASE}/:alias`,
    {
      ...common,
      schema: {
        operationId: 'keylimeGetAgent',
        summary: 'An admitted node (Keylime)',
        params: Named,
        response: { 200: Envelope(RegisteredAgent) },
      },
    },
    async ({ params }) => {
      const row = await findAdmitted(db, params.alias);
      if (!row) throw unknownAgent(params.alias);
      return success(renderAgent(row));
    },
  );
  app.delete(
    `${BASE}/:alias`,
    {
      ...common,
      schema: {
        operationId: 'keylimeDeleteAgent',
        summary: 'Retire an admitted node (Keylime); its record stays',
        params: Named,
        response: { 200: Envelope(Type.Object({})) },
      },
    },
    async ({ params, principal }) => {
      const row = await findAdmitted(db, params.alias);
      if (!row) throw unknownAgent(params.alias);
      await database.transaction((tx) =>
        retireNode(tx, row.record.id, "deleted through Keylime's API", actorOf(principal)),
      );
      return success({});
    },
  );
}

function renderAgent({ record }: NodeRow): Type.Static<typeof RegisteredAgent> {
  return {
    aik_tpm: toBase64(record.akPublic),
    ek_tpm: toBase64(record.ekPublic),
    ekcert: record.ekCertificate ? toBase64(record.ekCertificate) : '',
    mtls_cert: record.tlsCertificate ? renderPem('CERTIFICATE', record.tlsCertificate) : 'disabled',
    ip: record.contactHost,
    port: record.contactPort,
    regcount: record.version,
  };
}
