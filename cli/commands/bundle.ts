import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { readChain, refuseSigner } from '../../platform/results/signer.ts';
import { isSealedBy, type OpenedBundle, openBundle } from '../../policies/bundle/format.ts';
import { type BundleJudgement, judgeBundle } from '../../policies/bundle/judge.ts';
import { type CommandContext, show } from '../context.ts';
import { readSet } from '../digests/read-set.ts';
import { offlineTier } from '../evidence-files/evidence.ts';
import { EXIT } from '../exit-codes.ts';
import { readTextFile, writeTextFile } from '../files.ts';
import { renderFields, shown, shownReasons } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';
import { readCertificates } from './result.ts';

type Context = () => CommandContext;

interface GetOptions {
  readonly verdict?: string;
  readonly whole?: boolean;
  readonly sets: boolean;
  readonly out?: string;
}

interface VerifyOptions {
  readonly ca: string;
  readonly policy?: string;
  readonly set?: string[];
  readonly roots?: string;
}

export function bundleCommands(program: Command, context: Context): void {
  const bundle = program
    .command('bundle')
    .description('all that a verdict rests on, in one signed file that anybody can judge again');
  bundle
    .command('get <node>')
    .description("the bundle of the node's last pass")
    .option(
      '--verdict <id>',
      'of this verdict instead (see --json of `node history`); fails have theirs kept',
    )
    .option('--whole', 'attest it now, with its whole measurement list: for judging under other policies')
    .option('--no-sets', 'leave out the digest sets')
    .option('--out <file>', 'write it there; default: standard output')
    .action(async (name: string, options: GetOptions) => get(context(), name, options));
  bundle
    .command('verify <file>')
    .description(
      'judge a bundle; talks to no service. Exit code 1: not genuine, or not as was recorded, or no pass under --policy',
    )
    .requiredOption('--ca <file>', "the service CA of the verifier's installation (pki/service-ca.crt)")
    .option('--policy <file>', "judge by this policy instead of the bundle's own")
    .option('--set <file...>', 'digest sets that are not in the bundle')
    .option('--roots <file>', 'PEM of the manufacturers that you trust')
    .action(async (file: string, options: VerifyOptions) => verify(context(), file, options));
}

async function get(context: CommandContext, name: string, options: GetOptions): Promise<void> {
  const { verdict, whole, sets, out } = options;
  if (verdict !== undefined && whole) {
    throw new AssayError('invalid-request', '--whole makes a new verdict; leave out --verdict');
  }
  const api = await context.api();
  const query = sets ? '' : '?sets=false';
  const id = await api.nodeId(name);
  const text = whole
    ? await api.send<object>('verifier', 'POST', `/v1/nodes/${id}/bundle${query}`)
    : await api.get<object>(
        'verifier',
        `${verdict === undefined ? `/v1/nodes/${id}` : `/v1/verdicts/${verdict}`}/bundle${query}`,
      );
  const file = `${JSON.stringify(text, null, 2)}\n`;
  if (out === undefined) return context.out(file.trimEnd());
  await writeTextFile(out, file);
  context.note(`wrote ${out}`);
}

async function verify(context: CommandContext, file: string, options: VerifyOptions): Promise<void> {
  const opened = openBundle(await readTextFile(file));
  const problem = refuseSeal(opened, await readCertificates(options.ca));
  const policy = options.policy === undefined ? undefined : (await readPolicyFile(options.policy)).policy;
  const judgement = judgeBundle(opened.bundle, {
    ...(policy ? { policy } : {}),
    sets: await Promise.all((options.set ?? []).map(readSet)),
    ...(options.roots === undefined ? {} : { roots: await readCertificates(options.roots) }),
  });
  const report = reportOf(opened, judgement, problem);
  const asExpected = judgement.agrees ?? judgement.verdict.outcome === 'pass';
  if (problem !== undefined || !asExpected) process.exitCode = EXIT.no;
  show(context, report, render);
}

/** Why nobody who is trusted vouches for the bundle; undefined when somebody does. */
function refuseSeal(opened: OpenedBundle, anchors: readonly Certificate[]): string | undefined {
  const { verifier, judgedAt } = opened.bundle;
  if (verifier.chain.length === 0) return 'it does not say who signed it';
  const chain = readChain(verifier.chain);
  const [signer] = chain;
  const problem = refuseSigner(chain, anchors, new Date(judgedAt));
  if (problem !== undefined || !signer) return problem;
  return isSealedBy(opened, [signer.publicKey])
    ? undefined
    : `it is not signed by the key of ${signer.subject.text}`;
}

function reportOf({ bundle }: OpenedBundle, judgement: BundleJudgement, problem: string | undefined) {
  const { policy, verdict, agrees, onlyRecorded, onlyHere, limits, ekCertified } = judgement;
  const channelBound = bundle.asked.channel?.binding === 'tls-key';
  const { tier, reasons: tierReasons } = offlineTier(policy, verdict, { ekCertified, channelBound });
  return {
    genuine: problem === undefined,
    problem: problem ?? null,
    ...{ node: bundle.node.id, verifier: bundle.verifier.url, judgedAt: bundle.judgedAt },
    recorded: { ...bundle.verdict, policy: `${bundle.policy.name}@${bundle.policy.version}` },
    found: { outcome: verdict.outcome, reasons: verdict.findings, policy: policy.name, tier, tierReasons },
    ...{ agrees: agrees ?? null, onlyRecorded, onlyHere, ekCertified, limits },
  };
}

function render(report: ReturnType<typeof reportOf>): string {
  const { recorded, found, agrees } = report;
  const lines = (reasons: Parameters<typeof shownReasons>[0]) =>
    shownReasons(reasons).join('\n') || undefined;
  return renderFields([
    ['signed', report.genuine ? `by ${shown(report.verifier)}` : `NO: ${shown(report.problem)}`],
    ['node', report.node],
    ['recorded', `${recorded.outcome} under ${shown(recorded.policy)} at ${shown(report.judgedAt)}`],
    ['found', `${found.outcome} under ${shown(found.policy)}`],
    ['reasons', lines(found.reasons)],
    ['tier', found.tier],
    ['because', lines(found.tierReasons)],
    ['agrees', agrees === null ? undefined : agrees ? 'yes' : differences(report)],
    ['notes', report.limits.map((limit) => shown(limit)).join('\n') || undefined],
  ]);
}

function differences({ onlyRecorded, onlyHere, recorded, found }: ReturnType<typeof reportOf>): string {
  const parts = [
    ...(recorded.outcome === found.outcome ? [] : [`recorded ${recorded.outcome}, found ${found.outcome}`]),
    ...onlyRecorded.map((rule) => `only recorded: ${shown(rule)}`),
    ...onlyHere.map((rule) => `only found here: ${shown(rule)}`),
  ];
  return `NO: ${parts.join('; ')}`;
}
