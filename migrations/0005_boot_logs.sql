-- breaking: no
-- Boot logs that evidence refers to, once for all nodes that showed them.
CREATE TABLE boot_log (
  sha256      text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  bytes       bytea NOT NULL,
  -- When a node last showed it, to the day.
  seen_at     timestamptz NOT NULL DEFAULT now()
);
