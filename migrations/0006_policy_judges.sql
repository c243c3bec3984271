-- breaking: no
-- What a policy judges besides register values: 'boot' (a boot log), 'files' (a measurement list). NULL: kept by the
-- release before; a verifier fills it in when it starts.
ALTER TABLE policy ADD COLUMN judges text[];
