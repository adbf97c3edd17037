-- The log of events forgets, and it is watched as it grows.
--
-- What the first migration fixes holds here too.

-- The last position of a project's that was forgotten.
CREATE TABLE events_forgotten (
    project  TEXT COLLATE "C" PRIMARY KEY REFERENCES projects (id_key),
    position BIGINT NOT NULL
);

-- What opens streams of events for a short time: only its SHA-256 digest is kept. `viewer` is a JSON document.
CREATE TABLE event_tokens (
    digest     BYTEA PRIMARY KEY,
    viewer     TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX event_tokens_by_end ON event_tokens (expires_at);

-- Who follows the changes of a table, and the last snapshot whose changes they have.
CREATE TABLE change_consumers (
    project    TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT COLLATE "C" NOT NULL,
    table_key  TEXT COLLATE "C" NOT NULL,
    name_key   TEXT COLLATE "C" NOT NULL,
    bucket     TEXT COLLATE "C" NOT NULL,
    table_name TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    snapshot   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    moved_at   BIGINT NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, name_key)
);
