import type { Finding } from '../../core/finding.ts';
import { imaSignatureMemo } from '../../core/ima/verify.ts';
import type { Database } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import { type Knowledge, setsOf } from '../../policies/appraise.ts';
import { assignedPolicy } from '../../policies/assignment.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import {
  isSignedFor,
  type OpenedPolicy,
  openPolicy,
  type PolicySigners,
} from '../../policies/language/signed.ts';
import type { Policy } from '../../policies/policy.ts';
import { CHANNEL_PCR } from '../../policies/rules/channel.ts';
import { readDigestSet } from '../store/digest-sets.ts';
import { readAssignments, readPolicy } from '../store/policies.ts';
import { type PolicyMemos, policyMemos } from './policy-memos.ts';

/** A version of a policy, parsed once and shared by all nodes. */
export interface AssignedPolicy {
  readonly name: string;
  readonly version: number;
  readonly policy: Policy;
  /** As it is stored, perhaps with signatures. */
  readonly opened: OpenedPolicy;
  /** What is asked: bit n for PCR n. */
  readonly mask: string;
  /** What must be in the signed selection: the policy's PCRs and the channel's. */
  readonly pcrs: readonly number[];
  /** What was judged under this version. */
  readonly memos: PolicyMemos;
}

/** Which policy counts for which node, as the database said when it was last asked. */
export interface PolicyBook {
  policyFor(node: { readonly id: string; readonly group: string }): AssignedPolicy | undefined;
  /** Why there is none for a node. */
  whyNone(node: { readonly id: string; readonly group: string }): Finding;
  /** The digest sets that policies name, and what is shared between all nodes. */
  knowledge(): Knowledge;
  /** Reads again; true when the policy of some node may have changed. */
  refresh(): Promise<boolean>;
}

/** Good results of file signatures, of about 100 bytes each. */
const SIGNATURES_KEPT = 200_000;

interface Page {
  readonly assignments: ReadonlyMap<string, string>;
  /** The newest version by name. */
  readonly policies: ReadonlyMap<string, AssignedPolicy>;
  readonly sets: ReadonlyMap<string, DigestSet>;
}

export function policyBook(
  database: Database,
  logger: Logger,
  signers: PolicySigners = new Map(),
): PolicyBook {
  let page: Page = { assignments: new Map(), policies: new Map(), sets: new Map() };
  const signatures = imaSignatureMemo(SIGNATURES_KEPT);
  const named = (node: { readonly id: string; readonly group: string }) => {
    const name = assignedPolicy(page.assignments, node);
    return name === undefined ? undefined : page.policies.get(name);
  };
  // Signatures are verified once for each policy and group, not at each poll.
  const verified = new WeakMap<AssignedPolicy, Map<string, boolean>>();
  const isSigned = (policy: AssignedPolicy, group: string) => {
    if (signers.size === 0) return true;
    const known = verified.get(policy) ?? new Map<string, boolean>();
    verified.set(policy, known);
    const result = known.get(group) ?? isSignedFor(policy.opened, signers, group);
    known.set(group, result);
    return result;
  };
  return {
    policyFor(node) {
      const found = named(node);
      return found && isSigned(found, node.group) ? found : undefined;
    },
    whyNone(node) {
      const found = named(node);
      if (!found) return { rule: 'policy.missing', message: 'no policy is assigned to this node' };
      const message = `the policy ${found.name}@${found.version} is not signed by a key that is pinned for group ${node.group}`;
      return { rule: 'policy.signed', message };
    },
    knowledge: () => ({ sets: page.sets, signatures }),
    async refresh() {
      const next = await readPage(database, page, logger);
      const changed = !samePage(page, next);

      if (changed) page = next;
      return changed;
    },
  };
}

async function readPage(database: Database, before: Page, logger: Logger): Promise<Page> {
  const rows = await readAssignments(database.db);
  const assignments = new Map(rows.map(({ subject, policy }) => [subject, policy]));
  const policies = new Map<string, AssignedPolicy>();
  for (const { policy: name, version } of rows) {
    if (policies.has(name)) continue;
    const known = before.policies.get(name);
    const found = known?.version === version ? known : await compile(database, name, logger);
    if (found) policies.set(name, found);
  }
  return { assignments, policies, sets: await readSets(database, policies, before.sets, logger) };
}

// A set that is missing makes nodes inconclusive, and is looked for again at the next refresh.
async function readSets(
  { db }: Database,
  policies: ReadonlyMap<string, AssignedPolicy>,
  before: ReadonlyMap<string, DigestSet>,
  logger: Logger,
): Promise<ReadonlyMap<string, DigestSet>> {
  const sets = new Map<string, DigestSet>();
  for (const id of new Set([...policies.values()].flatMap(({ policy }) => setsOf(policy)))) {
    const bytes = before.has(id) ? undefined : await readDigestSet(db, id);
    const set = before.get(id) ?? (bytes && DigestSet.parse(bytes));
    if (set?.id === id) sets.set(id, set);
    else logger.error({ set: id }, 'a digest set that a policy names is not here');
  }
  return sets;
}

// A document that this release cannot read must not stop the others: its nodes are without a policy.
async function compile({ db }: Database, name: string, logger: Logger): Promise<AssignedPolicy | undefined> {
  const stored = await readPolicy(db, name);
  if (!stored) return undefined;
  try {
    const opened = openPolicy(stored.document);
    const policy = parsePolicy(opened.text, `${name}@${stored.version}`);
    return {
      name,
      version: stored.version,
      policy,
      opened,
      memos: policyMemos(policy),
      ...selectionOf(policy),
    };
  } catch (error) {
    logger.error({ err: error, policy: name, version: stored.version }, 'a stored policy does not parse');
    return undefined;
  }
}

function selectionOf({ pcrs: { selection } }: Policy): Pick<AssignedPolicy, 'mask' | 'pcrs'> {
  const bits = selection.reduce((mask, pcr) => mask | (1 << pcr), 0);
  return { mask: `0x${bits.toString(16)}`, pcrs: [...selection, CHANNEL_PCR].sort((a, b) => a - b) };
}

function samePage(a: Page, b: Page): boolean {
  const keyOf = ({ assignments, policies, sets }: Page) =>
    [...assignments]
      .map(([subject, name]) => `${subject}=${name}@${policies.get(name)?.version}`)
      .concat([...sets.keys()])
      .sort()
      .join();
  return keyOf(a) === keyOf(b);
}
