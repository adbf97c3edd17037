-- What was asked: queries that have ended.
--
-- What the first migration fixes holds here too. Ids are UUIDs of version 7, so they sort by when queries came in.

-- `error_code` is set for those that failed, and for no others.
CREATE TABLE queries (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    principal   TEXT COLLATE "C" NOT NULL,
    sql_text    TEXT COLLATE "C" NOT NULL,
    request_id  TEXT COLLATE "C" NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    rows_read   BIGINT NOT NULL,
    error_code  TEXT COLLATE "C"
);

CREATE INDEX queries_by_project ON queries (project, id);
CREATE INDEX queries_by_end ON queries (finished_at);
