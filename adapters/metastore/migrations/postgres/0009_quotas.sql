-- Limits of projects as a JSON document, and what their queries did on each day.

ALTER TABLE projects ADD COLUMN quota TEXT COLLATE "C";

CREATE TABLE usage_days (
    project        TEXT COLLATE "C" NOT NULL,
    -- Days since 1970 (UTC).
    day            BIGINT NOT NULL,
    queries        BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    bytes_scanned  BIGINT NOT NULL,
    bytes_sent     BIGINT NOT NULL,
    millis         BIGINT NOT NULL,
    PRIMARY KEY (project, day)
);
CREATE INDEX usage_days_by_day ON usage_days (day);
