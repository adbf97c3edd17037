-- Who reads whose buckets.
--
-- What the first migration fixes holds here too. A bucket is named by its folded name (`…_key`); beside it stands its
-- name as it is spelled.

CREATE TABLE shares (
    source     TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT    NOT NULL,
    bucket     TEXT    NOT NULL,
    target     TEXT    NOT NULL REFERENCES projects (id_key),
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    PRIMARY KEY (source, bucket_key, target)
) STRICT;

CREATE INDEX shares_by_target ON shares (target);

-- Buckets that every project may read.
CREATE TABLE read_grants (
    source     TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT    NOT NULL,
    bucket     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    PRIMARY KEY (source, bucket_key)
) STRICT;

-- `snapshot` is NULL where the newest is read. `unconditional` is 1 where no share or grant is needed.
CREATE TABLE links (
    project       TEXT    NOT NULL REFERENCES projects (id_key),
    name_key      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    source        TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key    TEXT    NOT NULL,
    bucket        TEXT    NOT NULL,
    snapshot      INTEGER,
    unconditional INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    created_by    TEXT    NOT NULL,
    PRIMARY KEY (project, name_key)
) STRICT;

CREATE INDEX links_by_source ON links (source, bucket_key);
