import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../core/bytes/encoding.ts';
import { NodeSelf } from '../core/messages/enrolment.ts';
import type { AgentConfig } from './config.ts';
import { MATERIAL_FILE } from './node-material/material-files.ts';
import { loadServiceCa } from './service-ca.ts';
import { createServiceClient } from './service-client.ts';
import { StateStore } from './state-store.ts';
import { loadTlsIdentity } from './tls-identity.ts';

export interface AgentStatus {
  readonly registrar: string;
  readonly nodeId: string | null;
  /** What the registrar says now, or why it says nothing. */
  readonly record: NodeSelf | { readonly error: string };
  readonly material: {
    readonly path: string;
    readonly subject: string;
    readonly issuer: string;
    readonly notAfter: string;
    readonly expired: boolean;
  } | null;
}

export async function readStatus(config: AgentConfig, now: Date): Promise<AgentStatus> {
  const state = await StateStore.open(config.stateDirectory);
  return {
    registrar: config.registrar,
    nodeId: (await state.readNode())?.nodeId ?? null,
    record: await askRegistrar(config, state, now).catch((error: unknown) => ({
      error: error instanceof Error ? error.message : String(error),
    })),
    material: await readMaterial(join(config.material.directory, MATERIAL_FILE), now),
  };
}

export function renderStatus({ registrar, nodeId, record, material }: AgentStatus): string {
  const lines = [`registrar ${registrar}`, `node      ${nodeId ?? 'not enrolled'}`];
  if ('error' in record) lines.push(`record    ${printable(record.error)}`);
  else lines.push(`record    ${record.state}, version ${record.version}, ${printable(record.admission)}`);
  if (material === null) lines.push('material  none');
  else {
    const { path, subject, issuer, notAfter, expired } = material;
    lines.push(`material  ${path}`);
    lines.push(
      `          ${subject}, issued by ${issuer}, ${expired ? 'EXPIRED' : 'valid until'} ${notAfter}`,
    );
  }
  return lines.join('\n');
}

async function askRegistrar(config: AgentConfig, state: StateStore, now: Date): Promise<NodeSelf> {
  const ca = await loadServiceCa(config.ca, config.registrar, state);
  const identity = await loadTlsIdentity(state, config.alias, now);
  const registrar = createServiceClient({ url: config.registrar, name: 'registrar', ca, identity });
  try {
    return await registrar.get('/v1/nodes/self', NodeSelf);
  } finally {
    await registrar.close();
  }
}

async function readMaterial(path: string, now: Date): Promise<AgentStatus['material']> {
  try {
    const leaf = new X509Certificate(await readFile(path, 'utf8'));
    const notAfter = new Date(leaf.validTo);
    const { subject, issuer } = leaf;
    return { path, subject, issuer, notAfter: notAfter.toISOString(), expired: notAfter <= now };
  } catch {
    return null;
  }
}
