-- Addresses that are told of projects' events.
--
-- What the first migration fixes holds here too.

-- `types` are names with commas between them; NULL for all. The secret is kept as it is: deliveries are signed with it.
-- All up to `position` was told, passed over or given up; what is next is tried at `due_at`, by whoever has it until
-- `claimed_until`.
CREATE TABLE webhooks (
    id            TEXT PRIMARY KEY,
    project       TEXT NOT NULL REFERENCES projects (id_key),
    url           TEXT NOT NULL,
    types         TEXT,
    secret        BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    claimed_until INTEGER,
    error         TEXT
) STRICT;
CREATE INDEX webhooks_by_project ON webhooks (project, id);

-- Events that were given up. They go with their webhook, without a reference: tables are copied to another database one after the
-- other, those that refer to projects in any order.
CREATE TABLE webhook_dead_letters (
    webhook    TEXT NOT NULL,
    position   INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    subject    TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT NOT NULL,
    failed_at  INTEGER NOT NULL,
    PRIMARY KEY (webhook, position)
) STRICT;
