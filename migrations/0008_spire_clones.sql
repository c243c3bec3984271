-- breaking: no
-- Agents whose SVIDs change as if two machines attested by one node's material (rule id.clone), as an issuer saw it at a
-- SPIRE server. The verifier follows the rows that are to end trust.
CREATE TABLE spire_clone (
  node_id            uuid NOT NULL,
  place              text NOT NULL,
  seen_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  message            text NOT NULL,
  ends_trust         boolean NOT NULL,
  PRIMARY KEY (node_id, place)
);
