import { expect, test } from 'vitest';
import { assay } from './policy/harness.ts';

interface Help {
  readonly command: string;
  readonly text: string;
  readonly options: readonly string[];
}

/** The help of a command and of all below it. */
async function helps(path: readonly string[] = []): Promise<Help[]> {
  const { code, out } = await assay([...path, '--help']);
  expect({ path, code }).toEqual({ path, code: 0 });
  const [own = '', list = ''] = out.split('\nCommands:\n');
  const options = [...own.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option);
  const names = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => name);
  const below = names.filter((name) => !['help', 'completion', 'complete'].includes(name));
  const all = await Promise.all(below.map((name) => helps([...path, name])));
  return [{ command: path.join(' '), text: out, options }, ...all.flat()];
}

test('every command has help, and none has an option that assay itself takes before it', async () => {
  const [top, ...commands] = await helps();
  expect(commands.length).toBeGreaterThan(40);
  const global = new Set(top?.options.filter((option) => option !== '--help'));
  expect(global).toEqual(new Set(['--version', '--json', '--profile']));
  const shadowed = commands.flatMap(({ command, options }) =>
    options.filter((option) => global.has(option)).map((option) => `${command} ${option}`),
  );
  expect(shadowed).toEqual([]);
});

test('a policy is shown in the version that is named', async () => {
  const answers = {
    '/v1/policies/web': { document: 'name: web # newest' },
    '/v1/policies/web?version=2': { document: 'name: web # 2' },
  };
  expect((await assay(['policy', 'show', 'web'], answers)).out).toBe('name: web # newest');
  expect((await assay(['policy', 'show', 'web@2'], answers)).out).toBe('name: web # 2');
});
