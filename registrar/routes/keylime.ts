import Type from 'typebox';
import { toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { Alias } from '../../core/messages/common.ts';
import { renderAuthTag } from '../../core/messages/keylime/auth-tag.ts';
import {
  ActivationRequest,
  Envelope,
  RegistrarVersion,
  RegistrationRequest,
  RegistrationRequestWithId,
  RegistrationResults,
} from '../../core/messages/keylime/messages.ts';
import type { App } from '../../platform/http/server.ts';
import { keylimeClaim } from '../domain/keylime-claim.ts';
import { requesterNetwork } from '../domain/requester.ts';
import type { RoutesDeps } from './deps.ts';
import { KEYLIME_ERRORS, sendKeylimeError, success } from './keylime-envelope.ts';

const VERSIONS = ['2.0', '2.1', '2.2', '2.3', '2.4', '2.5', '2.6'];
const BODY_LIMIT = 256 * 1024;
export const BASE = '/v2.:minor(^[0-6]$)/agents';
export const Versioned = {
  minor: Type.String({ pattern: '^[0-6]$', description: "Of Keylime's API, version 2" }),
};
export const Named = Type.Object({ ...Versioned, alias: Alias });

const common = {
  config: { access: ['public' as const], errorForm: KEYLIME_ERRORS },
  bodyLimit: BODY_LIMIT,
  errorHandler: sendKeylimeError,
};

/** Keylime's registration, for stock agents: plain proofs, keyed by the agent's own name. */
export function keylimeRoutes(app: App, deps: RoutesDeps): void {
  app.get(
    '/version',
    {
      ...common,
      schema: {
        operationId: 'keylimeVersion',
        summary: "Versions of Keylime's API",
        response: { 200: Envelope(RegistrarVersion) },
      },
    },
    async () => success({ current_version: '2.6', supported_versions: VERSIONS }),
  );
  registerRoutes(app, deps);
  activateRoutes(app, deps);
}

function registerRoutes(app: App, { enrolments }: RoutesDeps): void {
  const response = { 200: Envelope(RegistrationResults) };
  const register = async (alias: string, minor: string, body: RegistrationRequest, ip: string) => {
    const { blob } = await enrolments.open({
      claim: keylimeClaim(alias, `2.${minor}`, body),
      protocol: 'keylime',
      network: requesterNetwork(ip),
      answer: (secret) => Buffer.from(renderAuthTag(secret, alias)),
    });
    return success({ blob: toBase64(blob) });
  };
  app.post(
    `${BASE}/:alias`,
    {
      ...common,
      schema: {
        operationId: 'keylimeRegister',
        summary: 'Register (Keylime)',
        description:
          'Answers a credential that only the TPM with this EK and AK can open. Nothing changes before the activation.',
        params: Named,
        body: RegistrationRequest,
        response,
      },
    },
    async ({ params, body, ip }) => register(params.alias, params.minor, body, ip),
  );
  app.post(
    BASE,
    {
      ...common,
      schema: {
        operationId: 'keylimeRegisterWithId',
        summary: 'Register (Keylime), the id in the body',
        params: Type.Object(Versioned),
        body: RegistrationRequestWithId,
        response,
      },
    },
    async ({ params, body, ip }) => register(body.agent_id, params.minor, body, ip),
  );
}

function activateRoutes(app: App, { enrolments }: RoutesDeps): void {
  const routes = [
    ['PUT', `${BASE}/:alias`, 'keylimeActivate'],
    ['PUT', `${BASE}/:alias/activate`, 'keylimeActivatePut'],
    ['POST', `${BASE}/:alias/activate`, 'keylimeActivatePost'],
  ] as const;
  for (const [method, url, operationId] of routes) {
    app.route({
      ...common,
      method,
      url,
      schema: {
        operationId,
        summary: 'Activate (Keylime)',
        params: Named,
        body: ActivationRequest,
        response: { 200: Envelope(Type.Object({})) },
      },
      handler: async ({ params, body, ip }) => {
        await enrolments.activateAlias(params.alias, requesterNetwork(ip), Buffer.from(body.auth_tag));
        return success({});
      },
    });
  }
}

/** A name that nobody admitted has. */
export function unknownAgent(alias: string): AssayError {
  return new AssayError('not-found', `agent ${alias} not found`);
}
