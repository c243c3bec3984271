import { randomBytes, randomUUID } from 'node:crypto';
import { fromBase64 } from '../../../core/bytes/encoding.ts';
import { enrolmentProof } from '../../../core/messages/enrolment.ts';
import { renderAuthTag } from '../../../core/messages/keylime/auth-tag.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import type { Database } from '../../../platform/database/index.ts';
import type { EnrolmentLimits } from '../../../registrar/config.ts';
import type { EkCertificateJudgement } from '../../../registrar/domain/ek-certificate.ts';
import type { IdentityClaim } from '../../../registrar/domain/identity.ts';
import { renderToken, tokenHash, tokenHashOf } from '../../../registrar/domain/token.ts';
import type { TrustStore } from '../../../registrar/domain/trust-store.ts';
import { createEnrolments, type OpenedEnrolment } from '../../../registrar/enrolments.ts';
import { insertInventory } from '../../../registrar/store/inventory.ts';
import { insertToken } from '../../../registrar/store/tokens.ts';
import { enrolmentRequest, openBlob, type SoftwareNode } from './software-node.ts';

const LIMITS: EnrolmentLimits = { lifetimeSeconds: 60, maxOpenPerAddress: 50, maxOpen: 1000 };
export const HERE = '192.0.2.1';
export const ELSEWHERE = '198.51.100.9';

/** Trusts every certificate: what leads to trust is tested elsewhere. */
function trusting(): TrustStore {
  const judge = ([certificate]: readonly [Uint8Array, ...Uint8Array[]]): EkCertificateJudgement => ({
    certificate,
    name: { serial: Buffer.from(certificate).toString('hex'), issuer: 'CN=Maker' },
    path: [certificate],
    refusals: [],
    notes: [],
    tpm: { manufacturer: 'id:00001014' },
  });
  return {
    judge: async () => judge,
    check: () => Promise.reject(new Error('not in these tests')),
    reload: () => {},
  };
}

/** A registrar's inside: enrolments on a database, without HTTP. */
export function openDesk(database: Database, limits: Partial<EnrolmentLimits> = {}) {
  const enrolments = createEnrolments({
    database,
    trust: trusting(),
    limits: { ...LIMITS, ...limits },
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    newId: randomUUID,
  });

  function ask(node: SoftwareNode, options: AskOptions = {}): Promise<OpenedEnrolment> {
    const request = enrolmentRequest(node, options.token);
    return enrolments.open({
      claim: claimOf(node, options),
      protocol: 'assay',
      network: options.network ?? HERE,
      answer: (secret) => enrolmentProof(secret, request),
    });
  }

  function askKeylime(node: SoftwareNode, options: AskOptions = {}): Promise<OpenedEnrolment> {
    return enrolments.open({
      claim: claimOf(node, options),
      protocol: 'keylime',
      network: options.network ?? HERE,
      answer: (secret) => Buffer.from(renderAuthTag(secret, node.alias)),
    });
  }

  async function enrol(node: SoftwareNode, options: AskOptions = {}): Promise<string> {
    const opened = await ask(node, options);
    return enrolments.activate(opened.id, proofOf(node, opened, options.token));
  }

  return { enrolments, ask, askKeylime, enrol };
}

export interface AskOptions {
  readonly token?: string;
  readonly network?: string;
  readonly contact?: IdentityClaim['contact'];
}

export function proofOf(node: SoftwareNode, { blob }: OpenedEnrolment, token?: string): Uint8Array {
  return enrolmentProof(openBlob(node, blob), enrolmentRequest(node, token));
}

export function authTagOf(node: SoftwareNode, { blob }: OpenedEnrolment): Uint8Array {
  return Buffer.from(renderAuthTag(openBlob(node, blob), node.alias));
}

function claimOf(node: SoftwareNode, { token, contact }: AskOptions): IdentityClaim {
  return {
    alias: node.alias,
    ekPublic: marshalTpm2bPublic(node.ek.publicArea),
    ekCertificates: node.certificates,
    akPublic: marshalTpm2bPublic(node.ak.publicArea),
    tlsCertificate: node.tls.der,
    contact: contact ?? { host: '127.0.0.1', port: 9002 },
    apiVersion: '2.6',
    tokenSha256: token === undefined ? null : tokenHashOf(token),
  };
}

export async function createToken(database: Database, group = 'build', ttlSeconds = 60): Promise<string> {
  const secret = new Uint8Array(randomBytes(32));
  await database.transaction((tx) =>
    insertToken(tx, {
      id: randomUUID(),
      secretSha256: tokenHash(secret),
      group,
      note: '',
      createdBy: 'admin:test',
      ttlSeconds,
    }),
  );
  return renderToken(secret);
}

export async function addInventory(
  database: Database,
  ekSha256: string,
  assetName = 'rack 7',
): Promise<void> {
  const entry = { id: randomUUID(), ekSha256, certificate: null, assetName, group: 'edge' };
  await database.transaction((tx) => insertInventory(tx, [entry], 'admin:test'));
}

export const certificate = (text: string): Uint8Array => fromBase64(btoa(text), 'certificate');
