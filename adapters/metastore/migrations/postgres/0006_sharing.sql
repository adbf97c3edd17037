-- Who reads whose buckets.
--
-- What the first migration fixes holds here too. A bucket is named by its folded name (`…_key`); beside it stands its
-- name as it is spelled.

CREATE TABLE shares (
    source     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT COLLATE "C" NOT NULL,
    bucket     TEXT COLLATE "C" NOT NULL,
    target     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, bucket_key, target)
);

CREATE INDEX shares_by_target ON shares (target);

-- Buckets that every project may read.
CREATE TABLE read_grants (
    source     TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key TEXT COLLATE "C" NOT NULL,
    bucket     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, bucket_key)
);

-- `snapshot` is NULL where the newest is read. `unconditional` is 1 where no share or grant is needed.
CREATE TABLE links (
    project       TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    name_key      TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    source        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key    TEXT COLLATE "C" NOT NULL,
    bucket        TEXT COLLATE "C" NOT NULL,
    snapshot      BIGINT,
    unconditional BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    created_by    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project, name_key)
);

CREATE INDEX links_by_source ON links (source, bucket_key);
