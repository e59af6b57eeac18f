-- Runs may end as pruned. Only the CHECK of runs.state changes and no row does, so the stored text of the table is edited, the way
-- SQLite's documentation of ALTER TABLE gives for it: a rebuilt table would take its children's rows with it.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''lost''))', '''lost'', ''pruned''))') WHERE type = 'table' AND name = 'runs';
PRAGMA writable_schema = RESET;
