import type { Finding } from '../finding.ts';
import { type Certificate, isSelfIssued } from './certificate.ts';
import { nameViolations } from './name-constraints.ts';

/**
 * What is wrong with a path whose names and signatures already fit (RFC 5280, 6.1): dates, CA flags, path lengths, key
 * usage, name constraints and critical extensions, of the anchor too. Revocation and policies are not looked at.
 *
 * @param path from the leaf to the anchor
 */
export function checkPath(path: readonly Certificate[], at: Date): readonly Finding[] {
  return path.flatMap((certificate, depth) => [
    ...checkDates(certificate, at),
    ...checkCritical(certificate),
    ...(depth === 0 ? [] : checkIssuer(certificate, path.slice(0, depth))),
  ]);
}

function checkDates({ subject, notBefore, notAfter }: Certificate, at: Date): readonly Finding[] {
  const rule = 'path.dates';
  if (at < notBefore) {
    return [{ rule, message: `${subject.text} is not valid before ${notBefore.toISOString()}` }];
  }
  if (at > notAfter) {
    return [{ rule, message: `${subject.text} expired at ${notAfter.toISOString()}` }];
  }
  return [];
}

function checkCritical({ subject, unknownCritical }: Certificate): readonly Finding[] {
  return unknownCritical.map((oid) => ({
    rule: 'path.critical',
    message: `${subject.text} has the critical extension ${oid}, which is unknown here`,
  }));
}

/** @param below the path from the leaf to the certificate that `issuer` signed */
function checkIssuer(issuer: Certificate, below: readonly Certificate[]): readonly Finding[] {
  return [
    ...checkAuthority(issuer),
    ...checkPathLength(issuer, below.slice(1)),
    ...checkNames(issuer, below),
  ];
}

function checkAuthority({ subject, basicConstraints, keyUsage }: Certificate): readonly Finding[] {
  if (!basicConstraints?.ca) {
    return [{ rule: 'path.ca', message: `${subject.text} signed a certificate but is no CA` }];
  }
  if (keyUsage && !keyUsage.has('keyCertSign')) {
    return [
      { rule: 'path.key-usage', message: `${subject.text} is a CA whose key must not sign certificates` },
    ];
  }
  return [];
}

function checkPathLength(issuer: Certificate, casBelow: readonly Certificate[]): readonly Finding[] {
  const allowed = issuer.basicConstraints?.pathLen;
  // Self-issued certificates, as of a CA that changes its key, do not count (RFC 5280, 6.1.4 l).
  const found = casBelow.filter((certificate) => !isSelfIssued(certificate)).length;
  if (allowed === undefined || found <= allowed) return [];
  const message = `${issuer.subject.text} allows ${allowed} CAs below it, the path has ${found}`;
  return [{ rule: 'path.length', message }];
}

function checkNames(issuer: Certificate, below: readonly Certificate[]): readonly Finding[] {
  const { nameConstraints: constraints, subject } = issuer;
  if (!constraints) return [];
  const bound = below.filter((certificate, depth) => depth === 0 || !isSelfIssued(certificate));
  return bound.flatMap((certificate) =>
    nameViolations(certificate, constraints).map((violation) => ({
      rule: 'path.names',
      message: `${violation} by the name constraints of ${subject.text}`,
    })),
  );
}
