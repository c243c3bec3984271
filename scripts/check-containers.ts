// The container files cannot be started everywhere; what can be checked is that they parse and fit together.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));

const Compose = Type.Object({
  services: Type.Record(
    Type.String(),
    Type.Object({
      build: Type.Optional(Type.String()),
      image: Type.Optional(Type.String()),
      command: Type.Optional(Type.Array(Type.String())),
      secrets: Type.Optional(Type.Array(Type.String())),
      volumes: Type.Optional(Type.Array(Type.String())),
      depends_on: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  ),
  secrets: Type.Record(Type.String(), Type.Unknown()),
  volumes: Type.Record(Type.String(), Type.Unknown()),
});

const problems: string[] = [];
const compose = Value.Parse(
  Compose,
  parse(readFileSync(`${root}/docker-compose.yml`, 'utf8'), { merge: true }),
);
for (const [name, service] of Object.entries(compose.services)) {
  if (!service.build && !service.image) problems.push(`service ${name} has neither build nor image`);
  for (const secret of service.secrets ?? []) {
    if (!(secret in compose.secrets)) problems.push(`service ${name} uses the unknown secret ${secret}`);
  }
  for (const other of Object.keys(service.depends_on ?? {})) {
    if (!(other in compose.services))
      problems.push(`service ${name} depends on the unknown service ${other}`);
  }
  for (const volume of service.volumes ?? []) {
    const [source = ''] = volume.split(':');
    if (!source.startsWith('.') && !(source in compose.volumes))
      problems.push(`service ${name} uses the unknown volume ${source}`);
  }
}
for (const name of ['registrar', 'verifier', 'issuer', 'postgres', 'redis']) {
  if (!(name in compose.services)) problems.push(`docker-compose.yml has no service ${name}`);
}

// What the image copies from the checkout must be there.
const dockerfile = readFileSync(`${root}/Dockerfile`, 'utf8');
for (const [, sources = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
  for (const source of sources.split(' ')) {
    if (!existsSync(`${root}/${source}`)) problems.push(`Dockerfile copies ${source}, which is not there`);
  }
}

for (const problem of problems) console.error(problem);
if (problems.length === 0)
  console.log(`docker-compose.yml: ${Object.keys(compose.services).length} services, Dockerfile: ok`);
process.exitCode = problems.length === 0 ? 0 : 1;
