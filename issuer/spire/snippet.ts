import { AGENT_PATH_TEMPLATE } from '../../platform/spire/agent-path.ts';

export interface SnippetInput {
  /** SPIRE's trust domain. */
  readonly trustDomain: string;
  /** Name of the file for the trust anchor on the SPIRE server. */
  readonly anchor: 'root' | { readonly group: string };
}

export interface SpireSnippet {
  /** HCL for spire-server. */
  readonly server: string;
  /** HCL for spire-agent. */
  readonly agent: string;
}

/** What to put into SPIRE's configuration so that its x509pop attestor accepts the nodes of this PKI, and only them. */
export function spireSnippet({ trustDomain, anchor }: SnippetInput): SpireSnippet {
  const bundle = `/etc/spire/${anchor === 'root' ? 'node-root' : `node-issuing-${anchor.group}`}.pem`;
  const option = anchor === 'root' ? '' : ` --group ${anchor.group}`;
  return {
    server: serverSnippet(trustDomain, bundle, `assay spire anchor${option} > ${bundle}`),
    agent: agentSnippet(trustDomain),
  };
}

function serverSnippet(trustDomain: string, bundle: string, download: string): string {
  return `# spire-server.conf: merge with what you have.
#
# ${bundle}: trust anchor of the nodes, for this plugin alone. Make it with
#   ${download}
# Never add it to SPIRE's trust bundle, nor use it as an UpstreamAuthority: whoever holds a node's
# intermediate could then make any identity of ${trustDomain}.
# Do not start spire-server with -expandEnv: it would change the $ in agent_path_template.
server {
  trust_domain = "${trustDomain}"

  # A ban stops new SVIDs at once; those that are out live until they expire. Keep that short.
  default_x509_svid_ttl = "10m"
}

plugins {
  NodeAttestor "x509pop" {
    plugin_data {
      ca_bundle_path = "${bundle}"
      max_intermediates = 2

      # spiffe://${trustDomain}/spire/agent/x509pop/NODE-ID. Do not use subject, serial number or names
      # of the leaf here or in selectors: nodes choose them.
      agent_path_template = "${AGENT_PATH_TEMPLATE}"
    }
  }
}
`;
}

function agentSnippet(trustDomain: string): string {
  return `# spire-agent.conf on the node: merge with what you have. Start spire-agent after node.pem exists;
# it reads the file again whenever it attests.
agent {
  trust_domain = "${trustDomain}"
}

plugins {
  NodeAttestor "x509pop" {
    plugin_data {
      private_key_path = "/run/assay-agent/node.pem"
      certificate_path = "/run/assay-agent/node.pem"
    }
  }
}
`;
}
