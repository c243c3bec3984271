import type { Fleet } from './fleet.ts';
import type { Behaviour, FleetNode } from './node.ts';

/** What one may have a fleet do, a line each. `N` is the number of a node; without it, all. */
export const COMMANDS: Readonly<Record<string, string>> = {
  status: 'polls and notices so far',
  enrol: 'all nodes register again',
  'certificates [tpm|delivered]': 'each node asks for its certificate once',
  'tamper N [PCR]': 'an extended PCR (default 7)',
  'reboot [N]': 'TPM Reset: PCRs as after a clean boot, connections broken',
  'clone N': 'a second machine with the same TPM state enrols in its place',
  'behave N honest|replay|other-pcrs|silent': 'how it answers requests for quotes',
  quit: 'ends the fleet',
};

const BEHAVIOURS: readonly Behaviour[] = ['honest', 'replay', 'other-pcrs', 'silent'];
const TAMPERED_PCR = 7;

/**
 * Carries out one line.
 *
 * @returns what happened, or undefined for `quit`
 * @throws {RangeError} for a line that is no command, saying what is
 */
export async function runCommand(fleet: Fleet, line: string): Promise<object | undefined> {
  const [command = '', first, second] = line.trim().split(/\s+/);
  switch (command) {
    case 'status':
      return { nodes: fleet.nodes.length, polls: fleet.polls, notices: fleet.notices };
    case 'enrol':
      return timed(() => fleet.each((node) => node.enrol()));
    case 'certificates':
      return timed(() => fleet.each((node) => node.obtainCertificate(keyMode(first))));
    case 'tamper': {
      const node = nodeOf(fleet, first);
      const pcr = Number(second ?? TAMPERED_PCR);
      node.tamper(pcr);
      return { node: node.nodeId, pcr };
    }
    case 'reboot': {
      const nodes = first === undefined ? fleet.nodes : [nodeOf(fleet, first)];
      for (const node of nodes) node.reboot();
      return { rebooted: nodes.length };
    }
    case 'clone': {
      const node = nodeOf(fleet, first);
      const { host } = await fleet.clone(node);
      return { node: node.nodeId, clone: host };
    }
    case 'behave': {
      const node = nodeOf(fleet, first);
      node.behaviour = behaviour(second);
      return { node: node.nodeId, behaviour: node.behaviour };
    }
    case 'quit':
      return undefined;
    default:
      throw new RangeError(`"${command}" is no command; there are: ${Object.keys(COMMANDS).join(', ')}`);
  }
}

async function timed(work: () => Promise<Readonly<Record<string, number>>>) {
  const started = performance.now();
  const outcomes = await work();
  return { outcomes, seconds: (performance.now() - started) / 1000 };
}

function nodeOf(fleet: Fleet, text: string | undefined): FleetNode {
  const node = fleet.nodes[Number(text) - 1];
  if (node) return node;
  throw new RangeError(`expected the number of a node, 1 to ${fleet.nodes.length}, not "${text ?? ''}"`);
}

function keyMode(text = 'tpm'): 'tpm' | 'delivered' {
  if (text === 'tpm' || text === 'delivered') return text;
  throw new RangeError(`expected tpm or delivered, not "${text}"`);
}

function behaviour(text: string | undefined): Behaviour {
  const found = BEHAVIOURS.find((one) => one === text);
  if (found) return found;
  throw new RangeError(`expected one of ${BEHAVIOURS.join(', ')}, not "${text ?? ''}"`);
}
