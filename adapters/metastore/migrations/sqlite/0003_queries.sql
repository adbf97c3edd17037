-- What was asked: queries that have ended.
--
-- What the first migration fixes holds here too. Ids are UUIDs of version 7, so they sort by when queries came in.

-- `error_code` is set for those that failed, and for no others.
CREATE TABLE queries (
    id          TEXT    NOT NULL PRIMARY KEY,
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    principal   TEXT    NOT NULL,
    sql_text    TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    rows_read   INTEGER NOT NULL,
    error_code  TEXT
) STRICT;

CREATE INDEX queries_by_project ON queries (project, id);
CREATE INDEX queries_by_end ON queries (finished_at);
