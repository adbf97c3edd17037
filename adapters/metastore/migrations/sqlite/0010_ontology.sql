-- Versions of schemas that an ontology server had, and which tables follow which schema.

CREATE TABLE schema_versions (
    schema_id   TEXT NOT NULL,
    digest      TEXT NOT NULL,
    version     TEXT NOT NULL,
    document    TEXT NOT NULL,
    tag         TEXT,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (schema_id, digest)
) STRICT;
CREATE INDEX schema_versions_by_age ON schema_versions (schema_id, last_seen);

CREATE TABLE governed_tables (
    project     TEXT NOT NULL,
    bucket_key  TEXT NOT NULL,
    table_key   TEXT NOT NULL,
    bucket      TEXT NOT NULL,
    name        TEXT NOT NULL,
    schema_id   TEXT NOT NULL,
    version     TEXT NOT NULL,
    snapshot    INTEGER NOT NULL,
    applied_at  INTEGER NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key)
) STRICT;
