-- breaking: no
-- Which protocol a node enrolled with, which says whose key its quotes bind in PCR 16 (rule quote.channel): our agent's
-- its TLS key, a stock Keylime agent's its payload key. NULL: enrolled before this was recorded, or by a process of the
-- release before; then the TLS key is demanded until the node enrols again.
ALTER TABLE node ADD COLUMN protocol text CHECK (protocol IN ('keylime', 'assay'));
