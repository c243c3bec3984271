import type { Command } from 'commander';
import { untilSignal } from '../../platform/lifecycle.ts';
import { createLogger } from '../../platform/logging.ts';
import { SERVICE_NAMES, type Served } from '../serve/names.ts';

interface ServeOptions {
  readonly config: string;
  readonly only: readonly string[];
}

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('run the services: all in one process, or those of --only')
    .option('--config <file>', 'what "assay init" wrote', 'assay-data/assay.yaml')
    .option('--only <service...>', `some of ${SERVICE_NAMES.join(', ')}`, [...SERVICE_NAMES])
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const only = options.only.map(checkName);
  // Loaded here: other commands need no database and no TLS.
  const { logLevelOf, startServices } = await import('../serve/services.ts');
  const logger = createLogger({ level: logLevelOf(options.config), name: 'assay' });
  const services = await startServices({ configFile: options.config, only, logger, env: process.env });
  await untilSignal(logger);
  await services.close();
}

function checkName(name: string): Served {
  const known = SERVICE_NAMES.find((service) => service === name);
  if (known === undefined)
    throw new TypeError(`there is no service "${name}"; expected ${SERVICE_NAMES.join(', ')}`);
  return known;
}
