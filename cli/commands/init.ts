import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { type CommandContext, show } from '../context.ts';
import { initialise } from '../init/initialise.ts';
import { addGroup, renewServerCertificates } from '../init/maintain.ts';
import { renderFields } from '../output/table.ts';

interface InitOptions {
  readonly trustDomain: string;
  readonly nodesDomain?: string;
  readonly host: readonly string[];
  readonly group: readonly string[];
  readonly rootKeyFile?: string;
  readonly addGroup?: string;
  readonly renew?: boolean;
}

const DIRECTORY = 'assay-data';

export function initCommand(program: Command, context: () => CommandContext): void {
  program
    .command('init [directory]')
    .description(
      `make an installation: both PKIs, an admin credential and assay.yaml (default: ${DIRECTORY})`,
    )
    .option('--trust-domain <name>', "SPIRE's trust domain", 'example.org')
    .option('--nodes-domain <name>', 'domain of node names (default: nodes.TRUST-DOMAIN)')
    .option('--host <name...>', 'names and addresses of the services', ['localhost', '127.0.0.1'])
    .option('--group <name...>', 'node groups; each has an issuing CA of its own', ['default'])
    .option('--root-key-file <file>', "put the node root's key here, such as on a medium that is taken away")
    .option(
      '--add-group <name>',
      'only: make the issuing CA of one more group, or with .full behind it that of its nodes of the full tier',
    )
    .option('--renew', 'only: new server certificates from the same service CA')
    .addHelpText('after', '\nASSAY_PASSPHRASE, when set, encrypts the keys of all CAs.')
    .action((directory: string | undefined, options: InitOptions) =>
      init(context(), directory ?? DIRECTORY, options),
    );
}

const clock = () => new Date();

async function init(context: CommandContext, directory: string, options: InitOptions): Promise<void> {
  const secret = process.env.ASSAY_PASSPHRASE ? { passphrase: process.env.ASSAY_PASSPHRASE } : {};
  const rootKey = options.rootKeyFile === undefined ? {} : { rootKeyFile: options.rootKeyFile };
  if (options.addGroup !== undefined) {
    const path = await addGroup({ directory, group: options.addGroup, ...rootKey, ...secret, clock });
    const then = options.addGroup.endsWith('.full')
      ? 'set full-tier-ca: true for the group in issuer.groups'
      : 'add the group to issuer.groups';
    return show(
      context,
      { path },
      () => `${path} is made; now ${then} in assay.yaml and restart the issuers`,
    );
  }
  if (options.renew) {
    const renewed = await renewServerCertificates({ directory, ...secret, clock, random: randomBytes });
    return show(context, renewed, (rows) =>
      rows.map((row) => `${row.certificate} until ${row.notAfter.toISOString()}`).join('\n'),
    );
  }
  const summary = await initialise({
    directory,
    trustDomain: options.trustDomain,
    nodesDomain: options.nodesDomain ?? `nodes.${options.trustDomain}`,
    groups: options.group,
    hosts: options.host,
    ...rootKey,
    ...secret,
    clock,
    random: randomBytes,
  });
  show(context, summary, (made) =>
    renderFields([
      ['configuration', made.config],
      ['client profile', made.clientProfile],
      ['service CA', `${made.serviceCa}\n${made.serviceCaPin}`],
      ['node root', `${made.nodeRoot}\nkey: ${made.rootKey} (take it offline)`],
      ['next', `assay serve --config ${made.config}`],
    ]),
  );
}
