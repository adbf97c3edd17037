-- Who reads buckets of other projects.
--
-- What the first migration fixes holds here too.

-- `table_name` is as the owner spells it. Reads outlive the share that allowed them, and go with the bucket or either project.
CREATE TABLE readerships (
    source       TEXT NOT NULL REFERENCES projects (id_key),
    bucket_key   TEXT NOT NULL,
    bucket       TEXT NOT NULL,
    table_key    TEXT NOT NULL,
    table_name   TEXT NOT NULL,
    reader       TEXT NOT NULL REFERENCES projects (id_key),
    reads        INTEGER NOT NULL,
    last_read_at INTEGER NOT NULL,
    PRIMARY KEY (source, bucket_key, table_key, reader)
) STRICT;
