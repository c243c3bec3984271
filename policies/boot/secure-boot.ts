import { hash } from 'node:crypto';
import { printable, toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import type { SbatEntry } from '../../core/eventlog/efi/sbat.ts';
import type { UefiVariableData } from '../../core/eventlog/efi/variable.ts';

import { authorityValue, VENDOR, variableValue } from '../../core/eventlog/index.ts';
import type { Finding } from '../../core/finding.ts';
import { SIGNATURE_LISTS, type SignatureListName } from './boot-rules.ts';
import { eventFinding, quoted } from './finding.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';
import { splitEvents } from './separators.ts';

const PCR = 7;

/** What PCR 7 proves. */
export interface SecureBootState {
  /** `undefined` where the firmware says nothing of it, as a BIOS does. */
  readonly enabled: boolean | undefined;
  readonly lists: ReadonlyMap<SignatureListName, readonly TrustedSignature[]>;
  /** What vouched for the images that ran. */
  readonly authorities: readonly Authority[];
  /** What shim revokes, of the first SbatLevel that was measured. */
  readonly sbat: ReadonlyMap<string, number> | undefined;
}

/** An entry of a list, as a rule looks at it. */
export interface TrustedSignature {
  /** `undefined` where shim measured an authority without it. */
  readonly owner: string | undefined;
  readonly type: string;
  /** Hex SHA-256 of a certificate's DER, or the digest itself. */
  readonly digest: string;
  readonly data: Uint8Array;
}

export interface Authority {
  readonly event: MeasuredEvent;
  /** The variable that has it, such as `db` or `MokListRT`. */
  readonly variable: string;
  readonly signature: TrustedSignature;
}

interface Reading {
  readonly state: SecureBootState;
  readonly findings: readonly Finding[];
}

/** Reads PCR 7 by its grammar (PC Client Platform Firmware Profile, 3.3.4.8): configuration, separator, authorities. */
export function readSecureBoot(boot: MeasuredBoot, accepted: ReadonlySet<string>): Reading {
  const reader = new SecureBootReader(accepted);
  const { before, after } = splitEvents(boot, PCR);
  for (const [position, event] of before.entries()) reader.configuration(event, position);
  for (const event of after) reader.authority(event);
  return { state: reader, findings: reader.findings };
}

class SecureBootReader implements SecureBootState {
  enabled: boolean | undefined;
  sbat: ReadonlyMap<string, number> | undefined;
  readonly lists = new Map<SignatureListName, readonly TrustedSignature[]>();
  readonly authorities: Authority[] = [];
  readonly findings: Finding[] = [];
  readonly #accepted: ReadonlySet<string>;
  readonly #seen = new Set<string>();

  constructor(accepted: ReadonlySet<string>) {
    this.#accepted = accepted;
  }

  configuration(event: MeasuredEvent, position: number): void {
    const { content } = event;
    if (content.kind === 'text' && content.verified) this.#firmwareState(event, content.proven.text);
    else if (content.kind !== 'variable' || !content.verified)
      this.#refuse(event, 'is no variable that is proven');
    else this.#read(event, () => this.#variable(content.proven, position));
  }

  /** @returns what is wrong. SecureBoot is the first: a later one was not measured by the firmware that ran the images. */
  #variable(variable: UefiVariableData, position: number): string | undefined {
    const { variableName: vendor, unicodeName: name } = variable;
    const key = `${vendor} ${name}`;
    if (this.#seen.has(key)) return 'measures a variable for the second time';
    this.#seen.add(key);
    const value = variableValue(variable);
    const isSecureBoot = vendor === VENDOR.GLOBAL && name === 'SecureBoot';
    if (isSecureBoot !== (position === 0)) return 'is not where it belongs: SecureBoot comes first';
    if (isSecureBoot) this.enabled = value.type === 'boolean' && value.value;
    const list = value.type === 'signature-lists' && listName(vendor, name);
    if (list) this.lists.set(list, value.signatures.map(trusted));
    return undefined;
  }

  #firmwareState(event: MeasuredEvent, text: string): void {
    if (this.#accepted.has(text)) return;
    const remedy =
      "change it in the firmware's setup; where it is as it should be, name it in boot.accept-states";
    const more = { found: printable(text), remedy };
    this.findings.push(eventFinding('boot.firmware-state', PCR, event, `says ${quoted(text)}`, more));
  }

  authority(event: MeasuredEvent): void {
    const { content } = event;
    if (content.kind === 'authority' && content.verified)
      this.#read(event, () => this.#authority(event, content.proven));
    // Some firmware speaks against itself only here.
    else if (content.kind === 'text' && content.verified) this.#firmwareState(event, content.proven.text);
    else this.#refuse(event, 'comes after the configuration and is no authority that is proven');
  }

  #authority(event: MeasuredEvent, { unicodeName, ...variable }: UefiVariableData): string | undefined {
    const value = authorityValue({ unicodeName, ...variable });
    if (value.type === 'signature-data') {
      const signature = trusted({ ...value.signature, type: typeOf(value.signature.signatureData) });
      this.authorities.push({ event, variable: unicodeName, signature });
    } else if (value.type === 'bytes') {
      // Something vouched, and nobody knows what: no match fits it.
      const signature = { owner: undefined, type: 'unknown', digest: hash('sha256', value.bytes, 'hex') };
      this.authorities.push({ event, variable: unicodeName, signature: { ...signature, data: value.bytes } });
    }
    return value.type === 'sbat' && unicodeName === 'SbatLevel' ? this.#sbatLevel(value.entries) : undefined;
  }

  // Shim measures it before it looks at the first image, so one that comes later was not shim's.
  #sbatLevel(entries: readonly SbatEntry[]): string | undefined {
    if (this.sbat) return 'measures SbatLevel for the second time';
    if (this.authorities.some(({ variable }) => variable !== 'db'))
      return 'measures SbatLevel after shim had let an image run';
    this.sbat = new Map(entries.map(({ component, generation }) => [component, generation]));
    return undefined;
  }

  #read(event: MeasuredEvent, read: () => string | undefined): void {
    const problem = attempt(read);
    if (problem !== undefined) this.#refuse(event, problem);
  }

  #refuse(event: MeasuredEvent, problem: string): void {
    this.findings.push(eventFinding('log.event', PCR, event, problem));
  }
}

function attempt(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return `is malformed: ${error.message}`;
  }
}

function listName(vendor: string, name: string): SignatureListName | undefined {
  const wanted = vendor === VENDOR.GLOBAL || vendor === VENDOR.SECURITY_DATABASE;
  return wanted ? SIGNATURE_LISTS.find((one) => one === name) : undefined;
}

const SHA256_BYTES = 32;

/** An authority is the entry alone, without the type of its list: what is as long as a SHA-256 is one. */
function typeOf({ length }: Uint8Array): string {
  return length === SHA256_BYTES ? 'sha256' : 'x509';
}

interface Signature {
  readonly type: string;
  readonly signatureOwner: string | undefined;
  readonly signatureData: Uint8Array;
}

function trusted({ type, signatureOwner: owner, signatureData }: Signature): TrustedSignature {
  const digest = type === 'x509' ? hash('sha256', signatureData, 'hex') : toHex(signatureData);
  return { owner, type, digest, data: signatureData };
}
