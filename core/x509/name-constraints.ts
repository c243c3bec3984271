import { printable, toHex } from '../bytes/encoding.ts';
import type { Certificate } from './certificate.ts';
import type { NameConstraints } from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { ATTRIBUTE, startsWithName } from './name.ts';

const HOST_NAME = /^[A-Za-z0-9._-]+$/;
const IPV4 = /^\d+(?:\.\d+){3}\.?$/;
const MAILBOX = /^[^@]+@[A-Za-z0-9._-]+$/;

/**
 * How the names of a certificate break the constraints of a CA above it (RFC 5280, 4.2.1.10), in words; nothing when
 * they do not. Each kind of name is constrained by itself: permitted DNS names say nothing about URIs.
 */
export function nameViolations(certificate: Certificate, constraints: NameConstraints): readonly string[] {
  return namesOf(certificate).flatMap((name) => violation(name, constraints));
}

function violation(name: GeneralName, { permitted, excluded }: NameConstraints): readonly string[] {
  const ofKind = (base: GeneralName) => kindOf(base) === kindOf(name);
  const allowed = permitted.filter(ofKind);
  const forbidden = excluded.filter(ofKind);
  if (allowed.length + forbidden.length === 0) return [];
  const shown = renderGeneralName(name);
  const problem = unconstrainable(name);
  if (problem !== undefined) return [`${shown} ${problem}`];
  if (forbidden.some((base) => isWithin(name, base) || wildcardReaches(name, base)))
    return [`${shown} is excluded`];
  return allowed.length === 0 || allowed.some((base) => isWithin(name, base))
    ? []
    : [`${shown} is not permitted`];
}

/** Every name that constraints apply to: the subject, its e-mail addresses, and the subjectAltName. */
function namesOf({ subject, subjectAltName = [] }: Certificate): readonly GeneralName[] {
  const emails = subject.rdns.flat().filter(({ type }) => type === ATTRIBUTE.EMAIL_ADDRESS);
  return [
    ...(subject.rdns.length > 0 ? [{ type: 'directoryName' as const, name: subject }] : []),
    ...emails.map(({ text }) => ({ type: 'email' as const, value: text ?? '' })),
    ...subjectAltName,
  ];
}

function kindOf(name: GeneralName): string {
  return name.type === 'other' ? `other ${name.tag}` : name.type;
}

/** Names that a constraint of their kind cannot be compared with are refused, never let pass. */
function unconstrainable(name: GeneralName): string | undefined {
  switch (name.type) {
    case 'other':
      return 'is of a kind that cannot be checked against constraints';
    case 'uri':
      return hostOf(name.value) === undefined ? 'has no host name to check against constraints' : undefined;
    case 'email':
      return MAILBOX.test(name.value) ? undefined : 'is no mailbox to check against constraints';
    default:
      return undefined;
  }
}

function isWithin(name: GeneralName, base: GeneralName): boolean {
  switch (name.type) {
    case 'dns':
      return base.type === 'dns' && isDnsWithin(name.value, base.value);
    case 'uri':
      return base.type === 'uri' && isHostWithin(hostOf(name.value) ?? '', base.value);
    case 'email':
      return base.type === 'email' && isEmailWithin(name.value, base.value);
    case 'ip':
      return base.type === 'ip' && isAddressWithin(name.value, base.value);
    case 'directoryName':
      return base.type === 'directoryName' && startsWithName(name.name, base.name);
    case 'other':
      return false;
  }
}

/** `h` stands for itself and all below, `.h` for all below, and the empty name for everything. */
function isDnsWithin(name: string, base: string): boolean {
  const [a, b] = [foldHost(name), foldHost(base)];
  return b === '' || a === b || a.endsWith(b.startsWith('.') ? b : `.${b}`);
}

/** `*.a.test` may stand for `x.a.test`, so it is excluded where that is. */
function wildcardReaches(name: GeneralName, base: GeneralName): boolean {
  if (name.type !== 'dns' || base.type !== 'dns' || !name.value.startsWith('*.')) return false;
  return foldHost(base.value).replace(/^[^.]+/, '*') === foldHost(name.value);
}

/** For hosts of URIs and of mailboxes, `h` stands for itself alone. */
function isHostWithin(host: string, base: string): boolean {
  const [a, b] = [foldHost(host), foldHost(base)];
  return b === '' || (b.startsWith('.') ? a.endsWith(b) : a === b);
}

/** Case does not count, nor does the dot that ends an absolute name. */
function foldHost(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function isEmailWithin(mailbox: string, base: string): boolean {
  const at = mailbox.indexOf('@');
  const baseAt = base.indexOf('@');
  const host = mailbox.slice(at + 1);
  if (baseAt < 0) return isHostWithin(host, base);
  // The local part is the receiving host's to interpret, so its case counts.
  return (
    mailbox.slice(0, at) === base.slice(0, baseAt) && foldHost(host) === foldHost(base.slice(baseAt + 1))
  );
}

function isAddressWithin(address: Uint8Array, range: Uint8Array): boolean {
  const size = range.length / 2;
  if (address.length !== size) return false;
  return address.every((octet, i) => {
    const mask = range[size + i] ?? 0;
    return (octet & mask) === ((range[i] ?? 0) & mask);
  });
}

/** Host name of a URI with an authority (RFC 3986, 3.2); `undefined` without one, and for an address or an escape. */
function hostOf(uri: string): string | undefined {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];
  const host = authority?.replace(/^.*@/, '').replace(/:\d*$/, '') ?? '';
  // With an escape in it, a name could be an excluded one that does not look like it.
  return HOST_NAME.test(host) && !IPV4.test(host) ? host : undefined;
}

/** For people. */
export function renderGeneralName(name: GeneralName): string {
  switch (name.type) {
    case 'ip':
      return `IP ${renderAddress(name.value)}`;
    case 'directoryName':
      return `directory name ${name.name.text}`;
    case 'other':
      return `a name with tag 0x${name.tag.toString(16)}`;
    default:
      return `${name.type === 'email' ? name.type : name.type.toUpperCase()} ${printable(name.value)}`;
  }
}

function renderAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  return (toHex(address).match(/.{4}/g) ?? []).join(':');
}
