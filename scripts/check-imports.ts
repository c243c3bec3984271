// Refuses imports against the direction of the architecture, and cycles between files.
//
//   node scripts/check-imports.ts [ROOT]
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const SERVICES = ['registrar', 'verifier', 'issuer'].flatMap((name) => [
  `${name}/main.ts`,
  `${name}/config.ts`,
]);

/** What the files of a folder may import, besides their own folder and core/. `*` is anything. */
const DIRECTION: Readonly<Record<string, readonly string[]>> = {
  core: [],
  policies: [],
  platform: [],
  registrar: ['platform'],
  verifier: ['platform', 'policies'],
  issuer: ['platform'],
  agent: ['platform'],
  cli: ['platform', 'policies'],
  // Commands that run a program of ours in this process: its entry, never its insides.
  'cli/serve': ['cli', 'platform', 'policies', ...SERVICES],
  'cli/commands/serve': ['cli', 'platform', 'policies', ...SERVICES],
  'cli/commands/agent': ['cli', 'platform', 'agent/program.ts'],
  'tpm-sim': ['platform/pki', 'agent/tpm'],
  // The program around the fleet is a client of the services, as the command line is.
  'tpm-sim/fleet/main': ['tpm-sim', 'platform', 'cli/api.ts', 'cli/http-api.ts', 'cli/profile.ts'],
  console: [],
  demo: ['*'],
  bench: ['*'],
  test: ['*'],
  scripts: ['*'],
};

/** Packages that a folder may import at all; folders that are not named may use any. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  core: ['node:crypto'],
  'core/messages': ['node:crypto', 'typebox'],
  'core/document': ['typebox', 'yaml'],
  policies: ['node:crypto', 'typebox', 'yaml'],
  // Archives are unpacked as they stream by: bytes in, digests out; opening files is the caller's.
  'policies/language': ['@marcbachmann/cel-js', 'node:crypto', 'typebox', 'yaml'],
  'policies/importers': ['node:crypto', 'node:stream', 'node:zlib', 'tar-stream', 'typebox', 'xz-decompress'],
};

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', 'bin', 'docs', 'migrations', 'packaging']);

export interface Report {
  readonly modules: number;
  readonly problems: readonly string[];
}

interface Module {
  readonly file: string;
  readonly imports: readonly Import[];
}

interface Import {
  readonly specifier: string;
  /** Erased before it runs: counts for the direction, not for cycles. */
  readonly typeOnly: boolean;
}

/** Checks all TypeScript files under `root`. */
export function checkImports(root: string): Report {
  const modules = filesUnder(root, '').map((file) => readModule(root, file));
  const problems = [...modules.flatMap(problemsOf), ...cycles(modules)];
  if (modules.length === 0) problems.push(`no module found under ${root}: nothing was checked`);
  return { modules: modules.length, problems };
}

function filesUnder(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) return [];
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(root, path);
    // Configuration files of tools stand at the top and belong to no part.
    return /\.[mc]?tsx?$/.test(entry.name) && folder !== '' ? [path] : [];
  });
}

function readModule(root: string, file: string): Module {
  const text = readFileSync(join(root, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false);
  const imports: Import[] = [];
  const visit = (node: ts.Node): void => {
    const found = importOf(node);
    if (found) imports.push(found);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { file, imports };
}

function importOf(node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node)) return literal(node.moduleSpecifier, isErased(node.importClause));
  if (ts.isExportDeclaration(node)) {
    const erased = node.isTypeOnly || namesAreTypes(node.exportClause);
    return node.moduleSpecifier && literal(node.moduleSpecifier, erased);
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
    return literal(node.argument.literal, true);
  const dynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const [argument] = dynamic ? node.arguments : [];
  return argument && literal(argument, false);
}

function literal(node: ts.Node, typeOnly: boolean): Import | undefined {
  return ts.isStringLiteralLike(node) ? { specifier: node.text, typeOnly } : undefined;
}

function isErased(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  return clause.name === undefined && namesAreTypes(clause.namedBindings);
}

function namesAreTypes(bindings: ts.NamedImportBindings | ts.NamedExportBindings | undefined): boolean {
  if (bindings === undefined || !(ts.isNamedImports(bindings) || ts.isNamedExports(bindings))) return false;
  const elements: readonly { readonly isTypeOnly: boolean }[] = bindings.elements;
  return elements.length > 0 && elements.every((element) => element.isTypeOnly);
}

function problemsOf({ file, imports }: Module): string[] {
  const part = longestFit(file, DIRECTION);
  if (part === undefined) {
    return [`${file}: no direction is known for its folder; name it in scripts/check-imports.ts`];
  }
  return imports.flatMap(({ specifier }) => {
    const why = specifier.startsWith('.')
      ? refusedFile(file, part, specifier)
      : refusedPackage(file, specifier);
    return why === undefined ? [] : [`${file}: imports ${specifier}: ${why}`];
  });
}

// The longest name that fits: cli/serve has rules of its own.
function longestFit(file: string, places: Readonly<Record<string, unknown>>): string | undefined {
  const fitting = Object.keys(places).filter((place) => isWithin(file, place));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

function isWithin(file: string, place: string): boolean {
  return file === place || file.startsWith(`${place}/`) || file === `${place}.ts`;
}

function refusedFile(file: string, part: string, specifier: string): string | undefined {
  const target = targetOf(file, specifier);
  // JSON at the top, such as package.json, is data.
  if (target.startsWith('../')) return 'it is outside the project';
  const allowed = [part, 'core', ...(DIRECTION[part] ?? [])];
  if (allowed.includes('*') || allowed.some((place) => isWithin(target, place))) return undefined;
  return `${part}/ may import only ${allowed.join(', ')}`;
}

function refusedPackage(file: string, specifier: string): string | undefined {
  const place = longestFit(file, PACKAGES);
  const allowed = place === undefined ? undefined : PACKAGES[place];
  if (allowed === undefined || allowed.some((name) => isWithin(specifier, name))) return undefined;
  return `${place} may import only ${allowed.join(', ')}`;
}

function targetOf(file: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}

/** Each cycle once, as the path around it. */
function cycles(modules: readonly Module[]): string[] {
  const graph = new Map(modules.map((module) => [module.file, runTimeTargets(module)]));
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      found.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`);
      return;
    }
    state.set(file, 'open');
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

function runTimeTargets({ file, imports }: Module): string[] {
  return imports
    .filter(({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly)
    .map(({ specifier }) => targetOf(file, specifier));
}

function main(root: string): void {
  const { modules, problems } = checkImports(root);
  for (const problem of problems) console.error(problem);
  console.log(`${modules} modules, ${problems.length} problems (${relative(process.cwd(), root) || '.'})`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (import.meta.main) main(process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url))));
