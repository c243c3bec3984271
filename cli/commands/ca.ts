import type { Command } from 'commander';
import { type CommandContext, show } from '../context.ts';
import { activate, type ListedAuthority, listAuthorities, prepare, retire } from '../init/rotate.ts';
import { relative } from '../output/style.ts';
import { renderTable } from '../output/table.ts';

const DIRECTORY = 'assay-data';
const NAME = 'root, the name of a group, or GROUP.full: the CA of its nodes of the full tier';
const RESTART = 'restart the issuers, one after the other';

interface Options {
  readonly directory: string;
  readonly rootKeyFile?: string;
}

/** Work on the files of an installation, as `assay init`. */
export function caCommands(program: Command, context: () => CommandContext): void {
  const ca = program
    .command('ca')
    .description('replace the CAs of the node PKI without a gap (docs/spire.md)');
  const of = (name: string, description: string) =>
    ca
      .command(`${name} <name>`)
      .description(`${description}; the name is ${NAME}`)
      .option('--directory <dir>', 'the installation', DIRECTORY);
  ca.command('list')
    .description('all CAs, with what is prepared and what is not retired yet')
    .option('--directory <dir>', 'the installation', DIRECTORY)
    .action(async ({ directory }: Options) => list(context(), directory));
  of('prepare', 'make the CA that will replace this one: it is published, and signs nothing yet')
    .option(
      '--root-key-file <file>',
      "the root's key, when it is not in pki/; for root: where the new one goes",
    )
    .action(async (name: string, { directory, rootKeyFile }: Options) => {
      const secret = process.env.ASSAY_PASSPHRASE ? { passphrase: process.env.ASSAY_PASSPHRASE } : {};
      const rootKey = rootKeyFile === undefined ? {} : { rootKeyFile };
      const path = await prepare({ directory, name, ...secret, ...rootKey, clock: () => new Date() });
      done(
        context(),
        path,
        `is made; ${RESTART}, then let SPIRE trust it, and then: assay ca activate ${name}`,
      );
    });
  of('activate', 'sign by the CA that was prepared').action(async (name: string, { directory }: Options) => {
    const path = await activate(directory, name);
    done(
      context(),
      path,
      `is the new one; ${RESTART}, and once all certificates of the old one have ended: assay ca retire ${name}`,
    );
  });
  of('retire', 'remove the CA that was replaced').action(async (name: string, { directory }: Options) => {
    const path = await retire(directory, name);
    done(context(), path, `is removed; ${RESTART}, then take it out of what SPIRE trusts`);
  });
}

function done(context: CommandContext, path: string, then: string): void {
  show(context, { path }, () => `${path} ${then}`);
}

async function list(context: CommandContext, directory: string): Promise<void> {
  const found = await listAuthorities(directory);
  show(context, found, (rows) =>
    renderTable<ListedAuthority>(
      [
        { title: 'CA', value: ({ name }) => name },
        { title: 'STATE', value: ({ state }) => state },
        { title: 'ENDS', value: ({ notAfter }) => relative(notAfter.toISOString(), context.now()) },
        { title: 'CERTIFICATE', value: ({ certificate }) => certificate },
      ],
      rows,
    ),
  );
}
