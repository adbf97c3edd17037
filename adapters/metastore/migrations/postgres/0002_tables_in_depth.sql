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
    project         TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    key_id          TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    snapshot        BIGINT NOT NULL,
    write_number    BIGINT NOT NULL,
    committed_at    BIGINT NOT NULL,
    record          TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project, key_id, idempotency_key, snapshot, write_number)
);

CREATE INDEX keyed_writes_by_age ON keyed_writes (committed_at);

-- Named snapshots. They are not part of the index: nothing else says what they say.
CREATE TABLE tags (
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    name_key    TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    snapshot    BIGINT NOT NULL,
    description TEXT COLLATE "C",
    created_at  BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project, name_key)
);

-- Requests that may be repeated. `instance` is the life of the process that carries one out. Until it is answered, `status`
-- and all after it are NULL; then none is. `headers` is a JSON list of pairs: name and value.
CREATE TABLE idempotency (
    caller          TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    instance        TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    status          BIGINT,
    fingerprint     TEXT COLLATE "C",
    headers         TEXT COLLATE "C",
    body            BYTEA,
    PRIMARY KEY (caller, idempotency_key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Long work. Ids are UUIDs of version 7, so they sort by age. An operation that has ended has a `finished_at`, and no
-- other has. `outcome` is the result of one that succeeded, the problem of one that failed, NULL for all others.
CREATE TABLE operations (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    kind        TEXT COLLATE "C" NOT NULL,
    subject     TEXT COLLATE "C" NOT NULL,
    started_by  TEXT COLLATE "C" NOT NULL,
    request_id  TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT,
    state       TEXT COLLATE "C" NOT NULL,
    outcome     TEXT COLLATE "C",
    percent     DOUBLE PRECISION,
    rows_done   BIGINT NOT NULL,
    bytes_done  BIGINT NOT NULL
);

CREATE INDEX operations_by_project ON operations (project, id);
CREATE INDEX operations_by_end ON operations (finished_at);
