import { hash } from 'node:crypto';
import { printable, toHex } from '../../core/bytes/encoding.ts';
import type { FileRef, Finding } from '../../core/finding.ts';
import { imaBuffer } from '../../core/ima/buffer.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import { IMA_HASH_ALGOS } from '../../core/ima/hash-algo.ts';
import { IMA_FLAG, type ImaList, NO_ALGO } from '../../core/ima/list.ts';
import { type FileDigestName, isFileDigestName } from '../digests/digest-entry.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { ImaPolicy, KeyringRule } from '../ima-policy.ts';
import { explainFile } from './ima-explain.ts';
import { mayJoin } from './ima-keyrings.ts';

/** Whether the signature of an entry is one of a key that may sign files at its path. */
export type SignedBy = (list: ImaList, index: number) => boolean;

export interface ImaEntriesInput {
  readonly policy: ImaPolicy;
  readonly list: ImaList;
  /** Number of the list's first entry in the whole list of this boot; default 0. */
  readonly firstEntry?: number;
  /** Entries from here on, */
  readonly from: number;
  /** up to here, are judged: those that the quote covers and that were not judged before. */
  readonly to: number;
  readonly isSigned?: SignedBy;
  /** How entries were taken that were judged by this policy before, as `fresh` said it then; 0 for those that were not. */
  readonly taken?: Uint8Array | undefined;
  /** All sets of the installation: to say which package something is of. */
  readonly known?: readonly DigestSet[];
}

/** How the entries were taken. */
export interface ImaCounts {
  readonly allowed: number;
  readonly signed: number;
  readonly excluded: number;
  readonly buffers: number;
  readonly violations: number;
  readonly refused: number;
}

export interface ImaEntriesResult {
  readonly findings: readonly Finding[];
  readonly counts: ImaCounts;
  /** Entries named `boot_aggregate`, which are judged with the PCRs. */
  readonly aggregates: readonly number[];
  /**
   * How the entries up to `to` were taken that were not known; 0 for those that were, that are refused, and that more
   * than their bytes decides on.
   */
  readonly fresh: Uint8Array;
}

/** How an entry can be taken because of its bytes alone. */
const TAKEN = { allowed: 1, signed: 2, excluded: 3, buffers: 4 } as const;

const AGGREGATE = Buffer.from('boot_aggregate');
/** Of one rule, so many are told one by one; a node that runs a foreign system has thousands. */
const TOLD = 50;
/** Of what is allowed in its place. */
const NAMED = 3;

type Reason = Omit<Finding, 'rule'>;

/** Judges entries of a measurement list whose template data is proven by a quote. */
export function evaluateImaEntries(input: ImaEntriesInput): ImaEntriesResult {
  const judge = new EntryJudge(input);
  for (let index = input.from; index < input.to; index += 1) judge.judge(index);
  return judge.result();
}

class EntryJudge {
  readonly #input: ImaEntriesInput;
  readonly #algorithms: readonly (FileDigestName | undefined)[];
  readonly #buffers: readonly boolean[];
  /** By how they were taken. */
  readonly #taken = new Uint32Array(1 + Object.keys(TAKEN).length);
  readonly #fresh: Uint8Array;
  #violations = 0;
  #refused = 0;
  readonly #findings: Finding[] = [];
  readonly #told = new Map<string, number>();
  readonly #aggregates: number[] = [];

  constructor(input: ImaEntriesInput) {
    this.#input = input;
    this.#fresh = new Uint8Array(input.to);
    this.#algorithms = IMA_HASH_ALGOS.map(({ name }) => (isFileDigestName(name) ? name : undefined));
    this.#buffers = input.list.templates.map(({ fields }) => fields.some(({ id }) => id === 'buf'));
  }

  judge(index: number): void {
    const { list, taken } = this.#input;
    const before = taken?.[index] ?? 0;
    if (before !== 0) this.#taken[before] = (this.#taken[before] ?? 0) + 1;
    else this.#judgeFresh(index, list.columns);
  }

