import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { GroupName, NodeId } from '../../core/messages/common.ts';
import { BanRecord, CertificateRecord } from '../../core/messages/node.ts';
import type { App } from '../../platform/http/server.ts';
import { placesOf } from '../spire/places.ts';
import { spireSnippet } from '../spire/snippet.ts';
import { listBans } from '../store/bans.ts';
import { listCertificates } from '../store/certificates.ts';
import type { RoutesDeps } from './deps.ts';

const DEFAULT_LIMIT = 1000;
const people = { access: ['admin', 'viewer'] } as const;

/** What people ask. */
export function adminRoutes(app: App, deps: RoutesDeps): void {
  certificateRoute(app, deps);
  app.get(
    '/v1/bans',
    {
      config: people,
      schema: {
        operationId: 'listBans',
        summary: 'Bans: what is wanted, and what has been reached',
        response: { 200: Type.Object({ bans: Type.Array(BanRecord) }) },
      },
    },
    async () => {
      const namesOf = (group: string | null) => placesOf(deps.spire, group).map(({ server }) => server.name);
      return { bans: await listBans(deps.database.db, namesOf) };
    },
  );
  app.get(
    '/v1/spire-snippet',
    {
      config: { ...people, errors: ['not-found'] },
      schema: {
        operationId: 'getSpireSnippet',
        summary: 'Configuration for SPIRE that fits this PKI',
        description: "Without a group it trusts the node root, with one that group's issuing CA alone.",
        querystring: Type.Object({ group: Type.Optional(GroupName) }, { additionalProperties: false }),
        response: { 200: Type.Object({ server: Type.String(), agent: Type.String() }) },
      },
    },
    async ({ query: { group } }) => {
      if (group !== undefined && !deps.config.groups.has(group)) throw unknownGroup(group);
      const anchor = group === undefined ? 'root' : { group };
      return spireSnippet({ trustDomain: deps.trustDomain, anchor });
    },
  );
}

function certificateRoute(app: App, { database }: RoutesDeps): void {
  app.get(
    '/v1/certificates',
    {
      config: people,
      schema: {
        operationId: 'listCertificates',
        summary: 'Certificates, the newest first',
        querystring: Type.Object(
          {
            node: Type.Optional(NodeId),
            valid: Type.Optional(Type.Enum(['true', 'false'])),
            limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,4}$' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ certificates: Type.Array(CertificateRecord) }) },
      },
    },
    async ({ query }) => {
      const certificates = await listCertificates(database.db, {
        ...(query.node === undefined ? {} : { nodeId: query.node }),
        valid: query.valid === 'true',
        limit: Number(query.limit ?? DEFAULT_LIMIT),
      });
      return { certificates };
    },
  );
}

function unknownGroup(group: string): AssayError {
  return new AssayError('not-found', `there is no issuing CA for a group "${group}"`);
}
