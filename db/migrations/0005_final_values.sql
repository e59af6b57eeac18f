-- What each completed attempt has reached, metric -> value as JSON: series keep the newest attempt only. NULL = it did not complete, or
-- completed before this was kept; `moelab db rebuild` reads it from the journals.
ALTER TABLE attempts ADD COLUMN final_values TEXT;
