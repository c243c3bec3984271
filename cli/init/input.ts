import { isIP } from 'node:net';
import Value from 'typebox/value';
import { AssayError } from '../../core/errors.ts';
import { GroupName } from '../../core/messages/common.ts';

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const DOMAIN = new RegExp(`^(?=.{1,190}$)${LABEL}(\\.${LABEL})*$`);

/** @throws {AssayError} `invalid-request` that names the value and the form it should have */
export function checkDomain(what: string, domain: string): void {
  if (DOMAIN.test(domain)) return;
  throw wrong(`${what} "${domain}" is not a domain name in lower case such as example.org`);
}

/** @throws {AssayError} `invalid-request` */
export function checkGroups(groups: readonly string[]): void {
  if (groups.length === 0) throw wrong('at least one node group is needed');
  const bad = groups.find((group) => !Value.Check(GroupName, group));
  if (bad !== undefined)
    throw wrong(`the group "${bad}" is not a name of a-z, 0-9 and - within, up to 63 characters`);
  if (new Set(groups).size !== groups.length) throw wrong('a group is named twice');
}

export interface HostNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/**
 * The names of the server certificates: what was given, and this machine's own.
 *
 * @throws {AssayError} `invalid-request`
 */
export function hostNames(hosts: readonly string[]): HostNames {
  if (hosts.length === 0) throw wrong('at least one host name or address of the services is needed');
  for (const host of hosts) if (isIP(host) === 0) checkDomain('the host', host);
  const all = [...new Set([...hosts, 'localhost', '127.0.0.1', '::1'])];
  return {
    dnsNames: all.filter((host) => isIP(host) === 0),
    ipAddresses: all.filter((host) => isIP(host) !== 0),
  };
}

function wrong(message: string): AssayError {
  return new AssayError('invalid-request', message);
}
