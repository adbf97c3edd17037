-- Projects, their keys, what happened to them, and the index of their lakes' commits.
--
-- What holds everywhere, so that another database can carry the same meaning:
--   * Names are kept twice: as given, and folded to lower case (`…_key`), which is what is unique and compared.
--   * Times are whole microseconds since 1970-01-01 UTC. UUIDs and JSON documents are text.
--   * Rows refer to a project by its folded id. A project's row is never deleted.

CREATE TABLE projects (
    id_key       TEXT    NOT NULL PRIMARY KEY,
    id           TEXT    NOT NULL,
    lake         TEXT    NOT NULL UNIQUE,
    name         TEXT,
    settings     TEXT,
    status       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    table_count  INTEGER NOT NULL,
    bucket_count INTEGER NOT NULL
) STRICT;

CREATE INDEX projects_by_age ON projects (created_at DESC, id_key);

-- A key's secret is never stored, only its SHA-256 digest. `scopes` are words with spaces between them.
CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    project    TEXT    NOT NULL REFERENCES projects (id_key),
    name       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    bucket     TEXT,
    digest     BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_project ON api_keys (project);

-- AUTOINCREMENT: a position is never used twice, even after old events are removed.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    event_type  TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    request_id  TEXT    NOT NULL,
    snapshot    INTEGER,
    data        TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_project ON events (project, position);

CREATE TABLE audit (
    entry      INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    principal  TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    project    TEXT    NOT NULL REFERENCES projects (id_key),
    resource   TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    snapshot   INTEGER
) STRICT;

CREATE INDEX audit_by_project ON audit (project, entry);

-- The last commit of a project's lake that is in the index.
CREATE TABLE lake_applied (
    project  TEXT    NOT NULL PRIMARY KEY REFERENCES projects (id_key),
    snapshot INTEGER NOT NULL
) STRICT;

-- Facts hold from `begin_snapshot` until before `end_snapshot`; without an end they hold now.
CREATE TABLE bucket_facts (
    project        TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT    NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER,
    bucket         TEXT    NOT NULL,
    description    TEXT,
    PRIMARY KEY (project, bucket_key, begin_snapshot)
) STRICT, WITHOUT ROWID;

CREATE TABLE table_facts (
    project        TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT    NOT NULL,
    table_key      TEXT    NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER,
    bucket         TEXT    NOT NULL,
    table_name     TEXT    NOT NULL,
    columns        TEXT    NOT NULL,
    primary_key    TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, begin_snapshot)
) STRICT;

CREATE UNIQUE INDEX bucket_facts_now ON bucket_facts (project, bucket_key) WHERE end_snapshot IS NULL;
CREATE UNIQUE INDEX table_facts_now ON table_facts (project, bucket_key, table_key) WHERE end_snapshot IS NULL;
