// Writes docs/openapi.json, one document for all services.
//   node scripts/openapi.ts          writes it
//   node scripts/openapi.ts --check  fails when it is not what the services describe
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createIssuerApp } from '../issuer/app.ts';
import { type ApiServer, exportOpenApi } from '../platform/http/openapi.ts';
import { createLogger } from '../platform/logging.ts';
import { createMetrics } from '../platform/metrics.ts';
import { createRegistrarApp } from '../registrar/app.ts';
import { createVerifierApp } from '../verifier/app.ts';
import { openApiProblems } from './openapi-rules.ts';

const FILE = fileURLToPath(new URL('../docs/openapi.json', import.meta.url));
const SERVERS = {
  registrar: server(8891, 'Registrar: identity, admission, inventory, the audit log'),
  verifier: server(8881, 'Verifier: policies, verdicts, bans, changes of trust'),
  issuer: server(8882, 'Issuer: node certificates, revocation lists'),
};

function server(port: number, description: string): ApiServer {
  return { url: `https://{host}:${port}`, description, variables: { host: { default: 'localhost' } } };
}

async function describeServices(): Promise<Record<string, unknown>> {
  const options = { logger: createLogger({ level: 'silent', name: 'openapi' }) };
  // What routes work with when they are asked; here nobody asks.
  const nothing = <T>() => ({ database: {} }) as T;
  const apps = [
    await createRegistrarApp(options, nothing(), createMetrics(false)),
    await createVerifierApp(options, nothing(), createMetrics(false)),
    await createIssuerApp(options, nothing(), createMetrics(false)),
  ];
  for (const app of apps) await app.ready();
  const document = exportOpenApi(apps, SERVERS);
  for (const app of apps) await app.close();
  return document;
}

async function main(isCheck: boolean): Promise<string[]> {
  const document = await describeServices();
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (!isCheck) writeFileSync(FILE, text);
  else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== text)
    return ['docs/openapi.json is not what the services describe; run: npm run openapi'];
  return openApiProblems(JSON.parse(text));
}

const problems = await main(process.argv.includes('--check'));
for (const problem of problems) console.error(problem);
if (problems.length === 0) console.log('docs/openapi.json: ok');
process.exitCode = problems.length === 0 ? 0 : 1;
