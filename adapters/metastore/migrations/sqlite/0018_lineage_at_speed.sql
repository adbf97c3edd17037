-- Jobs know how many runs they have: counting them anew costs more with each run.
--
-- What runs and jobs use is kept by its key alone, once instead of twice. Its project is known by the run and the job.

ALTER TABLE lineage_jobs ADD COLUMN total_runs INTEGER NOT NULL DEFAULT 0;

UPDATE lineage_jobs SET total_runs =
    (SELECT count(*) FROM lineage_runs r WHERE r.project = lineage_jobs.project AND r.job = lineage_jobs.id);

CREATE TABLE lineage_uses_by_key (
    project   TEXT    NOT NULL,
    run       TEXT    NOT NULL,
    direction INTEGER NOT NULL,
    dataset   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (project, run, direction, dataset)
) STRICT, WITHOUT ROWID;

INSERT INTO lineage_uses_by_key
    SELECT project, run, direction, dataset, at FROM lineage_uses ORDER BY project, run, direction, dataset;
DROP TABLE lineage_uses;
ALTER TABLE lineage_uses_by_key RENAME TO lineage_uses;

CREATE TABLE lineage_edges_by_key (
    project   TEXT    NOT NULL,
    job       TEXT    NOT NULL,
    direction INTEGER NOT NULL,
    dataset   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (project, job, direction, dataset)
) STRICT, WITHOUT ROWID;

INSERT INTO lineage_edges_by_key
    SELECT project, job, direction, dataset, at FROM lineage_edges ORDER BY project, job, direction, dataset;
DROP TABLE lineage_edges;
ALTER TABLE lineage_edges_by_key RENAME TO lineage_edges;
CREATE INDEX lineage_edges_by_dataset ON lineage_edges (project, dataset, direction, job);

-- Few runs make a snapshot: those of writes to Gadwall's own tables.
DROP INDEX lineage_runs_by_snapshot;
CREATE INDEX lineage_runs_by_snapshot ON lineage_runs (project, snapshot) WHERE snapshot IS NOT NULL;
