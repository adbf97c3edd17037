-- Events of lineage that are handed on to another server, in their order, and how far that is.

CREATE TABLE lineage_forward (
    position    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    event       TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE INDEX lineage_forward_by_project ON lineage_forward (project, position);

-- One row. `dropped` counts what was refused there, or was the oldest of too many.
CREATE TABLE lineage_forwarding (
    id            BIGINT PRIMARY KEY,
    attempts      BIGINT NOT NULL,
    due_at        BIGINT,
    error         TEXT COLLATE "C",
    dropped       BIGINT NOT NULL,
    claimed_until BIGINT
);

INSERT INTO lineage_forwarding (id, attempts, dropped) VALUES (1, 0, 0);
