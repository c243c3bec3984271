-- breaking: no
-- The first schema. One service writes each table (named above it); others read.
-- Every deadline is set and compared by this database's clock: processes' clocks never decide.

------------------------------------------------------------------------------------------ registrar

-- Who a node is. One row for each endorsement key, for ever (rule id.immutable).
CREATE TABLE node (
  id                 uuid PRIMARY KEY,
  -- Counts completed enrolments. A verdict and a certificate hold for one version (rule id.one-record).
  version            integer NOT NULL DEFAULT 1 CHECK (version > 0),
  alias              text NOT NULL,
  ek_spki_sha256     bytea NOT NULL UNIQUE CHECK (length(ek_spki_sha256) = 32),
  ek_public          bytea NOT NULL,
  ek_certificate     bytea,
  ek_path            bytea[] NOT NULL DEFAULT '{}',
  ek_notes           jsonb NOT NULL DEFAULT '[]',
  tpm                jsonb NOT NULL DEFAULT '{}',
  ak_public          bytea NOT NULL,
  ak_name            bytea NOT NULL,
  tls_certificate    bytea,
  tls_sha256         bytea CHECK (length(tls_sha256) = 32),
  contact_host       text NOT NULL,
  contact_port       integer NOT NULL CHECK (contact_port BETWEEN 1 AND 65535),
  api_version        text NOT NULL,
  -- {host, port, tlsCertificate} of the version before, until the verifier has probed it (rule id.clone).
  previous_contact   jsonb,
  admission          text NOT NULL CHECK (admission IN ('pending', 'admitted', 'retired')),
  admission_reason   text NOT NULL,
  admitted_by        text,
  admitted_at        timestamptz,
  retired_at         timestamptz,
  group_name         text,
  asset_name         text,
  shard              integer NOT NULL CHECK (shard >= 0),
  created_at         timestamptz NOT NULL DEFAULT now(),
  enrolled_at        timestamptz NOT NULL DEFAULT now(),
  CHECK (admission <> 'admitted' OR group_name IS NOT NULL)
);
CREATE INDEX node_alias ON node (alias);
CREATE UNIQUE INDEX node_tls ON node (tls_sha256) WHERE tls_sha256 IS NOT NULL;
CREATE INDEX node_shard ON node (shard) WHERE admission = 'admitted';

