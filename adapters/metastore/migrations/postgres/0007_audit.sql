-- What was refused is audited, too; and deleted projects can be brought back for a while.
--
-- What the first migration fixes holds here too.

-- `outcome` is `done` or `refused`; `code` is set for what was refused, and for nothing else. An entry stands for so many
-- `times`.
ALTER TABLE audit ALTER COLUMN project DROP NOT NULL;
ALTER TABLE audit ADD COLUMN address TEXT COLLATE "C";
ALTER TABLE audit ADD COLUMN outcome TEXT COLLATE "C" NOT NULL DEFAULT 'done';
ALTER TABLE audit ADD COLUMN code    TEXT COLLATE "C";
ALTER TABLE audit ADD COLUMN times   BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit ALTER COLUMN outcome DROP DEFAULT;
ALTER TABLE audit ALTER COLUMN times DROP DEFAULT;

UPDATE audit SET outcome = 'refused', code = 'unauthorized', address = resource, resource = '',
                 project = CASE principal WHEN 'unknown' THEN NULL ELSE project END
 WHERE operation = 'auth.refused';

CREATE INDEX audit_by_principal ON audit (principal, entry);
CREATE INDEX audit_by_age ON audit (outcome, at);

-- `deleted_at` and `purge_after` are set for deleted projects, and for no others; `purged_at` once their data is gone.
-- Whoever removes it has it to itself until `claimed_until`, which stays.
ALTER TABLE projects ADD COLUMN deletion_protection BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN deleted_at          BIGINT;
ALTER TABLE projects ADD COLUMN purge_after         BIGINT;
ALTER TABLE projects ADD COLUMN claimed_until       BIGINT;
ALTER TABLE projects ADD COLUMN purged_at           BIGINT;
ALTER TABLE projects ADD COLUMN freed_bytes         BIGINT NOT NULL DEFAULT 0;

-- Deletion took the data at once so far; what a crash may have left of it goes now.
UPDATE projects SET deleted_at = updated_at, purge_after = updated_at WHERE status = 'deleted';

CREATE INDEX projects_by_purge ON projects (status, purge_after);
