-- What a run may use, as its file says: core::ResourceConfig.
ALTER TABLE runs ADD COLUMN memory_gb REAL;                                -- declared peak; NULL = measured
ALTER TABLE runs ADD COLUMN share_gpu INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN hang_timeout_s INTEGER NOT NULL DEFAULT 1800;  -- 0 = never
ALTER TABLE runs ADD COLUMN halve_on_oom INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN launcher TEXT NOT NULL DEFAULT 'auto';

ALTER TABLE runs ADD COLUMN lease_shared INTEGER NOT NULL DEFAULT 0;       -- others may be on the device as well
ALTER TABLE runs ADD COLUMN forced_device TEXT;                            -- a person wants it started there, whoever uses it; 'any' = anywhere
ALTER TABLE runs ADD COLUMN gone_ms INTEGER;                               -- the worker has gone, its device has not given the memory back yet
ALTER TABLE runs ADD COLUMN stop_reason TEXT NOT NULL DEFAULT '';          -- sentence that goes with stop_intent
ALTER TABLE runs ADD COLUMN micro_batch_divisor INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN memory_key TEXT NOT NULL DEFAULT '';           -- runs of one key need the same memory
ALTER TABLE runs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_memory_key ON runs (memory_key);

-- A device has one worker, or several that all share it. The database itself refuses anything else.
DROP INDEX runs_by_device;
CREATE UNIQUE INDEX runs_by_device ON runs (device) WHERE device IS NOT NULL AND lease_shared = 0;
CREATE INDEX runs_by_shared_device ON runs (device) WHERE device IS NOT NULL AND lease_shared = 1;
CREATE TRIGGER runs_lease BEFORE UPDATE OF device, lease_shared ON runs WHEN NEW.device IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'the device is leased to another run')
  WHERE EXISTS (SELECT 1 FROM runs o WHERE o.device = NEW.device AND o.id <> NEW.id AND (o.lease_shared = 0 OR NEW.lease_shared = 0));
END;

-- Runs that must have completed before a run may start: whose weights it takes, or which its file says it depends on.
CREATE TABLE dependencies (
  run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  key    TEXT NOT NULL,                                                    -- of the run it waits for
  PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_by_key ON dependencies (key);
INSERT INTO dependencies (run_id, key) SELECT id, waits_for FROM runs WHERE waits_for IS NOT NULL;

ALTER TABLE members ADD COLUMN family TEXT NOT NULL DEFAULT '';            -- the name without its seed
UPDATE members SET family = name;
ALTER TABLE experiments ADD COLUMN prune TEXT NOT NULL DEFAULT '';         -- rule as JSON; '' = none

-- What the daemon as a whole was told: 'queue' = {"mode", "reason", "since"}.
CREATE TABLE daemon_state (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device_states (
  id                   TEXT PRIMARY KEY,                                   -- UUID of a GPU, else the device's id
  failures             INTEGER NOT NULL DEFAULT 0,                         -- attempts in a row that ended badly on it
  quarantines          INTEGER NOT NULL DEFAULT 0,                         -- in a row, each longer than the one before
  quarantined_until_ms INTEGER,
  disabled             INTEGER NOT NULL DEFAULT 0,
  reason               TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- More states and more reasons to stop: see 0002 for why the stored text is edited.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, '''skipped''))', '''skipped'', ''paused''))'),
    '''cancel'', ''timeout'', ''shutdown''',
    '''shutdown'', ''drain'', ''hang'', ''prune'', ''timeout'', ''misplaced'', ''pause'', ''cancel'', ''kill''')
  WHERE type = 'table' AND name = 'runs';
PRAGMA writable_schema = RESET;
