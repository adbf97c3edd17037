-- The servers that share the database, and whose work is whose.
--
-- What the first migration fixes holds here too.

-- A life of a server's process. It renews `last_seen` as long as it lives; there is no row when it ended in order.
CREATE TABLE instances (
    id         TEXT    NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT;

-- The life that carries an operation out. That of operations from before this is not known, and over.
ALTER TABLE operations ADD COLUMN instance TEXT NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
