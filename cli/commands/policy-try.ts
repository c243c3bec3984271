import type { Command } from 'commander';
import type { PolicyTrial } from '../../core/messages/policy-trial.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { renderTable, shown, shownReason } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';

export function policyTryCommand(policy: Command, context: () => CommandContext): void {
  policy
    .command('try <file>')
    .description(
      'what a policy would say of the nodes that are trusted now; exit code 1 when some would fail',
    )
    .option('--group <group>', 'the nodes of a group; default: those that the policy of this name is for')
    .addHelpText('after', '\nBy what they showed last: no node is asked, and nothing changes.')
    .action((file: string, options: { group?: string }) => tryPolicy(context(), file, options));
}

async function tryPolicy(context: CommandContext, file: string, options: { group?: string }): Promise<void> {
  const { stored: document } = await readPolicyFile(file);
  const api = await context.api();
  const trial = await api.send<PolicyTrial>('verifier', 'POST', '/v1/policies/try', { document, ...options });
  if (trial.failing > 0) process.exitCode = EXIT.no;
  show(context, trial, render);
}

function render({ passing, failing, asking, unjudged, nodes }: PolicyTrial): string {
  const counts = `${passing} would pass, ${failing} would fail, ${asking} must be asked first`;
  const rest = unjudged > 0 ? `; there was no time for ${unjudged}` : '';
  if (nodes.length === 0) return counts + rest;
  const table = renderTable<PolicyTrial['nodes'][number]>(
    [
      { title: 'NODE', value: (row) => shown(row.alias) },
      { title: 'ID', value: (row) => row.nodeId },
      { title: 'WOULD', value: (row) => (row.outcome === 'fail' ? 'fail' : 'be asked') },
      { title: 'WHY', value: ({ reasons: [first, ...more] }) => whyOf(first, more.length) },
    ],
    nodes,
  );
  return `${counts}${rest}\n\n${table}`;
}

function whyOf(first: PolicyTrial['nodes'][number]['reasons'][number] | undefined, more: number): string {
  if (!first) return '-';
  return more === 0 ? shownReason(first) : `${shownReason(first)} (and ${more} more)`;
}
