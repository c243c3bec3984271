import type { Database } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import { assignedPolicy } from '../../policies/assignment.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import type { Policy } from '../../policies/policy.ts';
import { CHANNEL_PCR } from '../domain/channel.ts';
import { readAssignments, readPolicy } from '../store/policies.ts';

/** A version of a policy, parsed once and shared by all nodes. */
export interface AssignedPolicy {
  readonly name: string;
  readonly version: number;
  readonly policy: Policy;
  /** What is asked: bit n for PCR n. */
  readonly mask: string;
  /** What must be in the signed selection: the policy's PCRs and the channel's. */
  readonly pcrs: readonly number[];
}

/** Which policy counts for which node, as the database said when it was last asked. */
export interface PolicyBook {
  policyFor(node: { readonly id: string; readonly group: string }): AssignedPolicy | undefined;
  /** Reads again; true when the policy of some node may have changed. */
  refresh(): Promise<boolean>;
}

interface Page {
  readonly assignments: ReadonlyMap<string, string>;
  /** The newest version by name. */
  readonly policies: ReadonlyMap<string, AssignedPolicy>;
}

export function policyBook(database: Database, logger: Logger): PolicyBook {
  let page: Page = { assignments: new Map(), policies: new Map() };
  return {
    policyFor(node) {
      const name = assignedPolicy(page.assignments, node);
      return name === undefined ? undefined : page.policies.get(name);
    },
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
  return { assignments, policies };
}

// A document that this release cannot read must not stop the others: its nodes are without a policy.
async function compile({ db }: Database, name: string, logger: Logger): Promise<AssignedPolicy | undefined> {
  const stored = await readPolicy(db, name);
  if (!stored) return undefined;
  try {
    const policy = parsePolicy(stored.document, `${name}@${stored.version}`);
    return { name, version: stored.version, policy, ...selectionOf(policy) };
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
  const keyOf = ({ assignments, policies }: Page) =>
    [...assignments]
      .map(([subject, name]) => `${subject}=${name}@${policies.get(name)?.version}`)
      .sort()
      .join();
  return keyOf(a) === keyOf(b);
}
