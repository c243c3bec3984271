/** The SVID that an agent has, as SPIRE tells it. */
export interface SeenSvid {
  /** Decimal; empty while the agent is banned. */
  readonly serial: string;
  readonly expiresAt: Date;
}

/** What was seen of one agent so far; times in milliseconds. */
export interface Sighting {
  readonly serial: string;
  readonly expiresAt: number;
  /** When it was seen last. */
  readonly seenAt: number;
  /** An earlier moment than that when this SVID was made; undefined for the first one, which may be of any age. */
  readonly madeAfter: number | undefined;
  /** When an SVID was found that came before its time. */
  readonly early: readonly number[];
}

/** Agents attest again when half of their SVID's life is over, give or take a tenth. */
const EARLY = 0.6;
/** So many early SVIDs ... */
export const EARLY_SVIDS = 8;
/** ... within this time are two holders: each one's attestation ends the other's SVID. */
export const WITHIN_MS = 180_000;

/**
 * Adds what is seen now. An agent has one SVID that counts, so two machines with one node's material attest in turn, every
 * few seconds, each long before its SVID is half used (rule `id.clone`). An agent that starts again and again without
 * keeping its key looks the same for a while, which is why many are needed.
 */
export function seeSvid(before: Sighting | undefined, now: SeenSvid, at: number): Sighting {
  const expiresAt = now.expiresAt.getTime();
  if (before?.serial === now.serial) return { ...before, seenAt: at };
  const seen = { serial: now.serial, expiresAt, seenAt: at };
  if (before === undefined) return { ...seen, madeAfter: undefined, early: [] };
  const recent = before.early.filter((time) => time > at - WITHIN_MS);
  const early = isEarly(before, now, at) ? [...recent, at] : recent;
  return { ...seen, madeAfter: before.seenAt, early };
}

/** Whether it looks as if two machines attested. */
export function looksCloned({ early }: Sighting): boolean {
  return early.length >= EARLY_SVIDS;
}

function isEarly({ serial, expiresAt, madeAfter }: Sighting, now: SeenSvid, at: number): boolean {
  // A ban takes the serial, and the end of one gives a new SVID: neither is an attestation by somebody else.
  if (serial === '' || now.serial === '' || madeAfter === undefined) return false;
  // The longest that its life can have been: what was made later than we think is more used than it seems.
  const life = expiresAt - madeAfter;
  return expiresAt - at > EARLY * life;
}
