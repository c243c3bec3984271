import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { AssayError } from '../../core/errors.ts';
import { DigestSetBuilder } from '../../policies/digests/build.ts';
import { importKeylimePolicy } from '../../policies/importers/keylime.ts';
import { bootOfReferenceState } from '../../policies/importers/keylime-boot.ts';
import { filesOfRuntimePolicy } from '../../policies/importers/keylime-files.ts';
import { ImportSink } from '../../policies/importers/report.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import type { CommandContext } from '../context.ts';
import { readTextFile } from '../files.ts';

interface ConvertOptions {
  readonly name: string;
  readonly bank: string;
  readonly bootState?: string;
  readonly runtimePolicy?: string;
  readonly set?: string;
}

/** A policy that takes the place of Keylime's documents, for a person to read. */
export function policyConvertCommand(policy: Command, context: () => CommandContext): void {
  policy
    .command('convert')
    .description(
      "a policy that takes the place of Keylime's documents; says what is left for you. Talks to no service",
    )
    .requiredOption('--name <name>', 'name of the policy')
    .option('--boot-state <file>', 'measured boot reference state (keylime-policy create measured-boot)')
    .option('--runtime-policy <file>', 'runtime policy of version 1 (keylime-policy create runtime)')
    .option('--set <id>', 'the digest set that `assay digests import` made of the runtime policy')
    .addOption(
      new Option('--bank <bank>', 'PCR bank').choices(['sha256', 'sha384', 'sha512']).default('sha256'),
    )
    .action((options: ConvertOptions) => convert(context(), options));
}

async function convert(context: CommandContext, options: ConvertOptions): Promise<void> {
  const { name, bank, bootState, runtimePolicy } = options;
  if (bootState === undefined && runtimePolicy === undefined)
    throw new AssayError('invalid-request', 'give --boot-state, --runtime-policy, or both');
  const boot = bootState === undefined ? undefined : bootOfReferenceState(await readTextFile(bootState));
  const files =
    runtimePolicy === undefined
      ? undefined
      : filesOfRuntimePolicy(rulesOf(await readTextFile(runtimePolicy)), setOf(runtimePolicy, options.set));
  const document = stringify(
    {
      assay: 'policy/v1',
      name,
      description: "Converted from Keylime's documents.",
      freshness: { interval: '30s', 'trust-for': '5m' },
      reaction: 'ban',
      pcrs: { bank, require: boot ? `0-9${files ? ', 10' : ''}, 14` : '0-10' },
      ...(boot ? { boot: boot.section } : {}),
      ...(files ? { ima: files.section } : {}),
    },
    { lineWidth: 0 },
  );
  parsePolicy(document, name);
  context.out(document.trimEnd());
  for (const note of [...(boot?.notes ?? []), ...(files?.notes ?? [])]) context.note(note);
}

function rulesOf(text: string) {
  // Its digests are imported by themselves: what it says besides is looked at here.
  return importKeylimePolicy(text, new ImportSink(new DigestSetBuilder()));
}

function setOf(file: string, set: string | undefined): string {
  if (set !== undefined) return set;
  const message = `--set is missing: run "assay digests import ${file}" first, and give the id that it prints`;
  throw new AssayError('invalid-request', message);
}
