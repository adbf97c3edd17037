-- Grows with each change of projects, keys, shares and links: while it stays the same, servers may remember what they read of these.

CREATE TABLE access_version (
    only    BOOLEAN PRIMARY KEY DEFAULT true CHECK (only),
    version BIGINT  NOT NULL
);

INSERT INTO access_version (version) VALUES (0);
