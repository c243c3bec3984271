import type { Finding } from './finding.ts';

const LOOK_AT_NODE = 'take the node out of service and look at it: an honest node does not show this';
const LOG_CHANGED = `reboot the node; when it stays so, ${LOOK_AT_NODE}`;

/** What to do about a finding of a rule, where the finding itself does not know better. */
const REMEDIES: Readonly<Record<string, string>> = {
  'quote.magic': LOOK_AT_NODE,
  'quote.signature': LOOK_AT_NODE,
  'quote.signer': 'enrol the node again: its attestation key is another than the registered one',
  'quote.nonce': LOOK_AT_NODE,
  'quote.digest': LOOK_AT_NODE,
  'quote.selection':
    'see whether the TPM has the bank and the registers that the policy asks for (tpm2_pcrread)',
  'quote.bank':
    "turn the bank on in the firmware's setup (or tpm2_pcrallocate), or name another one in pcrs.bank",
  'quote.clock':
    'see whether another machine uses a copy of this TPM; after a reset of the TPM enrol the node again',
  'quote.channel': 'restart the agent; when it stays so, somebody stands between it and the verifier',
  'pcr.value': 'look at what was measured (assay node boot); after an update add the new value to the policy',
  'log.parse': LOG_CHANGED,
  'log.again': 'none is needed: the logs are asked for whole',
  'log.replay':
    'look at what was measured (assay node boot); where a program extends it, give it a literal value in pcrs.values',
  'log.event': LOG_CHANGED,
  'log.payload': LOG_CHANGED,
  'boot.application':
    'see whether the boot profile of the policy is that of the machine, and boot it by Secure Boot',
  'boot.file': 'see whether the boot profile of the policy is that of the machine',
  'boot.section': 'see whether the boot profile of the policy is that of the machine',
  'boot.command-line': 'see whether the boot profile of the policy is that of the machine',
  'ima.bytes': LOG_CHANGED,
  'ima.prefix': LOG_CHANGED,
  'ima.aggregate': LOG_CHANGED,
  'ima.buffer': LOG_CHANGED,
  'policy.missing':
    'assign a policy (assay policy assign), and store the digest sets that it names (assay digests add)',
  'policy.signed':
    'sign the policy with a key that is pinned for the group (assay policy sign), and add it again',
  'node.unreachable':
    'see whether the agent runs, and whether the verifier reaches its contact (assay-agent check)',
  'node.answer': 'update the agent, and look at its log',
  'node.identity': 'enrol the node again: it answers with another TLS certificate than the registered one',
  'api.dial': "the node's contact is outside verifier.dial; correct the contact or the ranges",
  'id.clone':
    'find the second machine that holds these keys; then reset the TPM of the right one and enrol it again',
  internal: 'look at the log of the verifier',
};

/** The finding with what to do about it. */
export function withRemedy(finding: Finding): Finding {
  const remedy = finding.remedy ?? REMEDIES[finding.rule];
  return remedy === undefined ? finding : { ...finding, remedy };
}
