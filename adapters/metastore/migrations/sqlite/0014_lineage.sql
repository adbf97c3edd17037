-- Lineage: jobs, their runs, the datasets that these read and write, and which columns come from which.
--
-- What the first migration fixes holds here too. `id` is a digest of namespace and name: these may be long.

CREATE TABLE lineage_jobs (
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    id          TEXT    NOT NULL,
    namespace   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    description TEXT,
    metadata    TEXT,
    facets      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    latest_run  TEXT,
    PRIMARY KEY (project, id)
) STRICT;

CREATE INDEX lineage_jobs_by_name ON lineage_jobs (project, namespace, name);

CREATE TABLE lineage_runs (
    project    TEXT    NOT NULL REFERENCES projects (id_key),
    id         TEXT    NOT NULL,
    job        TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    parent     TEXT,
    metadata   TEXT,
    facets     TEXT    NOT NULL,
    snapshot   INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (project, id)
) STRICT;

CREATE INDEX lineage_runs_by_age ON lineage_runs (project, created_at, id);
CREATE INDEX lineage_runs_by_job ON lineage_runs (project, job, created_at, id);
CREATE INDEX lineage_runs_by_snapshot ON lineage_runs (project, snapshot);

CREATE TABLE lineage_datasets (
    project    TEXT    NOT NULL REFERENCES projects (id_key),
    id         TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    facets     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (project, id)
) STRICT;

CREATE INDEX lineage_datasets_by_name ON lineage_datasets (project, namespace, name);

-- `direction` is 0 for what is read and 1 for what is written.
CREATE TABLE lineage_uses (
    project   TEXT    NOT NULL REFERENCES projects (id_key),
    run       TEXT    NOT NULL,
    direction INTEGER NOT NULL,
    dataset   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (project, run, direction, dataset)
) STRICT;

CREATE TABLE lineage_edges (
    project   TEXT    NOT NULL REFERENCES projects (id_key),
    job       TEXT    NOT NULL,
    direction INTEGER NOT NULL,
    dataset   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (project, job, direction, dataset)
) STRICT;

CREATE INDEX lineage_edges_by_dataset ON lineage_edges (project, dataset, direction, job);

-- `to_field` is empty where it is so for all columns; `transformation` where it isn't told.
CREATE TABLE lineage_columns (
    project        TEXT    NOT NULL REFERENCES projects (id_key),
    to_dataset     TEXT    NOT NULL,
    job            TEXT    NOT NULL,
    to_field       TEXT    NOT NULL,
    from_dataset   TEXT    NOT NULL,
    from_field     TEXT    NOT NULL,
    influence      TEXT    NOT NULL,
    transformation TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (project, to_dataset, job, to_field, from_dataset, from_field, influence, transformation)
) STRICT;

CREATE INDEX lineage_columns_by_source ON lineage_columns (project, from_dataset);

-- Events on their way in. `reason` is set for those that can't be worked off.
CREATE TABLE lineage_queue (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    project     TEXT    NOT NULL REFERENCES projects (id_key),
    event       TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    is_dead     INTEGER NOT NULL,
    reason      TEXT
) STRICT;

CREATE INDEX lineage_queue_by_state ON lineage_queue (is_dead, position);
CREATE INDEX lineage_queue_by_project ON lineage_queue (project, is_dead, position);
