-- Of device_states: which runs failed in a row, since one run alone does not prove a device bad, and why a person disabled it.
ALTER TABLE device_states ADD COLUMN failed_runs TEXT NOT NULL DEFAULT '[]';   -- JSON list of distinct ids, in order
ALTER TABLE device_states ADD COLUMN disabled_reason TEXT NOT NULL DEFAULT '';
