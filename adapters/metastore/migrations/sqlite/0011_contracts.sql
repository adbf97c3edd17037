-- Contracts of tables by the tables' present names, each version from `begin_snapshot` until before `end_snapshot`; without an end it is
-- in force. And what looks at them found, as JSON documents.

CREATE TABLE contracts (
    project        TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT    NOT NULL,
    table_key      TEXT    NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER,
    bucket         TEXT    NOT NULL,
    table_name     TEXT    NOT NULL,
    put_at         INTEGER NOT NULL,
    put_by         TEXT,
    object         TEXT    NOT NULL,
    document       TEXT    NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, begin_snapshot)
) STRICT;

CREATE TABLE contract_results (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    project        TEXT    NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT    NOT NULL,
    table_key      TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    occasion       TEXT    NOT NULL,
    contract       INTEGER NOT NULL,
    snapshot       INTEGER,
    request_id     TEXT    NOT NULL,
    measures       TEXT    NOT NULL,
    service_levels TEXT    NOT NULL
) STRICT;
CREATE INDEX contract_results_by_table ON contract_results (project, bucket_key, table_key, number);
