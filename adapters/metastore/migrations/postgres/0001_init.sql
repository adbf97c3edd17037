-- Projects, their keys, what happened to them, and the index of their lakes' commits.
--
-- Each migration means what the one of the same number means in SQLite. What holds everywhere:
--   * Names are kept twice: as given, and folded to lower case (`…_key`), which is what is unique and compared.
--   * Times are whole microseconds since 1970-01-01 UTC. UUIDs and JSON documents are text.
--   * Text is compared by its bytes, whatever the database's language. It can't hold U+0000; U+2400 stands for it.
--   * Rows refer to a project by its folded id. A project's row is never deleted.

CREATE TABLE projects (
    id_key       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id           TEXT COLLATE "C" NOT NULL,
    lake         TEXT COLLATE "C" NOT NULL UNIQUE,
    name         TEXT COLLATE "C",
    settings     TEXT COLLATE "C",
    status       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    size_bytes   BIGINT NOT NULL,
    table_count  BIGINT NOT NULL,
    bucket_count BIGINT NOT NULL
);

CREATE INDEX projects_by_age ON projects (created_at DESC, id_key);

-- A key's secret is never stored, only its SHA-256 digest. `scopes` are words with spaces between them.
CREATE TABLE api_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project    TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    name       TEXT COLLATE "C" NOT NULL,
    scopes     TEXT COLLATE "C" NOT NULL,
    bucket     TEXT COLLATE "C",
    digest     BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX api_keys_by_project ON api_keys (project);

-- A position is never used twice. Whoever appends holds the lock of all that write, so positions grow from commit to commit.
CREATE TABLE events (
    position    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    event_type  TEXT COLLATE "C" NOT NULL,
    subject     TEXT COLLATE "C" NOT NULL,
    occurred_at BIGINT NOT NULL,
    request_id  TEXT COLLATE "C" NOT NULL,
    snapshot    BIGINT,
    data        TEXT COLLATE "C" NOT NULL
);

CREATE INDEX events_by_project ON events (project, position);

CREATE TABLE audit (
    entry      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    principal  TEXT COLLATE "C" NOT NULL,
    operation  TEXT COLLATE "C" NOT NULL,
    project    TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    resource   TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    snapshot   BIGINT
);

CREATE INDEX audit_by_project ON audit (project, entry);

-- The last commit of a project's lake that is in the index.
CREATE TABLE lake_applied (
    project  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES projects (id_key),
    snapshot BIGINT NOT NULL
);

-- Facts hold from `begin_snapshot` until before `end_snapshot`; without an end they hold now.
CREATE TABLE bucket_facts (
    project        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT COLLATE "C" NOT NULL,
    begin_snapshot BIGINT NOT NULL,
    end_snapshot   BIGINT,
    bucket         TEXT COLLATE "C" NOT NULL,
    description    TEXT COLLATE "C",
    PRIMARY KEY (project, bucket_key, begin_snapshot)
);

CREATE TABLE table_facts (
    project        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT COLLATE "C" NOT NULL,
    table_key      TEXT COLLATE "C" NOT NULL,
    begin_snapshot BIGINT NOT NULL,
    end_snapshot   BIGINT,
    bucket         TEXT COLLATE "C" NOT NULL,
    table_name     TEXT COLLATE "C" NOT NULL,
    columns        TEXT COLLATE "C" NOT NULL,
    primary_key    TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, begin_snapshot)
);

CREATE UNIQUE INDEX bucket_facts_now ON bucket_facts (project, bucket_key) WHERE end_snapshot IS NULL;
CREATE UNIQUE INDEX table_facts_now ON table_facts (project, bucket_key, table_key) WHERE end_snapshot IS NULL;
