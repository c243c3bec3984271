-- breaking: no
-- Old verdicts are found and deleted by outcome and age. (Building this index holds up writing of verdicts meanwhile.)
CREATE INDEX verdict_age ON verdict (outcome, at, id);

-- The last epoch whose end the node's agent was told of and took note. Below `epoch`: it still has to hear it.
ALTER TABLE node_trust ADD COLUMN told_epoch integer NOT NULL DEFAULT 0;
