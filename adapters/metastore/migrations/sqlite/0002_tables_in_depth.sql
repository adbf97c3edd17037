-- The past of the lakes: reading it, naming it, and what was asked for and may be asked again.
--
-- What the first migration fixes holds here too. Besides:
--   * Idempotency keys and callers are compared as they are: their case matters.

-- What held in a snapshot holds now or ended later: it is found without going through all that ended before.
CREATE INDEX table_facts_by_end ON table_facts (project, end_snapshot);

-- Writes that were made under an idempotency key; part of the index of the commits. `key_id` is the API key used, empty
-- for the admin; `write_number` counts the writes of a commit from 0. Of several writes of the same key the
-- first one counts; a later one does when those before it are forgotten. `record` is what the commit says of the write.
CREATE TABLE keyed_writes (
    project         TEXT    NOT NULL REFERENCES projects (id_key),
    key_id          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    snapshot        INTEGER NOT NULL,
    write_number    INTEGER NOT NULL,
    committed_at    INTEGER NOT NULL,
    record          TEXT    NOT NULL,
    PRIMARY KEY (project, key_id, idempotency_key, snapshot, write_number)
) STRICT;

CREATE INDEX keyed_writes_by_age ON keyed_writes (committed_at);

-- Named snapshots. They are not part of the index: nothing else says what they say.
CREATE TABLE tags (
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    name_key    TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    snapshot    INTEGER NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    PRIMARY KEY (project, name_key)
) STRICT;

-- Requests that may be repeated. `instance` is the life of the process that carries one out. Until it is answered, `status`
-- and all after it are NULL; then none is. `headers` is a JSON list of pairs: name and value.
CREATE TABLE idempotency (
    caller          TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    instance        TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    status          INTEGER,
    fingerprint     TEXT,
    headers         TEXT,
    body            BLOB,
    PRIMARY KEY (caller, idempotency_key)
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Long work. Ids are UUIDs of version 7, so they sort by age. An operation that has ended has a `finished_at`, and no
-- other has. `outcome` is the result of one that succeeded, the problem of one that failed, NULL for all others.
CREATE TABLE operations (
    id          TEXT    NOT NULL PRIMARY KEY,
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    started_by  TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    state       TEXT    NOT NULL,
    outcome     TEXT,
    percent     REAL,
    rows_done   INTEGER NOT NULL,
    bytes_done  INTEGER NOT NULL
) STRICT;

CREATE INDEX operations_by_project ON operations (project, id);
CREATE INDEX operations_by_end ON operations (finished_at);
