-- Versions of schemas that an ontology server had, and which tables follow which schema.

CREATE TABLE schema_versions (
    schema_id   TEXT COLLATE "C" NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    document    TEXT COLLATE "C" NOT NULL,
    tag         TEXT COLLATE "C",
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    PRIMARY KEY (schema_id, digest)
);
CREATE INDEX schema_versions_by_age ON schema_versions (schema_id, last_seen);

CREATE TABLE governed_tables (
    project     TEXT COLLATE "C" NOT NULL,
    bucket_key  TEXT COLLATE "C" NOT NULL,
    table_key   TEXT COLLATE "C" NOT NULL,
    bucket      TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    schema_id   TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    snapshot    BIGINT NOT NULL,
    applied_at  BIGINT NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key)
);
