// A fleet of simulated nodes against running services, over the real wire. For load and for drills.
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { Api } from '../../cli/api.ts';
import { httpApi } from '../../cli/http-api.ts';
import { readProfile } from '../../cli/profile.ts';
import { COMMANDS, runCommand } from './commands.ts';
import { Fleet } from './fleet.ts';

interface Options {
  readonly profile?: string;
  readonly nodes: string;
  readonly group: string;
  readonly network: string;
  readonly json?: true;
}

const help = Object.entries(COMMANDS).map(([usage, what]) => `  ${usage.padEnd(42)} ${what}`);

await new Command('fleet')
  .description('Simulated nodes on loopback: their TPMs are in software, everything else is as on the wire.')
  .option(
    '--profile <file>',
    'the client profile that "assay init" wrote (default: as the assay command finds it)',
  )
  .option('--nodes <n>', 'how many', '10')
  .option('--group <name>', 'group that admits them', 'default')
  .option('--network <n>', 'they listen on addresses of 127.N.0.0/16', '1')
  .option('--json', 'one line of JSON for each command')
  .addHelpText('after', `\nCommands, a line each on standard input:\n${help.join('\n')}`)
  .action(run)
  .parseAsync();

async function run({ profile, nodes, group, network, json }: Options): Promise<void> {
  const { urls, material } = await readProfile(profile);
  const say = (what: string, result: object) =>
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${what}: ${JSON.stringify(result)}\n`);
  const services = { registrar: urls.registrar, issuer: urls.issuer, ca: material.ca };
  const api = httpApi(urls, material);
  const fleet = await Fleet.start({
    services,
    size: positive(nodes, '--nodes'),
    network: positive(network, '--network'),
  });
  try {
    await admit(api, fleet, group);
    say('enrolled', (await runCommand(fleet, 'enrol')) ?? {});
    for await (const line of createInterface({ input: process.stdin })) {
      const answer = await runCommand(fleet, line).catch((error: Error) => ({ error: error.message }));
      if (answer === undefined) break;
      say(line.trim(), answer);
    }
  } finally {
    await fleet.close();
    await api.close();
  }
}

async function admit(api: Api, fleet: Fleet, group: string): Promise<void> {
  await api.send('registrar', 'POST', '/v1/trust', { pem: fleet.manufacturer.root });
  await api.sendText('registrar', '/v1/inventory', fleet.inventory(group), 'text/csv');
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`${option} expects a number above 0, not "${text}"`);
}
