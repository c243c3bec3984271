import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { enrol } from '../../agent/enrolment.ts';
import type { NodeTpm } from '../../agent/node-tpm-port.ts';
import { StateStore } from '../../agent/state-store.ts';
import { createChildKey } from '../../agent/tpm/child-key.ts';
import { findEndorsementKey } from '../../agent/tpm/endorsement.ts';
import { Tpm } from '../../agent/tpm/tpm.ts';
import { toBase64 } from '../../core/bytes/encoding.ts';
import type { NodeDetail } from '../../core/messages/node.ts';
import { AK_TEMPLATES } from '../../core/tpm/attestation-key.ts';
import { marshalTpm2bPublic } from '../../core/tpm/public.ts';
import type { SwtpmNode } from './support/node.ts';
import { until } from './support/until.ts';
import { useWorld } from './support/world.ts';

const world = useWorld();

/** What nobody but the node itself may change. */
function identityOf({ version, alias, contact, tlsSha256, akName, ekSha256, epoch, group }: NodeDetail) {
  return { version, alias, contact, tlsSha256, akName, ekSha256, epoch, group };
}

async function expectUnaffected(victim: SwtpmNode, before: NodeDetail, serials: readonly string[]) {
  const passesOn = async () => (await world().detail(victim.id)).passes > before.passes + 1;
  await until('the victim passes on', passesOn, 10_000);
  const after = await world().detail(victim.id);
  expect(identityOf(after)).toEqual(identityOf(before));
  expect(after.state).toBe('trusted');
  const certificates = await world().certificates(victim.id);
  expect(certificates.filter(({ revoked }) => revoked)).toEqual([]);
  expect(certificates.map(({ serial }) => serial)).toEqual(expect.arrayContaining([...serials]));
  expect(await world().ban(victim.id)).toBeUndefined();
}

test('ak.activation: a node that registers the keys of another cannot activate them', async () => {
  const victim = await world().trustedNode('victim');
  const before = await world().detail(victim.id);
  const serials = (await world().certificates(victim.id)).map(({ serial }) => serial);
  const attacker = await world().node('attacker');
  const refusals: unknown[] = [];
  attacker.mischief.disguise = (own: NodeTpm) => ({
    ek: victim.tpm.ek,
    ak: { ...victim.tpm.ak, created: true },
    // Its own TPM cannot open the credential, so it guesses.
    activate: (credential) =>
      own.activate(credential).catch((error: unknown) => {
        refusals.push(error);
        return randomBytes(32);
      }),
  });
  await attacker.start({ token: await world().token(), alias: 'victim' });
  expect(await attacker.events.until('enrolment-failed')).toMatchObject({ code: 'activation-failed' });
  expect(await attacker.events.until('enrolment-failed', 2), 'and never').toMatchObject({
    code: 'activation-failed',
  });
  expect(refusals.length).toBeGreaterThanOrEqual(2);
  const issuer = await attacker.client('issuer');
  await expect(issuer.post('/v1/nodes/self/challenge', {}, {})).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  await issuer.close();
  await expectUnaffected(victim, before, serials);
});

test('id.immutable: the name of another with keys of its own is a record that waits', async () => {
  const victim = await world().trustedNode('named');
  const before = await world().detail(victim.id);
  const attacker = await world().node('namesake');
  // The token would admit it under any name of its own.
  await attacker.start({ alias: 'named', token: await world().token() });
  const { nodeId, admission } = await attacker.events.until('waiting');
  expect(nodeId).not.toBe(victim.id);
  expect(admission).toContain(`the alias is held by node ${victim.id}`);
  expect(await world().detail(nodeId)).toMatchObject({ state: 'pending', admission });
  await expect(attacker.askCertificate()).rejects.toMatchObject({ code: 'not-admitted' });
  expect(await world().certificates(nodeId)).toEqual([]);
  await expectUnaffected(victim, before, []);
});

/** Makes an AK that signs whatever it is given, where the agent looks for its own. */
async function plantUnrestrictedAk(node: SwtpmNode): Promise<string> {
  const template = AK_TEMPLATES.rsa2048;
  const objectAttributes = { ...template.objectAttributes, restricted: false };
  const tpm = await Tpm.open(node.swtpm.address);
  try {
    const ek = await findEndorsementKey(tpm, {});
    const blobs = await createChildKey(tpm, ek, marshalTpm2bPublic({ ...template, objectAttributes }));
    return JSON.stringify({ public: toBase64(blobs.public), private: toBase64(blobs.private) });
  } finally {
    await tpm.close();
  }
}

test('ak.attributes: an AK that is not restricted is refused at registration', async () => {
  const node = await world().node('unrestricted');
  await node.start({ alias: 'unrestricted' });
  const { ekSha256 } = await node.events.until('ek-checked');
  const { nodeId } = await node.events.until('waiting');
  await node.stop();
  const honest = await world().detail(nodeId);

  const blobs: { public: string; private: string } = JSON.parse(await plantUnrestrictedAk(node));
  await mkdir(node.stateDirectory, { recursive: true });
  const state = await StateStore.open(node.stateDirectory);
  await state.writeAk({ ekSha256, algorithm: 'rsa2048', ...blobs });
  await node.start({ alias: 'unrestricted', token: await world().token() });
  expect(await node.events.until('ak-ready')).toMatchObject({ created: false });
  expect(await node.events.until('enrolment-failed')).toMatchObject({ code: 'identity-refused' });
  expect(toBase64(node.tpm.ak.public)).toBe(blobs.public);

  const registrar = await node.client('registrar');
  const registration = {
    alias: 'unrestricted',
    contact: { host: '127.0.0.1', port: node.options.port },
    tlsCertificate: (await state.readText('tls.crt')) ?? '',
  };
  const attempt = enrol({ tpm: node.tpm, registrar, onEvent: () => {} }, registration, undefined);
  await expect(attempt).rejects.toMatchObject({
    code: 'identity-refused',
    details: [{ rule: 'ak.attributes', message: expect.stringContaining('restricted is CLEAR') }],
  });
  await registrar.close();
  expect(identityOf(await world().detail(nodeId))).toEqual(identityOf(honest));
  expect(await world().certificates(nodeId)).toEqual([]);
});

test('services log as much as assay.yaml says', async () => {
  const { registrar } = world().installation.urls;
  expect(await world().statusOf(registrar, '/v1/nodes/nobody')).toBe(404);
  const isLogged = async () => {
    const lines = (await world().process('registrar-1').text()).split('\n');
    return lines.some((line) => line.includes('"level":20') && line.includes('not-found'));
  };
  await until('the refusal is in the log at level debug', isLogged, 10_000);
});
