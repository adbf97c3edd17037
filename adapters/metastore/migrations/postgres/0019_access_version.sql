-- Grows with each change of projects, keys, shares and links: while it stays the same, servers may remember what they read of these.
-- No row is a version, too.

CREATE TABLE access_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
