-- Events of lineage that are handed on to another server, in their order, and how far that is.

CREATE TABLE lineage_forward (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    project     TEXT NOT NULL REFERENCES projects (id_key),
    event       TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE INDEX lineage_forward_by_project ON lineage_forward (project, position);

-- One row. `dropped` counts what was refused there, or was the oldest of too many.
CREATE TABLE lineage_forwarding (
    id            INTEGER PRIMARY KEY,
    attempts      INTEGER NOT NULL,
    due_at        INTEGER,
    error         TEXT,
    dropped       INTEGER NOT NULL,
    claimed_until INTEGER
) STRICT;

INSERT INTO lineage_forwarding (id, attempts, dropped) VALUES (1, 0, 0);
