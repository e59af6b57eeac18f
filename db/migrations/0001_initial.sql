-- Times are milliseconds since 1970 UTC, JSON is text, booleans are 0 or 1, a NULL value of a metric is NaN.

CREATE TABLE experiments (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  matrix         TEXT NOT NULL,
  name           TEXT NOT NULL,
  profile        TEXT NOT NULL,
  baseline       TEXT NOT NULL,
  notes          TEXT NOT NULL,
  tags           TEXT NOT NULL,                 -- JSON list
  source         TEXT NOT NULL,                 -- name of the YAML file
  max_concurrent INTEGER NOT NULL,              -- 0 = no limit
  created_ms     INTEGER NOT NULL,
  UNIQUE (matrix, name, profile)
) STRICT;

-- One row a key: what trains. AUTOINCREMENT, because an id names a directory and must never come back.
CREATE TABLE runs (
  id                INTEGER PRIMARY KEY AUTOINCREMENT,
  key               TEXT NOT NULL UNIQUE,
  matrix            TEXT NOT NULL,
  name              TEXT NOT NULL,              -- the name it was first submitted under
  spec              TEXT NOT NULL,              -- core::RunSpec as JSON, as in run.json
  seed              INTEGER NOT NULL,
  total_parameters  INTEGER NOT NULL,
  active_parameters INTEGER NOT NULL,
  flops_per_token   REAL NOT NULL,
  tokens            REAL NOT NULL,
  priority          INTEGER NOT NULL,
  gpus              INTEGER,                    -- resources of its spec; NULL = a GPU if there is one
  timeout_s         INTEGER NOT NULL,           -- 0 = none
  max_restarts      INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ({{run_states}})),
  reason            TEXT NOT NULL DEFAULT '',
  exit_code         INTEGER,
  signal            INTEGER,
  attempt           INTEGER NOT NULL DEFAULT 0, -- launches so far
  restarts          INTEGER NOT NULL DEFAULT 0, -- after crashes, since a person queued it
  fresh             INTEGER NOT NULL DEFAULT 0, -- next attempt drops its checkpoints first
  not_before_ms     INTEGER,                    -- back-off after a crash
  step              INTEGER NOT NULL DEFAULT 0,
  max_steps         INTEGER NOT NULL DEFAULT 0,
  phase             TEXT,
  phase_done        INTEGER NOT NULL DEFAULT 0,
  phase_total       INTEGER NOT NULL DEFAULT 0,
  pace_step         INTEGER,                    -- first and newest step of this attempt, with their times: the rate
  pace_ms           INTEGER,
  step_ms           INTEGER,
  device            TEXT,                       -- the lease
  pid               INTEGER,
  process_start     INTEGER,                    -- clock ticks after boot, tells a pid from its successor
  boot_id           TEXT,
  stop_intent       TEXT CHECK (stop_intent IN ('cancel', 'timeout', 'shutdown')),
  stop_deadline_ms  INTEGER,                    -- SIGKILL when it has passed
  queued_ms         INTEGER NOT NULL,
  started_ms        INTEGER,                    -- first attempt
  attempt_ms        INTEGER,                    -- the attempt that lives
  finished_ms       INTEGER,
  runtime_ms        INTEGER NOT NULL DEFAULT 0  -- of attempts that have ended
) STRICT;
CREATE INDEX runs_by_state ON runs (state);
-- A device has one worker. The database itself refuses a second one.
CREATE UNIQUE INDEX runs_by_device ON runs (device) WHERE device IS NOT NULL;

CREATE TABLE members (
  experiment_id INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
  name          TEXT NOT NULL,
  run_id        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position      INTEGER NOT NULL,
  baseline      TEXT NOT NULL,                  -- name of the run it is compared with; '' = none
  baseline_key  TEXT NOT NULL,                  -- key of that run
  notes         TEXT NOT NULL,
  tags          TEXT NOT NULL,                  -- JSON list
  varied        TEXT NOT NULL,                  -- JSON list of [knob, value]
  PRIMARY KEY (experiment_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_run ON members (run_id);

CREATE TABLE run_events (
  id         INTEGER PRIMARY KEY,
  run_id     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  time_ms    INTEGER NOT NULL,
  from_state TEXT NOT NULL,                     -- '' for the first
  to_state   TEXT NOT NULL,
  reason     TEXT NOT NULL
) STRICT;
CREATE INDEX run_events_by_run ON run_events (run_id);

CREATE TABLE attempts (
  run_id        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  attempt       INTEGER NOT NULL,
  provenance    TEXT NOT NULL DEFAULT '{}',     -- payload of its `started` event
  final_status  TEXT,                           -- of its `finished` event: the worker's last word
  final_reason  TEXT NOT NULL DEFAULT '',
  final_message TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
  id         INTEGER PRIMARY KEY,
  run_id     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  key        TEXT NOT NULL,
  last_step  INTEGER NOT NULL,
  last_value REAL,
  UNIQUE (run_id, key)
) STRICT;

CREATE TABLE points (
  series_id INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  step      INTEGER NOT NULL,
  attempt   INTEGER NOT NULL,
  value     REAL,
  PRIMARY KEY (series_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE expert_loads (
  id      INTEGER PRIMARY KEY,
  run_id  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  step    INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  layers  TEXT NOT NULL,                        -- JSON list of layer ids
  slots   INTEGER NOT NULL,
  experts INTEGER NOT NULL,
  counts  BLOB NOT NULL,                        -- LEB128 varints, [layer][slot][expert]
  UNIQUE (run_id, step)
) STRICT;

CREATE TABLE checkpoints (
  run_id  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  path    TEXT NOT NULL,
  step    INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  best    INTEGER NOT NULL,
  PRIMARY KEY (run_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  path   TEXT NOT NULL,
  name   TEXT NOT NULL,
  kind   TEXT NOT NULL,
  PRIMARY KEY (run_id, path)
) STRICT, WITHOUT ROWID;

-- How far each journal has been read: moved in the transaction that stores what was read.
CREATE TABLE journals (
  run_id      INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
  byte_offset INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  seq         INTEGER NOT NULL
) STRICT;
