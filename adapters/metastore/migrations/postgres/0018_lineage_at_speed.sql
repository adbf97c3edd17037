-- Jobs know how many runs they have: counting them anew costs more with each run.
--
-- What runs and jobs use isn't asked for its project one by one. It is known by the run and the job.

ALTER TABLE lineage_jobs ADD COLUMN total_runs BIGINT NOT NULL DEFAULT 0;

UPDATE lineage_jobs SET total_runs =
    (SELECT count(*) FROM lineage_runs r WHERE r.project = lineage_jobs.project AND r.job = lineage_jobs.id);

ALTER TABLE lineage_uses DROP CONSTRAINT lineage_uses_project_fkey;
ALTER TABLE lineage_edges DROP CONSTRAINT lineage_edges_project_fkey;

-- Few runs make a snapshot: those of writes to Gadwall's own tables.
DROP INDEX lineage_runs_by_snapshot;
CREATE INDEX lineage_runs_by_snapshot ON lineage_runs (project, snapshot) WHERE snapshot IS NOT NULL;
