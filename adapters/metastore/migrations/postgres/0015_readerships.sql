-- Who reads buckets of other projects.
--
-- What the first migration fixes holds here too.

-- `table_name` is as the owner spells it. Reads outlive the share that allowed them, and go with the bucket or either project.
CREATE TABLE readerships (
    source       TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key   TEXT COLLATE "C" NOT NULL,
    bucket       TEXT COLLATE "C" NOT NULL,
    table_key    TEXT COLLATE "C" NOT NULL,
    table_name   TEXT COLLATE "C" NOT NULL,
    reader       TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    reads        BIGINT NOT NULL,
    last_read_at BIGINT NOT NULL,
    PRIMARY KEY (source, bucket_key, table_key, reader)
);
