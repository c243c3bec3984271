import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkImports } from '../../../scripts/check-imports.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'assay-imports-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function problemsOf(files: Readonly<Record<string, string>>): readonly string[] {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return checkImports(root).problems;
}

const good: readonly [name: string, files: Record<string, string>][] = [
  [
    'a service uses core and platform',
    { 'issuer/main.ts': "import '../core/a.ts';\nimport '../platform/b.ts';\nimport 'pg';" },
  ],
  ['the verifier uses policies', { 'verifier/main.ts': "import '../policies/appraise.ts';" }],
  [
    'serve starts the services',
    { 'cli/commands/serve.ts': "import '../../issuer/main.ts';\nimport '../program.ts';" },
  ],
  [
    'a file with an import in a comment and in a text',
    { 'core/a.ts': "// import '../issuer/x.ts'\nexport const a = \"import 'pg'\";" },
  ],
  [
    'types of each other, which are erased',
    {
      'core/a.ts': "import type { B } from './b.ts';",
      'core/b.ts': "import { type A } from './a.ts';\nimport './a.ts';",
    },
  ],
];
for (const [name, files] of good) test(`accepted: ${name}`, () => expect(problemsOf(files)).toEqual([]));

const bad: readonly [name: string, files: Record<string, string>, problem: RegExp][] = [
  [
    'core uses platform',
    { 'core/a.ts': "import { x } from '../platform/b.ts';" },
    /core\/a\.ts: imports \.\.\/platform\/b\.ts/,
  ],
  [
    'core uses a type of platform',
    { 'core/a.ts': "import type { X } from '../platform/b.ts';" },
    /core\/a\.ts/,
  ],
  [
    'core does I/O',
    { 'core/a.ts': "import { readFile } from 'node:fs/promises';" },
    /may import only node:crypto$/,
  ],
  ['core outside messages uses schemas', { 'core/tpm/a.ts': "import Type from 'typebox';" }, /typebox/],
  ['platform uses policies', { 'platform/a.ts': "import '../policies/b.ts';" }, /platform\/ may import only/],
  ['policies use the verifier', { 'policies/a.ts': "import '../verifier/b.ts';" }, /policies\/ may import/],
  [
    'a service uses another',
    { 'issuer/store/a.ts': "export { x } from '../../registrar/domain/b.ts';" },
    /issuer\/ may import/,
  ],
  [
    'a service uses another at run time',
    { 'issuer/a.ts': "const b = await import('../verifier/main.ts');" },
    /issuer\/ may import/,
  ],
  [
    'a service uses a type of another',
    { 'issuer/a.ts': "let b: import('../verifier/main.ts').B;" },
    /issuer\/ may import/,
  ],
  [
    'the registrar uses policies',
    { 'registrar/a.ts': "import '../policies/b.ts';" },
    /registrar\/ may import/,
  ],
  [
    'the command line uses a service',
    { 'cli/commands/node.ts': "import '../../registrar/main.ts';" },
    /cli\/ may import/,
  ],
  [
    'serve uses the inside of a service',
    { 'cli/serve/a.ts': "import '../../issuer/store/bans.ts';" },
    /cli\/serve\/ may import/,
  ],
  ['the simulator uses a service', { 'tpm-sim/a.ts': "import '../verifier/b.ts';" }, /tpm-sim\/ may import/],
  [
    'a folder that looks like an allowed one',
    { 'issuer/a.ts': "import '../platform-extra/b.ts';" },
    /issuer\/ may import/,
  ],
  ['something outside', { 'test/a.ts': "import '../../other/b.ts';" }, /outside the project/],
  ['a folder without a direction', { 'helpers/a.ts': '' }, /helpers\/a\.ts: no direction is known/],
  [
    'two files that need each other',
    { 'core/a.ts': "import './b.ts';", 'core/b.ts': "import './a.ts';" },
    /^cycle: core\/a\.ts -> core\/b\.ts -> core\/a\.ts$/,
  ],
  [
    'a file that needs itself',
    { 'core/a.ts': "export * from './a.ts';" },
    /^cycle: core\/a\.ts -> core\/a\.ts$/,
  ],
  ['nothing to check', {}, /no module found/],
];
for (const [name, files, problem] of bad) {
  test(`refused: ${name}`, () => {
    const problems = problemsOf(files);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
}

test('the project itself keeps the direction', () => {
  const project = fileURLToPath(new URL('../../..', import.meta.url));
  const { modules, problems } = checkImports(project);
  expect(problems).toEqual([]);
  expect(modules).toBeGreaterThan(100);
});
