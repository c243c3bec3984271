import type { Command } from 'commander';
import type { EarClaims } from '../../core/messages/result.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';
import { type CheckedResult, verifyResult } from '../../platform/results/token.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readTextFile } from '../files.ts';
import { relative } from '../output/style.ts';
import { renderFields, shown, shownReason, shownReasons } from '../output/table.ts';

type Context = () => CommandContext;

export function resultCommands(program: Command, context: Context): void {
  const result = program
    .command('result')
    .description('what the verifier says of a node, signed (EAT Attestation Result), for others to rely on');
  result
    .command('get <node>')
    .description('the result for a node now, as a JWT')
    .option('--nonce <base64url>', 'is echoed: shows that the result was made after you asked')
    .action(async (name: string, options: { nonce?: string }) => get(context(), name, options));
  result
    .command('verify <file>')
    .description(
      'is a result genuine, and of now? Talks to no service. - reads standard input. Exit code 1: no',
    )
    .requiredOption('--ca <file>', "the service CA of the verifier's installation (pki/service-ca.crt)")
    .option('--nonce <base64url>', 'what you asked with')
    .action(async (file: string, options: { ca: string; nonce?: string }) =>
      verify(context(), file, options),
    );
}

async function get(context: CommandContext, name: string, options: { nonce?: string }): Promise<void> {
  const api = await context.api();
  const id = await api.nodeId(name);
  const answer = await api.get<{ token: string; claims: EarClaims }>('verifier', `/v1/nodes/${id}/result`, {
    ...options,
  });
  show(context, answer, ({ token }) => token);
}

async function verify(
  context: CommandContext,
  file: string,
  { ca, nonce }: { ca: string; nonce?: string },
): Promise<void> {
  const anchors = await readCertificates(ca);
  const checked = await verifyResult(await readTextFile(file), { anchors, at: context.now(), nonce });
  if (!checked.ok) process.exitCode = EXIT.no;
  show(context, checked, (value) => render(value, context.now()));
}

function render(checked: CheckedResult, now: Date): string {
  if (!checked.ok) return `the result does not count: ${shown(checked.problem)}`;
  const { claims, signer } = checked;
  const node = claims['urn:assay:node'];
  const { tier, tierReasons, outcome, reasons, judgedAt } = claims['urn:assay:verdict'];
  const until = new Date(claims.exp * 1000).toISOString();
  return renderFields([
    ['node', claims.sub],
    ['name', shown(node.name)],
    ['group', shown(node.group)],
    ['state', node.state],
    ['tier', tier],
    ['because', tierReasons.map((reason) => shownReason(reason)).join('\n')],
    ['status', `${claims.ear_status} (${submods(claims)})`],
    ['verdict', judgedAt === null ? 'none' : `${shown(outcome)} ${relative(judgedAt, now)}`],
    ['reasons', shownReasons(reasons).join('\n') || undefined],
    ['policy', claims.submods.identity.ear_appraisal_policy_ids?.map((id) => shown(id)).join('\n')],
    ['holds', `until ${until} (${relative(until, now)})`],
    ['signed by', shown(signer)],
  ]);
}

function submods({ submods: parts }: EarClaims): string {
  return Object.entries(parts)
    .map(([name, { ear_status }]) => `${name} ${ear_status}`)
    .join(', ');
}

/** The certificates of a PEM file. @throws {AssayError} `malformed` */
export async function readCertificates(file: string): Promise<readonly Certificate[]> {
  const text = await readTextFile(file);
  return parsePemBundle(text).map((der) => parseCertificate(der));
}
