import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Command } from 'commander';
import { dsseKeyId, renderDsse, signDsse, verifyDsse } from '../../core/dsse.ts';
import { AssayError } from '../../core/errors.ts';
import { readKeyFile } from '../../platform/pki/key-file.ts';
import { openPolicy, POLICY_TYPE } from '../../policies/language/signed.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readTextFile, writeTextFile } from '../files.ts';
import { readPolicyFile } from '../policy-files.ts';

type Context = () => CommandContext;

/** Signing of policies (DSSE), away from the services: the key stays with the person. */
export function policySignCommands(policy: Command, context: Context): void {
  policy
    .command('sign <file>')
    .description('put a policy into a signed envelope (DSSE), for verifiers that pin keys')
    .requiredOption('--key <file>', 'PEM of an ECDSA or Ed25519 private key, 0600')
    .option('--output <file>', 'default: standard output')
    .action((file: string, flags: { key: string; output?: string }) => sign(context(), file, flags));
  policy
    .command('verify <file>')
    .description('say whether a signed policy is signed by a key')
    .requiredOption('--key <file>', 'PEM of the public key')
    .action((file: string, flags: { key: string }) => verify(context(), file, flags.key));
}

async function sign(
  context: CommandContext,
  file: string,
  { key, output }: { key: string; output?: string },
) {
  // Whoever signs answers for it: it must at least be one.
  const { text } = await readPolicyFile(file);
  const privateKey = await readKeyFile(key);
  const publicKey = createPublicKey(privateKey);
  const envelope = signDsse(POLICY_TYPE, new Uint8Array(Buffer.from(text)), privateKey, publicKey);
  if (output === undefined) context.out(renderDsse(envelope).trimEnd());
  else {
    await writeTextFile(output, renderDsse(envelope));
    show(
      context,
      { output, key: dsseKeyId(publicKey) },
      (made) => `${made.output}: signed with key sha256:${made.key}`,
    );
  }
}

async function verify(context: CommandContext, file: string, keyFile: string): Promise<void> {
  const { envelope } = openPolicy(await readTextFile(file));
  if (!envelope) throw new AssayError('invalid-policy', `${file} is not signed: it is no envelope`);
  const key = readPublic(await readTextFile(keyFile), keyFile);
  const signed = verifyDsse(envelope, [key]).length > 0;
  if (!signed) process.exitCode = EXIT.no;
  show(context, { signed, key: dsseKeyId(key) }, (result) =>
    result.signed ? `signed by sha256:${result.key}` : `not signed by sha256:${result.key}`,
  );
}

function readPublic(pem: string, file: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new AssayError('invalid-request', `${file} holds no public key in PEM`, { cause });
  }
}
