import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static, type TSchema } from 'typebox';
import Value from 'typebox/value';
import { AssayError } from '../core/errors.ts';
import { base64, NodeId } from '../core/messages/common.ts';
import { destroyFile, destroyLeftovers, isMissing, replaceFile } from './files.ts';

/** Key blobs of the TPM, which are of no use elsewhere. */
const StoredKey = Type.Object({
  /** SHA-256 of the EK's SubjectPublicKeyInfo: another EK cannot load them. */
  ekSha256: Type.String(),
  algorithm: Type.String(),
  public: base64(2048),
  private: base64(4096),
});
export type StoredKey = Static<typeof StoredKey>;

/** What the registrar has told us, and of what request. */
const StoredNode = Type.Object({
  nodeId: NodeId,
  version: Type.Integer(),
  /** Whether a join token has done its work, or was not needed. */
  admitted: Type.Boolean(),
  registrar: Type.String(),
  /** SHA-256 of what was registered: another EK, AK, TLS key or address must be enrolled again. */
  registered: Type.String(),
});
export type StoredNode = Static<typeof StoredNode>;

const SCHEMAS = { 'ak.json': StoredKey, 'node-ca.json': StoredKey, 'node.json': StoredNode } as const;
type Name = keyof typeof SCHEMAS;

/** What an agent keeps over a restart: one directory, 0700, files 0600. */
export class StateStore {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(directory: string): Promise<StateStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await destroyLeftovers(directory);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AssayError('invalid-config', `the state directory ${directory} cannot be used: ${why}`, {
        cause,
      });
    }
    return new StateStore(directory);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  readAk(): Promise<StoredKey | undefined> {
    return this.#read('ak.json', StoredKey);
  }

  readNodeCa(): Promise<StoredKey | undefined> {
    return this.#read('node-ca.json', StoredKey);
  }

  readNode(): Promise<StoredNode | undefined> {
    return this.#read('node.json', StoredNode);
  }

  writeAk(key: StoredKey): Promise<void> {
    return this.#write('ak.json', key);
  }

  writeNodeCa(key: StoredKey): Promise<void> {
    return this.#write('node-ca.json', key);
  }

  writeNode(node: StoredNode): Promise<void> {
    return this.#write('node.json', node);
  }

  async remove(name: Name | 'tls.key' | 'tls.crt'): Promise<void> {
    await destroyFile(this.path(name));
  }

  async readText(name: string): Promise<string | undefined> {
    try {
      return await readFile(this.path(name), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async writeText(name: string, text: string): Promise<void> {
    await replaceFile(this.path(name), text);
  }

  async #read<T extends TSchema>(name: Name, schema: T): Promise<Static<T> | undefined> {
    const text = await this.readText(name);
    if (text === undefined) return undefined;
    try {
      const value: unknown = JSON.parse(text);
      if (Value.Check(schema, value)) return value;
    } catch {
      // Falls through: all of it can be made again.
    }
    return undefined;
  }

  async #write(name: Name, value: object): Promise<void> {
    await this.writeText(name, `${JSON.stringify(value, null, 2)}\n`);
  }
}
