-- breaking: yes
-- What the reconciler reached at each place where a ban must be in force (a SPIRE server). A row says which wish was
-- tried there last: one of another wish than the ban's is as good as none, so nobody has to reset it.
CREATE TABLE ban_place (
  node_id            uuid NOT NULL,
  place              text NOT NULL,
  wanted             boolean NOT NULL,
  epoch              integer NOT NULL,
  -- Since when it has been so there without a gap that was seen.
  applied_at         timestamptz,
  confirmed_at       timestamptz,
  attempts           integer NOT NULL DEFAULT 0,
  last_error         text,
  PRIMARY KEY (node_id, place)
);

ALTER TABLE ban DROP COLUMN applied_at, DROP COLUMN attempts, DROP COLUMN last_error;
