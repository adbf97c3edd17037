-- Limits of projects as a JSON document, and what their queries did on each day.

ALTER TABLE projects ADD COLUMN quota TEXT;

CREATE TABLE usage_days (
    project        TEXT NOT NULL,
    -- Days since 1970 (UTC).
    day            INTEGER NOT NULL,
    queries        INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    bytes_scanned  INTEGER NOT NULL,
    bytes_sent     INTEGER NOT NULL,
    millis         INTEGER NOT NULL,
    PRIMARY KEY (project, day)
) STRICT;
CREATE INDEX usage_days_by_day ON usage_days (day);
