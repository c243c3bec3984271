import type { Admission } from '../../platform/database/schema.ts';

/** What a join token that came with an enrolment turned out to be. */
export type TokenFact =
  | { readonly kind: 'none' }
  | { readonly kind: 'valid'; readonly id: string; readonly group: string }
  | { readonly kind: 'unknown' | 'used' | 'expired' };

/** All that admission depends on, read in the transaction that writes the record. */
export interface AdmissionFacts {
  /** The record of this EK before, if any. */
  readonly current: StandingAdmission | null;
  /** Another admitted node that has this alias. */
  readonly aliasHolder: string | null;
  readonly hasCertificate: boolean;
  /** Keylime agents may run without TLS; nothing asks those for evidence. */
  readonly hasTls: boolean;
  /** An entry that names this EK or its certificate and that no other node has claimed. */
  readonly inventory: { readonly id: string; readonly assetName: string; readonly group: string } | null;
  readonly token: TokenFact;
}

/** How a node is admitted, as its record says. */
export interface StandingAdmission {
  readonly admission: Admission;
  readonly reason: string;
  readonly admittedBy: string | null;
  readonly group: string | null;
  readonly assetName: string | null;
}

export interface AdmissionDecision extends StandingAdmission {
  /** What admits the node now and is used up by it. */
  readonly claims: { readonly inventory: string } | { readonly token: string } | null;
}

/**
 * Who admits a node whose TPM has answered: its own record, the inventory, a join token, or else a person. A retired
 * node stays retired. An alias that another node holds, and for tokens an EK without certificate, need a person
 * (rule `id.immutable`).
 */
export function decideAdmission(facts: AdmissionFacts): AdmissionDecision {
  const { current } = facts;
  if (current && current.admission !== 'pending') return { ...current, claims: null };
  const decision = decideNew(facts);
  if (facts.hasTls) return decision;
  return { ...decision, reason: `${decision.reason}; without TLS (mtls_cert: disabled) it is never polled` };
}

function decideNew({ aliasHolder, hasCertificate, inventory, token }: AdmissionFacts): AdmissionDecision {
  if (aliasHolder !== null) {
    return waiting(`the alias is held by node ${aliasHolder}: retire that node first, then approve this one`);
  }
  if (inventory) {
    const { id, assetName, group } = inventory;
    const by = `inventory:${id}`;
    return admitted(`the inventory expects it as ${assetName}`, by, group, assetName, { inventory: id });
  }
  if (!hasCertificate) {
    return waiting(
      'its EK has no certificate, so nothing says that it is a TPM: add it to the inventory or approve it',
    );
  }
  if (token.kind === 'valid') {
    return admitted('a join token', `token:${token.id}`, token.group, null, { token: token.id });
  }
  return waiting(WAITING[token.kind]);
}

const WAITING: Readonly<Record<Exclude<TokenFact['kind'], 'valid'>, string>> = {
  none: 'not in the inventory and without a join token: approve it',
  unknown: 'its join token is not known here: approve it, or join it with a new token',
  used: 'its join token was used before: approve it, or join it with a new token',
  expired: 'its join token has expired: approve it, or join it with a new token',
};

function waiting(reason: string): AdmissionDecision {
  return { admission: 'pending', reason, admittedBy: null, group: null, assetName: null, claims: null };
}

function admitted(
  reason: string,
  admittedBy: string,
  group: string,
  assetName: string | null,
  claims: AdmissionDecision['claims'],
): AdmissionDecision {
  return { admission: 'admitted', reason, admittedBy, group, assetName, claims };
}
