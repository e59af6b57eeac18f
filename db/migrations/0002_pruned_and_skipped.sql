-- A run may start from another one's weights and waits for it.
ALTER TABLE runs ADD COLUMN waits_for TEXT;     -- key of that run; NULL = none

-- Runs may end as pruned or skipped. Only the CHECK of runs.state changes and no row does, so the stored text of the table is edited,
-- the way SQLite's documentation of ALTER TABLE gives for it: a rebuilt table would take its children's rows with it.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''lost''))', '''lost'', ''pruned'', ''skipped''))') WHERE type = 'table' AND name = 'runs';
PRAGMA writable_schema = RESET;
