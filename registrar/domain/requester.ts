import { isIPv6 } from 'node:net';

/**
 * The network that a request came from, as far as one requester can choose addresses freely: an IPv4 address, or the
 * /64 of an IPv6 address. Limits count by it, and a Keylime agent's answer must come from where it asked.
 */
export function requesterNetwork(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const plain = address.split('%')[0] ?? address;
  return isIPv6(plain) ? `${prefix64(plain)}::/64` : address;
}

function prefix64(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const all = tail === undefined ? left : [...left, ...zeros, ...right];
  return all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

// An IPv4 tail stands for two groups; it is never among the first four of what a socket reports.
function groups(text: string): string[] {
  return text === '' ? [] : text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]));
}
