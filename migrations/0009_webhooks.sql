-- breaking: no
-- How far each webhook of the configuration has got. One verifier at a time delivers to it: the one that holds the lease.
CREATE TABLE webhook (
  name               text PRIMARY KEY,
  -- Of the last trust event that was delivered or was not for it.
  seq                bigint NOT NULL,
  delivered_at       timestamptz,
  failures           integer NOT NULL DEFAULT 0,
  last_error         text,
  next_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When its receiver said that it is gone for good (HTTP 410).
  gone_at            timestamptz,
  owner              uuid,
  leased_until       timestamptz
);
