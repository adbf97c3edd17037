-- The log of events forgets, and it is watched as it grows.
--
-- What the first migration fixes holds here too.

-- The last position of a project's that was forgotten.
CREATE TABLE events_forgotten (
    project  TEXT PRIMARY KEY REFERENCES projects (id_key),
    position INTEGER NOT NULL
) STRICT;

-- What opens streams of events for a short time: only its SHA-256 digest is kept. `viewer` is a JSON document.
CREATE TABLE event_tokens (
    digest     BLOB PRIMARY KEY,
    viewer     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX event_tokens_by_end ON event_tokens (expires_at);

-- Who follows the changes of a table, and the last snapshot whose changes they have.
CREATE TABLE change_consumers (
    project    TEXT NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT NOT NULL,
    table_key  TEXT NOT NULL,
    name_key   TEXT NOT NULL,
    bucket     TEXT NOT NULL,
    table_name TEXT NOT NULL,
    name       TEXT NOT NULL,
    snapshot   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    moved_at   INTEGER NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, name_key)
) STRICT;
