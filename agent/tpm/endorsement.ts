import { Reader } from '../../core/bytes/reader.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import { TPM_RH } from '../../core/tpm/constants.ts';
import { EK_TEMPLATES } from '../../core/tpm/endorsement-key.ts';
import { marshalTpm2bPublic, readTpmtTemplate, type TpmtPublic } from '../../core/tpm/public.ts';
import { splitChain, splitDer } from './certificate-nv.ts';
import type { TpmChannel } from './channel.ts';
import { EMPTY_AUTH, type TpmAuth } from './command.ts';
import { getHandles, getTpmProperties, HANDLE_RANGE } from './commands/capability.ts';
import { nvReadAll } from './commands/nv.ts';
import { createPrimary, readPublic } from './commands/object.ts';
import { EK_SLOTS, type EkAlgorithm, type EkSlot } from './ek-slots.ts';
import { fitsCertificate, isOfTemplate, withNonce } from './ek-template.ts';
import type { Tpm } from './tpm.ts';

const CHAIN_INDICES = { first: 0x01c00100, last: 0x01c001ff };
/** The persistent handles of the endorsement hierarchy (TCG Registry of Reserved TPM Handles). */
const EK_HANDLES = { first: 0x81010000, last: 0x8101ffff };

export type EkPreference = 'auto' | EkAlgorithm;

/** An EK that has a certificate in this TPM. */
export interface CertifiedEk {
  readonly slot: EkSlot;
  /** DER, without the padding of its NV index; nobody has checked it. */
  readonly certificate: Uint8Array;
}

export interface EndorsementKey {
  readonly slot: EkSlot;
  readonly public: TpmtPublic;
  /** DER, unchecked; `undefined` when the TPM holds none for this EK. */
  readonly certificate: Uint8Array | undefined;
  /** DER certificates between the EK certificate and the manufacturer's root that the TPM carries. */
  readonly chain: readonly Uint8Array[];
  /** Where the EK is persistent; otherwise it is made from its template for each use. */
  readonly persistentHandle: number | undefined;
  readonly template: TpmtPublic;
  readonly hierarchyAuth: TpmAuth;
}

export interface EndorsementOptions {
  readonly preference?: EkPreference;
  /** Password of the endorsement hierarchy, when the owner has set one. */
  readonly hierarchyAuth?: TpmAuth;
}

/** The EK certificates in NV, in the order of preference. */
export function listCertifiedEks(tpm: Tpm): Promise<CertifiedEk[]> {
  return tpm.use(async (channel) => readCertifiedEks(await openNv(channel)));
}

/**
 * The EK that is this node's identity: of the preferred algorithm, or for `auto` the first in a fixed
 * order; one with a certificate before one without. Whether the certificate is genuine is for the
 * registrar to say.
 *
 * @throws {AssayError} `unavailable` when the TPM makes another key than its certificate names
 */
export function findEndorsementKey(tpm: Tpm, options: EndorsementOptions = {}): Promise<EndorsementKey> {
  const { preference = 'auto', hierarchyAuth = EMPTY_AUTH } = options;
  return tpm.use(async (channel) => {
    const nv = await openNv(channel);
    const wanted = EK_SLOTS.filter((slot) => preference === 'auto' || slot.algorithm === preference);
    const certified = (await readCertifiedEks(nv)).find(({ slot }) => wanted.includes(slot));
    const slot = certified?.slot ?? wanted[0];
    if (slot === undefined) throw new RangeError(`there is no EK algorithm ${preference}`);
    const certificate = certified?.certificate;
    const template = await readTemplate(nv, slot);
    const key = await resolveKey(channel, template, certificate, hierarchyAuth);
    return { slot, certificate, chain: await readChain(nv), template, hierarchyAuth, ...key };
  });
}

/** Gives `work` a handle of the EK, for which each command needs an authorisation of its own. */
export async function withEk<T>(
  channel: TpmChannel,
  ek: EndorsementKey,
  work: (handle: number) => Promise<T>,
): Promise<T> {
  if (ek.persistentHandle !== undefined) return work(ek.persistentHandle);
  const template = marshalTpm2bPublic(ek.template);
  const { handle } = await createPrimary(channel, TPM_RH.ENDORSEMENT, template, ek.hierarchyAuth);
  try {
    return await work(handle);
  } finally {
    await channel.release(handle);
  }
}

/** What NV indices there are, and how to read one of them. */
interface Nv {
  readonly indices: ReadonlySet<number>;
  read(index: number): Promise<Uint8Array | undefined>;
}

async function openNv(channel: TpmChannel): Promise<Nv> {
  const indices = new Set(await getHandles(channel, HANDLE_RANGE.nvIndex));
  const { nvBufferMaxBytes } = await getTpmProperties(channel);
  const read = async (index: number): Promise<Uint8Array | undefined> =>
    indices.has(index) ? nvReadAll(channel, index, nvBufferMaxBytes) : undefined;
  return { indices, read };
}

async function readCertifiedEks(nv: Nv): Promise<CertifiedEk[]> {
  const found: CertifiedEk[] = [];
  for (const slot of EK_SLOTS) {
    const [certificate] = splitDer((await nv.read(slot.certificateIndex)) ?? new Uint8Array());
    if (certificate !== undefined) found.push({ slot, certificate });
  }
  return found;
}

async function readChain(nv: Nv): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (const index of [...nv.indices].sort((a, b) => a - b)) {
    if (index < CHAIN_INDICES.first || index > CHAIN_INDICES.last) continue;
    const part = await nv.read(index);
    if (part !== undefined) parts.push(part);
  }
  return splitChain(parts);
}

async function readTemplate(nv: Nv, slot: EkSlot): Promise<TpmtPublic> {
  const own = await nv.read(slot.templateIndex);
  // The NV index holds a TPMT_PUBLIC, possibly padded.
  if (own !== undefined) return readTpmtTemplate(new Reader(own, 'EK template'));
  const template = EK_TEMPLATES[slot.template];
  const nonce = slot.nonceIndex === undefined ? undefined : await nv.read(slot.nonceIndex);
  return nonce === undefined ? template : withNonce(template, nonce);
}

/** A persistent EK saves making one, which takes some TPMs many seconds for RSA. */
async function resolveKey(
  channel: TpmChannel,
  template: TpmtPublic,
  certificate: Uint8Array | undefined,
  hierarchyAuth: TpmAuth,
): Promise<Pick<EndorsementKey, 'public' | 'persistentHandle'>> {
  for (const handle of await getHandles(channel, EK_HANDLES.first)) {
    if (handle > EK_HANDLES.last) break;
    const found = await readPublicIfKey(channel, handle);
    if (found !== undefined && isOfTemplate(found, template) && fitsCertificate(found, certificate)) {
      return { public: found, persistentHandle: handle };
    }
  }
  const made = await createPrimary(channel, TPM_RH.ENDORSEMENT, marshalTpm2bPublic(template), hierarchyAuth);
  await channel.release(made.handle);
  if (!fitsCertificate(made.public, certificate)) {
    throw new AssayError(
      'unavailable',
      'the EK certificate in this TPM names another key than the TPM makes; its endorsement seed was changed, or the certificate belongs to another TPM',
    );
  }
  return { public: made.public, persistentHandle: undefined };
}

/** Other things than keys may be persistent too. */
async function readPublicIfKey(channel: TpmChannel, handle: number): Promise<TpmtPublic | undefined> {
  try {
    return await readPublic(channel, handle);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}