CREATE FUNCTION notify_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('assay_node', NEW.id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER node_notify AFTER INSERT OR UPDATE ON node FOR EACH ROW EXECUTE FUNCTION notify_node();

-- An open credential challenge. Nothing in `node` changes before it is answered (rule ak.activation).
CREATE TABLE enrolment (
  id                 uuid PRIMARY KEY,
  node_id            uuid NOT NULL,
  alias              text NOT NULL,
  protocol           text NOT NULL CHECK (protocol IN ('keylime', 'assay')),
  remote_address     text NOT NULL,
  -- What becomes the node's row, as it was checked.
  candidate          jsonb NOT NULL,
  -- SHA-256 of the one right answer: the secret itself is not kept.
  proof_sha256       bytea NOT NULL CHECK (length(proof_sha256) = 32),
  created_at         timestamptz NOT NULL DEFAULT now(),
  expires_at         timestamptz NOT NULL,
  spent_at           timestamptz
);
CREATE INDEX enrolment_alias ON enrolment (alias) WHERE spent_at IS NULL;
CREATE INDEX enrolment_address ON enrolment (remote_address) WHERE spent_at IS NULL;
CREATE INDEX enrolment_expiry ON enrolment (expires_at);

CREATE TABLE inventory (
  id                 uuid PRIMARY KEY,
  ek_sha256          bytea UNIQUE CHECK (length(ek_sha256) = 32),
  certificate_serial text,
  certificate_issuer text,
  asset_name         text NOT NULL,
  group_name         text NOT NULL,
  created_by         text NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  node_id            uuid,
  UNIQUE (certificate_serial, certificate_issuer),
  CHECK ((ek_sha256 IS NULL) <> (certificate_serial IS NULL)),
  CHECK ((certificate_serial IS NULL) = (certificate_issuer IS NULL))
);

CREATE TABLE join_token (
  id                 uuid PRIMARY KEY,
  secret_sha256      bytea NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
  group_name         text NOT NULL,
  note               text NOT NULL DEFAULT '',
  created_by         text NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  expires_at         timestamptz NOT NULL,
  used_at            timestamptz,
  used_by            uuid
);

CREATE TABLE trust_anchor (
  sha256             bytea PRIMARY KEY CHECK (length(sha256) = 32),
  der                bytea NOT NULL,
  subject            text NOT NULL,
  kind               text NOT NULL CHECK (kind IN ('root', 'intermediate')),
  source             text NOT NULL,
  added_by           text NOT NULL,
  added_at           timestamptz NOT NULL DEFAULT now(),
  -- A removed one is kept, so that a shipped root does not come back at the next start.
  removed_at         timestamptz
);

------------------------------------------------------------------------------------------- verifier

CREATE TABLE policy (
  name               text NOT NULL,
  version            integer NOT NULL CHECK (version > 0),
  document           text NOT NULL,
  sha256             bytea NOT NULL CHECK (length(sha256) = 32),
  created_by         text NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (name, version)
);

-- subject: 'default', 'group:NAME' or 'node:UUID'; the most specific one counts.
CREATE TABLE policy_assignment (
  subject            text PRIMARY KEY,
  policy_name        text NOT NULL,
  assigned_by        text NOT NULL,
  assigned_at        timestamptz NOT NULL DEFAULT now()
);

-- The one row where a verdict and an issue meet. Whoever ends trust or records a certificate holds its lock.
CREATE TABLE node_trust (
  node_id            uuid PRIMARY KEY,
  -- How often trust was ended by a failure or a ban. A certificate of an earlier epoch is revoked.
  epoch              integer NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  standing           text NOT NULL DEFAULT 'unknown' CHECK (standing IN ('unknown', 'passing', 'failed', 'banned')),
  node_version       integer NOT NULL DEFAULT 0,
  trusted_until      timestamptz,
  outcome            text CHECK (outcome IN ('pass', 'fail', 'inconclusive')),
  reasons            jsonb NOT NULL DEFAULT '[]',
  judged_at          timestamptz,
  passed_at          timestamptz,
  passes             bigint NOT NULL DEFAULT 0,
  policy_name        text,
  policy_version     integer,
  -- TPMS_CLOCK_INFO of the last quote that was ours (rule quote.clock).
  tpm_clock          numeric(20, 0),
  tpm_reset_count    bigint,
  tpm_restart_count  bigint,
  changed_at         timestamptz NOT NULL DEFAULT now(),
  changed_by         text NOT NULL DEFAULT 'verifier',
  note               text NOT NULL DEFAULT ''
);

-- Append only. What happened to a node's trust, in commit order for each node; feeds the event stream.
CREATE TABLE trust_event (
  seq                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at                 timestamptz NOT NULL DEFAULT now(),
  node_id            uuid NOT NULL,
  kind               text NOT NULL,
  epoch              integer NOT NULL,
  detail             jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX trust_event_node ON trust_event (node_id, seq);
-- One event ends an epoch; its row says when and why every certificate of that epoch was revoked.
CREATE UNIQUE INDEX trust_event_epoch ON trust_event (node_id, epoch) WHERE kind IN ('failed', 'banned');

CREATE FUNCTION notify_trust_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('assay_trust_event', '');
  RETURN NULL;
END $$;
CREATE TRIGGER trust_event_notify AFTER INSERT ON trust_event
  FOR EACH STATEMENT EXECUTE FUNCTION notify_trust_event();

-- History: every fail, every change of outcome, policy, record version or boot; not each equal pass.
CREATE TABLE verdict (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node_id            uuid NOT NULL,
  node_version       integer NOT NULL,
  at                 timestamptz NOT NULL DEFAULT now(),
  outcome            text NOT NULL CHECK (outcome IN ('pass', 'fail', 'inconclusive')),
  reasons            jsonb NOT NULL DEFAULT '[]',
  policy_name        text,
  policy_version     integer,
  evidence           jsonb
);
CREATE INDEX verdict_node ON verdict (node_id, id DESC);

-- The evidence of the last pass of each node. That of fails stands in `verdict`.
CREATE TABLE last_evidence (
  node_id            uuid PRIMARY KEY,
  at                 timestamptz NOT NULL DEFAULT now(),
  evidence           jsonb NOT NULL
);

-- Which verifier process polls which nodes. A fence is never used twice.
CREATE TABLE poll_shard (
  shard              integer PRIMARY KEY,
  owner              uuid,
  fence              bigint NOT NULL DEFAULT 0,
  lease_until        timestamptz NOT NULL DEFAULT '-infinity'
);

-- Verifier processes that are alive, so that shards can be shared fairly.
CREATE TABLE poll_owner (
  owner              uuid PRIMARY KEY,
  alive_until        timestamptz NOT NULL
);

--------------------------------------------------------------------------------------------- issuer

CREATE TABLE issue_challenge (
  nonce_sha256       bytea PRIMARY KEY CHECK (length(nonce_sha256) = 32),
  node_id            uuid NOT NULL,
  node_version       integer NOT NULL,
  expires_at         timestamptz NOT NULL
);
CREATE INDEX issue_challenge_node ON issue_challenge (node_id, expires_at);
CREATE INDEX issue_challenge_expiry ON issue_challenge (expires_at);

-- Written before the certificate is signed (rule issue.profile).
CREATE TABLE certificate (
  serial             bytea PRIMARY KEY CHECK (length(serial) BETWEEN 1 AND 20),
  -- Order of recording: after a committed fail there is no later one of that node's old epoch.
  seq                bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  node_id            uuid NOT NULL,
  node_version       integer NOT NULL,
  epoch              integer NOT NULL,
  group_name         text NOT NULL,
  authority_sha256   bytea NOT NULL,
  key_mode           text NOT NULL CHECK (key_mode IN ('tpm', 'delivered')),
  subject_spki_sha256 bytea NOT NULL,
  not_before         timestamptz NOT NULL,
  not_after          timestamptz NOT NULL,
  recorded_at        timestamptz NOT NULL DEFAULT now(),
  der                bytea
);
CREATE INDEX certificate_node ON certificate (node_id, seq DESC);
CREATE INDEX certificate_expiry ON certificate (authority_sha256, not_after);

-- One for each issuing CA. The row is locked while its next CRL is made; number 0 stands before the first.
CREATE TABLE crl (
  authority_sha256   bytea PRIMARY KEY,
  number             bigint NOT NULL,
  this_update        timestamptz NOT NULL,
  next_update        timestamptz NOT NULL,
  -- SHA-256 of the entries: an event that changes none of them makes no new CRL.
  content_sha256     bytea NOT NULL,
  der                bytea NOT NULL
);

-- What the reconciler knows of a node's ban outside (SPIRE). What is wanted follows from node_trust.
CREATE TABLE ban (
  node_id            uuid PRIMARY KEY,
  wanted             boolean NOT NULL,
  epoch              integer NOT NULL,
  since              timestamptz NOT NULL DEFAULT now(),
  applied_at         timestamptz,
  attempts           integer NOT NULL DEFAULT 0,
  last_error         text
);

------------------------------------------------------------------------------------------- everyone

-- Acts of people and changes of trust; each row holds the hash of the one before (rule audit.chain).
CREATE TABLE audit_log (
  seq                bigint PRIMARY KEY,
  at                 timestamptz NOT NULL,
  actor              text NOT NULL,
  act                text NOT NULL,
  subject            text NOT NULL,
  detail             jsonb NOT NULL,
  previous_hash      bytea NOT NULL,
  hash               bytea NOT NULL
);

-- The state people see; derived, so that no writer can let it drift from the facts.
CREATE VIEW node_state AS
SELECT n.id AS node_id,
       CASE
         WHEN n.admission = 'retired' THEN 'retired'
         WHEN t.standing = 'banned' THEN 'banned'
         WHEN n.admission = 'pending' THEN 'pending'
         WHEN t.standing = 'failed' THEN 'failed'
         WHEN t.standing = 'passing' AND t.node_version = n.version AND t.trusted_until > now() THEN 'trusted'
         WHEN t.standing = 'passing' AND t.node_version = n.version THEN 'stale'
         ELSE 'enrolled'
       END AS state
FROM node n LEFT JOIN node_trust t ON t.node_id = n.id;

-- A certificate is revoked when the epoch it was issued under has ended, or its node was retired.
CREATE VIEW certificate_status AS
SELECT c.serial, c.node_id, c.authority_sha256, c.not_after,
       (c.epoch < coalesce(t.epoch, 0) OR n.retired_at IS NOT NULL) AS revoked,
       least(e.at, n.retired_at) AS revoked_at,
       CASE WHEN c.epoch < coalesce(t.epoch, 0) THEN e.kind WHEN n.retired_at IS NOT NULL THEN 'retired' END AS reason
FROM certificate c
JOIN node n ON n.id = c.node_id
LEFT JOIN node_trust t ON t.node_id = c.node_id
LEFT JOIN trust_event e ON e.node_id = c.node_id AND e.epoch = c.epoch + 1 AND e.kind IN ('failed', 'banned')
  AND c.epoch < t.epoch;