  #judgeFresh(index: number, columns: ImaList['columns']): void {
    const flags = columns.flags[index] ?? 0;
    if ((flags & IMA_FLAG.VIOLATION) !== 0) this.#violation(index);
    else if (this.#buffers[columns.template[index] ?? 0]) this.#buffer(index);
    else if (this.#isAggregate(index)) this.#aggregates.push(index);
    else if (this.#isAllowed(index, flags)) this.#take(index, TAKEN.allowed);
    else this.#otherwise(index, flags);
  }

  result(): ImaEntriesResult {
    const more = [...this.#told].flatMap(([rule, count]) =>
      count > TOLD ? [{ rule, message: `and ${count - TOLD} more of this kind` }] : [],
    );
    const [, allowed = 0, signed = 0, excluded = 0, buffers = 0] = this.#taken;
    const counts = {
      allowed,
      signed,
      excluded,
      buffers,
      violations: this.#violations,
      refused: this.#refused,
    };
    const findings = [...this.#findings, ...more];
    return { findings, counts, aggregates: this.#aggregates, fresh: this.#fresh };
  }

  #take(index: number, how: number): void {
    this.#fresh[index] = how;
    this.#taken[how] = (this.#taken[how] ?? 0) + 1;
  }

  /** Keys that this node's kernel was given are not those of another one: what they have signed is no matter of its bytes. */
  #takeSigned(index: number): void {
    this.#take(index, TAKEN.signed);
    if (this.#input.policy.keyrings.size > 0) this.#fresh[index] = 0;
  }

  /** The way of nearly all entries: makes nothing. */
  #isAllowed(index: number, flags: number): boolean {
    const { list, policy } = this.#input;
    const { digestAlgo, digest, name, nameLength } = list.columns;
    const algorithm = this.#algorithms[digestAlgo[index] ?? NO_ALGO];
    if (algorithm === undefined || (flags & IMA_FLAG.VERITY) !== 0) return false;
    const at = digest[index] ?? 0;
    const path = name[index] ?? 0;
    const end = path + (nameLength[index] ?? 0);
    for (const set of policy.allow) {
      if (
        policy.anyPath
          ? set.knows(algorithm, list.bytes, at)
          : set.allowsAt(algorithm, list.bytes, at, list.bytes, path, end)
      ) {
        return true;
      }
    }
    return false;
  }

  #otherwise(index: number, flags: number): void {
    const { policy, list, isSigned } = this.#input;
    const path = this.#path(index);
    if (policy.exclude.some((glob) => glob.matches(path))) this.#take(index, TAKEN.excluded);
    else if (isSigned?.(list, index)) this.#takeSigned(index);
    else this.#refuse('ima.digest', () => this.#why(index, flags, path));
  }

  #why(index: number, flags: number, path: Uint8Array): Reason {
    const { list, policy, known = [] } = this.#input;
    const { digest } = imaEntry(list, index);
    const file = this.#file(index, path);
    const { path: shown, entry } = file;
    if (!digest) {
      const message = `${shown} has no digest that says its algorithm`;
      return {
        message,
        file,
        remedy: 'boot the node with a template that has d-ng, such as ima_template=ima-ng',
      };
    }
    const { algo: algorithm, value } = digest;
    const found = `${algorithm}:${toHex(value)}`;
    if ((flags & IMA_FLAG.VERITY) !== 0) {
      const message = `${shown} is measured by its fs-verity digest and not signed by a key of the policy`;
      const remedy = 'name the key that signs it in ima.keys, or measure its content with another IMA policy';
      return { message, file, found, remedy };
    }
    if (!isFileDigestName(algorithm)) {
      const message = `${shown} is measured with ${algorithm}, which proves nothing`;
      return { message, file, found, remedy: 'boot the node with ima_hash=sha256' };
    }
    const { allow } = policy;
    return explainFile({ entry, path, shown, algorithm, digest: value, allow, known });
  }

  #file(index: number, path: Uint8Array): FileRef {
    return { path: printable(path), entry: (this.#input.firstEntry ?? 0) + index };
  }

  #violation(index: number): void {
    const { policy } = this.#input;
    const path = this.#path(index);
    if (policy.acceptedViolations.some((glob) => glob.matches(path))) {
      this.#violations += 1;
      return;
    }
    const file = this.#file(index, path);
    this.#refuse('ima.violation', () => ({
      message: `${file.path} was changed while it was in use: what was read or ran is not known`,
      file,
      remedy: 'reboot the node; where that is how the file is used, accept it in ima.violations.accept',
    }));
  }

  #buffer(index: number): void {
    const { list, policy } = this.#input;
    const entry = imaEntry(list, index);
    const file = this.#file(index, entry.name);
    const { path: shown } = file;
    const algorithm = entry.digest?.algo ?? '';
    const buffer = imaBuffer(entry);
    if (!isFileDigestName(algorithm) || !buffer) {
      const message = `the buffer ${shown} is not the one that was measured`;
      this.#refuse('ima.buffer', () => ({ message, file }));
      return;
    }
    const name = Buffer.from(entry.name).toString('utf8');
    const keyring = policy.keyrings.get(name);
    if (keyring) {
      this.#key(index, keyring, buffer.value, file);
      return;
    }
    const allowed = policy.buffers.get(name);
    const digest = toHex(entry.digest?.value ?? new Uint8Array());
    if (allowed === 'any' || allowed?.has(digest)) {
      this.#take(index, TAKEN.buffers);
      return;
    }
    const found = `${algorithm}:${digest}`;
    const remedy = `look at what was measured; when it is right, name its digest at ${shown} in ima.buffers`;
    if (allowed) {
      const message = `the buffer ${shown} is ${found}, ${allowed.size} others are allowed`;
      this.#refuse('ima.buffer', () => ({
        message,
        file,
        found,
        expected: [...allowed].slice(0, NAMED),
        remedy,
      }));
    } else {
      const message = `the buffer ${shown} (${found}) is not named by the policy`;
      this.#refuse('ima.buffer', () => ({ message, file, found, remedy }));
    }
  }

  #key(index: number, rule: KeyringRule, value: Uint8Array, file: FileRef): void {
    if (mayJoin(rule, value)) {
      this.#take(index, TAKEN.buffers);
      return;
    }
    const found = `sha256:${hash('sha256', value, 'hex')}`;
    const message = `the key ${found} came into the keyring ${file.path}, and the policy does not know it`;
    const remedy = `find out who put it there; when it is right, add it to ima.keyrings.${file.path}.keys`;
    this.#refuse('ima.keys', () => ({ message, file, found, remedy }));
  }

  #isAggregate(index: number): boolean {
    const { list } = this.#input;
    if ((list.columns.nameLength[index] ?? 0) !== AGGREGATE.length) return false;
    return AGGREGATE.equals(this.#path(index));
  }

  #path(index: number): Uint8Array {
    const { bytes, columns } = this.#input.list;
    const at = columns.name[index] ?? 0;
    return bytes.subarray(at, at + (columns.nameLength[index] ?? 0));
  }

  /** @param reason asked for as long as reasons are told one by one: a foreign system has tens of thousands */
  #refuse(rule: string, reason: () => Reason): void {
    this.#refused += 1;
    const told = (this.#told.get(rule) ?? 0) + 1;
    this.#told.set(rule, told);
    if (told <= TOLD) this.#findings.push({ rule, ...reason() });
  }
}
