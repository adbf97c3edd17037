-- Addresses that are told of projects' events.
--
-- What the first migration fixes holds here too.

-- `types` are names with commas between them; NULL for all. The secret is kept as it is: deliveries are signed with it.
-- All up to `position` was told, passed over or given up; what is next is tried at `due_at`, by whoever has it until
-- `claimed_until`.
CREATE TABLE webhooks (
    id            TEXT COLLATE "C" PRIMARY KEY,
    project       TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    url           TEXT COLLATE "C" NOT NULL,
    types         TEXT COLLATE "C",
    secret        BYTEA NOT NULL,
    created_at    BIGINT NOT NULL,
    position      BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    claimed_until BIGINT,
    error         TEXT COLLATE "C"
);
CREATE INDEX webhooks_by_project ON webhooks (project, id);

-- Events that were given up. They go with their webhook, without a reference: tables are copied to another database one after the
-- other, those that refer to projects in any order.
CREATE TABLE webhook_dead_letters (
    webhook    TEXT COLLATE "C" NOT NULL,
    position   BIGINT NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    attempts   BIGINT NOT NULL,
    error      TEXT COLLATE "C" NOT NULL,
    failed_at  BIGINT NOT NULL,
    PRIMARY KEY (webhook, position)
);
