-- breaking: no
-- Which bytes may be at which path (policies/digests). Never changed: the id is the SHA-256 of the bytes.
CREATE TABLE digest_set (
  id          text PRIMARY KEY CHECK (id ~ '^sha256:[0-9a-f]{64}$'),
  name        text NOT NULL,
  bytes       bytea NOT NULL,
  entries     integer NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  created_by  text NOT NULL
);
-- They do not compress: digests are random.
ALTER TABLE digest_set ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- How much of the node's measurement list is proven and judged: { entries, bank, pcr, policy }.
ALTER TABLE node_trust ADD COLUMN ima jsonb;
