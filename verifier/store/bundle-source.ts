import { eq } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import type { Queries } from '../../platform/database/index.ts';
import { lastEvidence, node, verdict } from '../../platform/database/schema.ts';
import { setsOf } from '../../policies/appraise.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import { openPolicy } from '../../policies/language/signed.ts';
import { type BundleSource, readStored } from '../domain/bundle.ts';
import { readBootLog } from './boot-logs.ts';
import { readDigestSet } from './digest-sets.ts';
import { readPolicy, unknownPolicy } from './policies.ts';

type Kept = Pick<BundleSource, 'at' | 'outcome' | 'reasons'> & {
  readonly nodeId: string;
  readonly evidence: unknown;
};

/** The last pass of a node whose evidence is kept. @throws {AssayError} `not-found`, `conflict` */
export async function lastPassSource(db: Queries, nodeId: string, withSets: boolean): Promise<BundleSource> {
  const [row] = await db.select().from(lastEvidence).where(eq(lastEvidence.nodeId, nodeId));
  if (!row) {
    throw new AssayError('not-found', `node ${nodeId} has not passed yet, or its evidence is not kept`);
  }
  return sourceOf(db, { ...row, outcome: 'pass', reasons: [] }, withSets);
}

/** A verdict whose evidence is kept: those of fails are. @throws {AssayError} `not-found`, `conflict` */
export async function verdictSource(db: Queries, id: number, withSets: boolean): Promise<BundleSource> {
  const [row] = await db.select().from(verdict).where(eq(verdict.id, id));
  if (!row || row.evidence === null) {
    throw new AssayError('not-found', `there is no evidence of a verdict ${id}; fails have theirs kept`);
  }
  return sourceOf(db, row, withSets);
}

async function sourceOf(db: Queries, kept: Kept, withSets: boolean): Promise<BundleSource> {
  const evidence = readStored(kept.evidence);
  const [record] = await db.select().from(node).where(eq(node.id, kept.nodeId));
  if (!record) throw new AssayError('not-found', `there is no node ${kept.nodeId}`);
  const { name, version } = evidence.policy;
  const policy = await readPolicy(db, name, version);
  if (!policy) throw unknownPolicy(name, version);
  const { document } = policy;
  const ids = setsOf(parsePolicy(openPolicy(document).text));
  const { firmware, userspace } = evidence.boot ?? {};
  const { at, outcome, reasons } = kept;
  return {
    ...{ node: record, at, outcome, reasons, evidence, document },
    firmware: firmware === undefined ? undefined : await readBootLog(db, firmware),
    userspace: userspace === undefined ? undefined : await readBootLog(db, userspace),
    sets: await Promise.all(ids.map((id) => (withSets ? setOf(db, id) : { id }))),
  };
}

async function setOf(db: Queries, id: string): Promise<DigestSet | { readonly id: string }> {
  const bytes = await readDigestSet(db, id);
  return bytes ? DigestSet.parse(bytes) : { id };
}
