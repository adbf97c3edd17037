-- Contracts of tables by the tables' present names, each version from `begin_snapshot` until before `end_snapshot`; without an end it is
-- in force. And what looks at them found, as JSON documents.

CREATE TABLE contracts (
    project        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT COLLATE "C" NOT NULL,
    table_key      TEXT COLLATE "C" NOT NULL,
    begin_snapshot BIGINT NOT NULL,
    end_snapshot   BIGINT,
    bucket         TEXT COLLATE "C" NOT NULL,
    table_name     TEXT COLLATE "C" NOT NULL,
    put_at         BIGINT NOT NULL,
    put_by         TEXT COLLATE "C",
    object         TEXT COLLATE "C" NOT NULL,
    document       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project, bucket_key, table_key, begin_snapshot)
);

CREATE TABLE contract_results (
    number         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project        TEXT COLLATE "C" NOT NULL REFERENCES projects (id_key),
    bucket_key     TEXT COLLATE "C" NOT NULL,
    table_key      TEXT COLLATE "C" NOT NULL,
    at             BIGINT NOT NULL,
    occasion       TEXT COLLATE "C" NOT NULL,
    contract       BIGINT NOT NULL,
    snapshot       BIGINT,
    request_id     TEXT COLLATE "C" NOT NULL,
    measures       TEXT COLLATE "C" NOT NULL,
    service_levels TEXT COLLATE "C" NOT NULL
);
CREATE INDEX contract_results_by_table ON contract_results (project, bucket_key, table_key, number);
