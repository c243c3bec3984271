/**
 * What makes an agent's id of a node certificate: the value of agent_path_template, to be put between double quotes in
 * HCL. The issuer's name is the one part of a leaf that its node cannot choose; anything but a node id is refused.
 */
export const AGENT_PATH_TEMPLATE =
  '/x509pop/{{ if regexMatch `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$` .Issuer.CommonName }}{{ .Issuer.CommonName }}{{ else }}{{ fail `issuer is not a node CA` }}{{ end }}';

const AGENT_PATH = /^\/spire\/agent\/x509pop\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The node that an agent's path names; undefined for other agents. */
export function nodeOfAgent(path: string): string | undefined {
  return AGENT_PATH.exec(path)?.[1];
}

/** The path of a node's agent in SPIRE: what the template makes of its certificates. */
export function agentPath(nodeId: string): string {
  return `/spire/agent/x509pop/${nodeId}`;
}
