-- Whether what a run has trained so far was trained on a GPU: a run that leaves the choice open goes on where it began. NULL = not begun.
ALTER TABLE runs ADD COLUMN on_gpu INTEGER;
-- Running time that counts no more against resources.timeout: a person has said `retry` since.
ALTER TABLE runs ADD COLUMN forgiven_ms INTEGER NOT NULL DEFAULT 0;
-- Few runs share a GPU or go to Slurm: thousands of others are not to be read for them. Not a partial index on a state: SQLite would then
-- prepare every statement with `state = ?` anew whenever another state is bound.
CREATE INDEX runs_by_launcher ON runs (state, launcher);
CREATE INDEX runs_that_share ON runs (memory_key) WHERE share_gpu = 1;
