import type { Api } from '../../../../cli/api.ts';
import { run } from '../../../../cli/program.ts';
import { AssayError } from '../../../../core/errors.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import type { PackageRef } from '../../../../policies/digests/digest-entry.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';

/** What a service answers, by path with its query; to what is sent, by method and path, from the body. */
export type Answers = Readonly<Record<string, unknown>>;

/** Runs a command line against a verifier that knows these answers; without any there is no profile. */
export async function assay(argv: readonly string[], answers?: Answers, now = new Date(0)) {
  const out: string[] = [];
  const err: string[] = [];
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    const code = await run(argv, {
      openApi: async () => {
        if (answers) return apiOf(answers);
        throw new AssayError('invalid-config', 'no client profile found; make one. Tried:\n  /somewhere');
      },
      now: () => now,
      out: (text) => out.push(text),
      err: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  } finally {
    process.exitCode = before;
  }
}

function apiOf(answers: Answers): Api {
  const answer = async (path: string) => {
    if (Object.hasOwn(answers, path)) return answers[path];
    throw new AssayError('not-found', `there is no ${path}`);
  };
  const unused = () => {
    throw new Error('this command only reads');
  };
  return {
    get: async <T>(_service: string, path: string, query: object = {}) => {
      const given = Object.entries(query).filter(([, value]) => value !== undefined);
      const suffix = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
      return (await answer(`${path}${suffix}`)) as T;
    },
    getBytes: async (_service, path) => {
      const bytes = await answer(path);
      if (bytes instanceof Uint8Array) return bytes;
      throw new Error(`${path} gives no bytes`);
    },
    send: async <T>(_service: string, method: string, path: string, body: unknown) => {
      const respond = await answer(`${method} ${path}`);
      if (typeof respond === 'function') return respond(body) as T;
      throw new Error(`${method} ${path} answers nothing`);
    },
    sendText: unused,
    sendBytes: unused,
    events: unused,
    nodeId: unused,
    close: async () => {},
  };
}

export interface TestFile {
  readonly path: string;
  /** One octet, repeated. */
  readonly digest: number;
  readonly from?: string;
}

/** A set of files; `from` is such as `curl 8.5.0-1`. */
export function digestSet(files: readonly TestFile[]): DigestSet {
  const builder = new DigestSetBuilder();
  for (const { path, digest, from } of files) {
    const [name = '', version = ''] = from?.split(' ') ?? [];
    const known: PackageRef = { name, version, arch: 'amd64' };
    builder.add({
      path: Buffer.from(path),
      algorithm: 'sha256',
      digest: new Uint8Array(32).fill(digest),
      ...(from === undefined ? {} : { package: known }),
    });
  }
  return DigestSet.parse(builder.build());
}
