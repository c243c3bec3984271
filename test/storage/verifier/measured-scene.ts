import { hash } from 'node:crypto';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import { DigestSet } from '../../../policies/digests/digest-set.ts';
import { MeasuredFiles } from '../../../tpm-sim/fleet/measured-files.ts';
import type { VerifierDependencies } from '../../../verifier/main.ts';
import { addDigestSet } from '../../../verifier/store/digest-sets.ts';
import { addPolicy, assignPolicy } from '../../../verifier/store/policies.ts';
import type { FakeAgent } from '../../fakes/keylime-agent.ts';
import type { TestDatabase } from '../support/database.ts';
import type { Lab } from './lab.ts';

/** A node that used a file that its policy allows, and a verifier that polls it. */
export async function fileScene(
  lab: Lab,
  dependencies: Partial<VerifierDependencies> = {},
  afterBoot: (tpm: FakeAgent['tpm']) => void = () => {},
) {
  const agent = await lab.agent();
  const files = MeasuredFiles.of(agent.tpm);
  agent.files = files;
  files.use('/usr/bin/ls', 'ls');
  afterBoot(agent.tpm);
  /** First entries that the agent was asked for. */
  const asked: number[] = [];
  const honest = agent.honest.bind(agent);
  agent.honest = (query) => {
    asked.push(query.imaEntry ?? -1);
    return honest(query);
  };
  const set = await storedSet(lab.database, { '/usr/bin/ls': 'ls', '/usr/bin/date': 'date' });
  await addFilePolicy(lab.database, set);
  const { id } = await lab.node(agent);
  const verifier = await lab.verifier({}, dependencies);
  return { agent, files, id, verifier, asked };
}

/** A digest set that the verifier has, of contents by path. */
export async function storedSet(
  database: TestDatabase,
  contents: Readonly<Record<string, string>>,
): Promise<string> {
  const builder = new DigestSetBuilder();
  for (const [path, content] of Object.entries(contents)) {
    const digest = new Uint8Array(hash('sha256', content, 'buffer'));
    builder.add({ path: new Uint8Array(Buffer.from(path)), algorithm: 'sha256', digest });
  }
  const set = DigestSet.parse(builder.build());
  await database.transaction((tx) => addDigestSet(tx, { name: 'test', set }, 'test'));
  return set.id;
}

/** A policy for everything that allows the files of one set; each call is the next version of it. */
export async function addFilePolicy(database: TestDatabase, set: string): Promise<void> {
  const document = `assay: policy/v1
name: files
freshness: { interval: 20s, trust-for: 60s }
reaction: ban
pcrs: { bank: sha256, require: 0-7 }
ima:
  allow: ['${set}']
`;
  await database.transaction(async (tx) => {
    await addPolicy(tx, { name: 'files', document }, 'test');
    await assignPolicy(tx, { subject: 'default', policy: 'files' }, 'test');
  });
}
