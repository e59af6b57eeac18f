-- Alerts of workers, from their journals. An alert of a rewound tail stays: it was raised, and somebody may have been told.
CREATE TABLE alerts (
  run_id  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  seq     INTEGER NOT NULL,                     -- of its event in the journal
  step    INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  code    TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (run_id, attempt, seq)
) STRICT, WITHOUT ROWID;

-- What has happened and has not been passed on yet: written in the transaction in which it happens, deleted in the one that
-- turns it into deliveries. So nothing is lost or doubled by a restart, and the deletion of a run takes no news with it.
-- AUTOINCREMENT, because the id is in the event_id by which receivers know an event again.
CREATE TABLE notices (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  type        TEXT NOT NULL CHECK (type IN ('run_state', 'alert')),
  time_ms     INTEGER NOT NULL,
  run_id      INTEGER NOT NULL,
  name        TEXT NOT NULL,
  experiments TEXT NOT NULL,                    -- JSON list of names, as far as they were known
  attempt     INTEGER NOT NULL,
  step        INTEGER NOT NULL,
  device      TEXT NOT NULL,
  state       TEXT NOT NULL,
  from_state  TEXT NOT NULL,                    -- '' for the first; of an alert its state
  reason      TEXT NOT NULL,                    -- of an alert its message
  code        TEXT NOT NULL                     -- of an alert
) STRICT;

CREATE TRIGGER notice_run_state AFTER INSERT ON run_events WHEN NEW.from_state <> NEW.to_state
BEGIN
  INSERT INTO notices (type, time_ms, run_id, name, experiments, attempt, step, device, state, from_state, reason, code)
  SELECT 'run_state', NEW.time_ms, r.id, r.name,
         (SELECT json_group_array(e.name) FROM members m JOIN experiments e ON e.id = m.experiment_id WHERE m.run_id = r.id),
         r.attempt, r.step, coalesce(r.device, ''), NEW.to_state, NEW.from_state, NEW.reason, ''
  FROM runs r WHERE r.id = NEW.run_id;
END;
CREATE TRIGGER notice_alert AFTER INSERT ON alerts
BEGIN
  INSERT INTO notices (type, time_ms, run_id, name, experiments, attempt, step, device, state, from_state, reason, code)
  SELECT 'alert', NEW.time_ms, r.id, r.name,
         (SELECT json_group_array(e.name) FROM members m JOIN experiments e ON e.id = m.experiment_id WHERE m.run_id = r.id),
         NEW.attempt, NEW.step, coalesce(r.device, ''), r.state, r.state, NEW.message, NEW.code
  FROM runs r WHERE r.id = NEW.run_id;
END;

CREATE TABLE webhooks (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  url          TEXT NOT NULL,
  secret       TEXT NOT NULL,
  events       TEXT NOT NULL,                   -- JSON list: states, "alert"
  experiment   TEXT NOT NULL DEFAULT '',        -- only runs that an experiment of this name lists; '' = all
  enabled      INTEGER NOT NULL DEFAULT 1,
  after_notice INTEGER NOT NULL,                -- newest notice when it was made: it hears of later ones
  created_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id      INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  event_id        TEXT NOT NULL,
  type            TEXT NOT NULL,
  payload         TEXT NOT NULL,                -- the body as it is sent
  result          TEXT NOT NULL DEFAULT 'pending' CHECK (result IN ('pending', 'delivered', 'given_up')),
  attempts        INTEGER NOT NULL DEFAULT 0,
  next_attempt_ms INTEGER,                      -- NULL unless pending
  last_ms         INTEGER,
  last_status     INTEGER,                      -- of HTTP; NULL = there was no answer
  last_error      TEXT NOT NULL DEFAULT '',
  created_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (webhook_id, next_attempt_ms, id) WHERE next_attempt_ms IS NOT NULL;
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);

-- Tells the events of this database from those of another one, such as the one before a rebuild.
CREATE TABLE notice_stream (name TEXT NOT NULL) STRICT;
INSERT INTO notice_stream (name) VALUES (lower(hex(randomblob(8))));
