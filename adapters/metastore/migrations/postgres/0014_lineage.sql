-- Lineage: jobs, their runs, the datasets that these read and write, and which columns come from which.
--
-- What the first migration fixes holds here too. `id` is a digest of namespace and name: these may be long.

CREATE TABLE lineage_jobs (
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    id          TEXT COLLATE "C" NOT NULL,
    namespace   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    metadata    TEXT COLLATE "C",
    facets      TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    latest_run  TEXT COLLATE "C",
    PRIMARY KEY (project, id)
);

CREATE INDEX lineage_jobs_by_name ON lineage_jobs (project, namespace, name);

CREATE TABLE lineage_runs (
    project    TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    id         TEXT COLLATE "C" NOT NULL,
    job        TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT,
    parent     TEXT COLLATE "C",
    metadata   TEXT COLLATE "C",
    facets     TEXT COLLATE "C" NOT NULL,
    snapshot   BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project, id)
);

CREATE INDEX lineage_runs_by_age ON lineage_runs (project, created_at, id);
CREATE INDEX lineage_runs_by_job ON lineage_runs (project, job, created_at, id);
CREATE INDEX lineage_runs_by_snapshot ON lineage_runs (project, snapshot);

CREATE TABLE lineage_datasets (
    project    TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    id         TEXT COLLATE "C" NOT NULL,
    namespace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    facets     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project, id)
);

CREATE INDEX lineage_datasets_by_name ON lineage_datasets (project, namespace, name);

-- `direction` is 0 for what is read and 1 for what is written.
CREATE TABLE lineage_uses (
    project   TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    run       TEXT COLLATE "C" NOT NULL,
    direction BIGINT NOT NULL,
    dataset   TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (project, run, direction, dataset)
);

CREATE TABLE lineage_edges (
    project   TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    job       TEXT COLLATE "C" NOT NULL,
    direction BIGINT NOT NULL,
    dataset   TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (project, job, direction, dataset)
);

CREATE INDEX lineage_edges_by_dataset ON lineage_edges (project, dataset, direction, job);

-- `to_field` is empty where it is so for all columns; `transformation` where it isn't told.
CREATE TABLE lineage_columns (
    project        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    to_dataset     TEXT COLLATE "C" NOT NULL,
    job            TEXT COLLATE "C" NOT NULL,
    to_field       TEXT COLLATE "C" NOT NULL,
    from_dataset   TEXT COLLATE "C" NOT NULL,
    from_field     TEXT COLLATE "C" NOT NULL,
    influence      TEXT COLLATE "C" NOT NULL,
    transformation TEXT COLLATE "C" NOT NULL,
    at             BIGINT NOT NULL,
    PRIMARY KEY (project, to_dataset, job, to_field, from_dataset, from_field, influence, transformation)
);

CREATE INDEX lineage_columns_by_source ON lineage_columns (project, from_dataset);

-- Events on their way in. `reason` is set for those that can't be worked off.
CREATE TABLE lineage_queue (
    position    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    event       TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    is_dead     BIGINT NOT NULL,
    reason      TEXT COLLATE "C"
);

CREATE INDEX lineage_queue_by_state ON lineage_queue (is_dead, position);
CREATE INDEX lineage_queue_by_project ON lineage_queue (project, is_dead, position);
