-- The servers that share the database, and whose work is whose.
--
-- What the first migration fixes holds here too.

-- A life of a server's process. It renews `last_seen` as long as it lives; there is no row when it ended in order.
CREATE TABLE instances (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);

-- The life that carries an operation out. That of operations from before this is not known, and over.
ALTER TABLE operations ADD COLUMN instance TEXT COLLATE "C" NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
