-- What was refused is audited, too; and deleted projects can be brought back for a while.
--
-- What the first migration fixes holds here too.

-- `outcome` is `done` or `refused`; `code` is set for what was refused, and for nothing else. An entry stands for so many
-- `times`.
-- An entry may concern no project, so the table is made anew. It goes on counting where it was.
CREATE TABLE audit_entries (
    entry      INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    principal  TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    project    TEXT    REFERENCES projects (id_key),
    resource   TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    snapshot   INTEGER,
    address    TEXT,
    outcome    TEXT    NOT NULL,
    code       TEXT,
    times      INTEGER NOT NULL
) STRICT;

INSERT INTO audit_entries
SELECT entry, at, principal, operation, project, resource, request_id, snapshot, NULL, 'done', NULL, 1 FROM audit;
DROP TABLE audit;
ALTER TABLE audit_entries RENAME TO audit;

CREATE INDEX audit_by_project ON audit (project, entry);

UPDATE audit SET outcome = 'refused', code = 'unauthorized', address = resource, resource = '',
                 project = CASE principal WHEN 'unknown' THEN NULL ELSE project END
 WHERE operation = 'auth.refused';

CREATE INDEX audit_by_principal ON audit (principal, entry);
CREATE INDEX audit_by_age ON audit (outcome, at);

-- `deleted_at` and `purge_after` are set for deleted projects, and for no others; `purged_at` once their data is gone.
-- Whoever removes it has it to itself until `claimed_until`, which stays.
ALTER TABLE projects ADD COLUMN deletion_protection INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN deleted_at          INTEGER;
ALTER TABLE projects ADD COLUMN purge_after         INTEGER;
ALTER TABLE projects ADD COLUMN claimed_until       INTEGER;
ALTER TABLE projects ADD COLUMN purged_at           INTEGER;
ALTER TABLE projects ADD COLUMN freed_bytes         INTEGER NOT NULL DEFAULT 0;

-- Deletion took the data at once so far; what a crash may have left of it goes now.
UPDATE projects SET deleted_at = updated_at, purge_after = updated_at WHERE status = 'deleted';

CREATE INDEX projects_by_purge ON projects (status, purge_after);
