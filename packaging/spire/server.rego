# Who may call what on spire-server, in place of its built-in policy: the same as that, and besides our issuer may do what
# bans need, and nothing else. So the issuer is no administrator: it cannot make identities, entries or CAs.
#
#   server {
#     experimental { auth_opa_policy_engine { local { rego_path = "/etc/spire/server.rego" } } }
#   }
#
# spire-server reads it when it starts. Tested against 1.15.3; look at it again when you upgrade SPIRE, since a method that is
# new there is for administrators and the server's own socket here.
package spire

# SPIFFE ID of the issuer's SVID: change it.
issuer := "spiffe://example.org/assay/issuer"

issuer_methods := {
	"/spire.api.server.agent.v1.Agent/BanAgent",
	"/spire.api.server.agent.v1.Agent/DeleteAgent",
	"/spire.api.server.agent.v1.Agent/GetAgent",
	"/spire.api.server.agent.v1.Agent/ListAgents",
	"/spire.api.server.entry.v1.Entry/ListEntries",
}

# Without any identity: to get one.
open_methods := {
	"/spire.api.server.agent.v1.Agent/AttestAgent",
	"/spire.api.server.bundle.v1.Bundle/GetBundle",
}

# For agents alone.
agent_methods := {
	"/spire.api.server.agent.v1.Agent/PostStatus",
	"/spire.api.server.agent.v1.Agent/RenewAgent",
	"/spire.api.server.entry.v1.Entry/GetAuthorizedEntries",
	"/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries",
	"/spire.api.server.svid.v1.SVID/BatchNewWITSVID",
	"/spire.api.server.svid.v1.SVID/BatchNewX509SVID",
	"/spire.api.server.svid.v1.SVID/NewJWTSVID",
}

# For servers below this one.
downstream_methods := {
	"/spire.api.server.bundle.v1.Bundle/PublishJWTAuthority",
	"/spire.api.server.bundle.v1.Bundle/PublishWITAuthority",
	"/spire.api.server.svid.v1.SVID/NewDownstreamX509CA",
}

# Agents and administrators both.
shared_method := "/spire.api.server.bundle.v1.Bundle/GetFederatedBundle"

machine_methods := (agent_methods | downstream_methods) | open_methods

default anyone := false

anyone if input.full_method in open_methods

anyone if {
	input.caller == issuer
	input.full_method in issuer_methods
}

default agents := false

agents if input.full_method in agent_methods

agents if input.full_method == shared_method

default downstream := false

downstream if input.full_method in downstream_methods

default people := false

people if not input.full_method in machine_methods

default administrators := false

# Debugging, log levels and health are for the server's own socket.
administrators if {
	people
	not startswith(input.full_method, "/spire.api.server.debug.")
	not startswith(input.full_method, "/spire.api.server.logger.")
	not startswith(input.full_method, "/grpc.")
}

result := {
	"allow": anyone,
	"allow_if_admin": administrators,
	"allow_if_agent": agents,
	"allow_if_downstream": downstream,
	"allow_if_local": people,
}
