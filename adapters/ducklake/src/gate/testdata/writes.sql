-- Honest statements that write. Below each stands what the gate reads out of it: `--= …`, names in [], parts in <>.
--
-- A statement starts at the margin; lines that go on are indented. `-- only: gate` starts statements that DuckDB's own
-- parser doesn't take; `-- only: all` ends them.

-- INSERT
INSERT INTO t VALUES (1, 'a'), (2, 'b')
--= insert [t] rows<VALUES (1, 'a'), (2, 'b')>
insert into sales.t (a, B, "c d") select x, y, z from u
--= insert [sales].[t] columns(a|B|c d) rows<select x, y, z from u>
Insert Into lake.sales.t By Name Select 1 As a
--= insert [lake].[sales].[t] by name rows<Select 1 As a>
INSERT INTO t BY POSITION FROM u
--= insert [t] rows<FROM u>
INSERT INTO t DEFAULT VALUES
--= insert [t]
INSERT INTO t AS old (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET n = old.n + excluded.n WHERE old.n < 5;
--= insert [t] alias[old] columns(a) rows<VALUES (1)> update key(a) n=<old.n + excluded.n> where<old.n < 5>
INSERT OR REPLACE INTO t VALUES (1)
--= insert [t] rows<VALUES (1)> replace
INSERT OR IGNORE INTO t TABLE u
--= insert [t] rows<TABLE u> ignore
INSERT INTO t SELECT * FROM u ON CONFLICT DO NOTHING
--= insert [t] rows<SELECT * FROM u> ignore
INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a, "b") DO NOTHING
--= insert [t] columns(a|b) rows<VALUES (1, 2)> ignore key(a|b)
INSERT INTO t VALUES (1, 2) ON CONFLICT DO UPDATE SET a = 1, b = CASE WHEN a IS DISTINCT FROM 2 THEN 1 ELSE 2 END,
--= insert [t] rows<VALUES (1, 2)> update a=<1> b=<CASE WHEN a IS DISTINCT FROM 2 THEN 1 ELSE 2 END>
INSERT INTO t (SELECT 1)
--= insert [t] rows<(SELECT 1)>
INSERT INTO t (VALUES (1, 2))
--= insert [t] rows<(VALUES (1, 2))>
INSERT INTO t (values) SELECT 1
--= insert [t] columns(values) rows<SELECT 1>
INSERT INTO t (a) (SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3
--= insert [t] columns(a) rows<(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3>
INSERT INTO t SELECT a.* FROM a JOIN b ON a.x = b.x ON CONFLICT DO NOTHING
--= insert [t] rows<SELECT a.* FROM a JOIN b ON a.x = b.x> ignore
INSERT INTO t SELECT * FROM a JOIN b ON conflict
--= insert [t] rows<SELECT * FROM a JOIN b ON conflict>
INSERT INTO t SELECT 1 AS on ON CONFLICT DO NOTHING
--= insert [t] rows<SELECT 1 AS on> ignore
INSERT INTO t SELECT 1 AS do
--= insert [t] rows<SELECT 1 AS do>
INSERT INTO t SELECT u.do, u.returning FROM u
--= insert [t] rows<SELECT u.do, u.returning FROM u>
INSERT INTO t SELECT 'ON CONFLICT DO NOTHING', $$ RETURNING $$ -- DO NOTHING
--= insert [t] rows<SELECT 'ON CONFLICT DO NOTHING', $$ RETURNING $$>
WITH x AS (SELECT 1 AS a), y (b) AS MATERIALIZED (FROM x) INSERT INTO t SELECT * FROM x, y
--= insert [t] rows<WITH x AS (SELECT 1 AS a), y (b) AS MATERIALIZED (FROM x) SELECT * FROM x, y>
WITH RECURSIVE x(n) AS NOT MATERIALIZED (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 9) INSERT INTO t FROM x
--= insert [t] rows<WITH RECURSIVE x(n) AS NOT MATERIALIZED (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 9) FROM x>
WITH RECURSIVE x(n) USING KEY (n) AS (SELECT 1 UNION SELECT 2 FROM x) INSERT INTO t FROM x
--= insert [t] rows<WITH RECURSIVE x(n) USING KEY (n) AS (SELECT 1 UNION SELECT 2 FROM x) FROM x>
WITH x AS (SELECT 1) INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING
--= insert [t] rows<WITH x AS (SELECT 1) VALUES (2)> ignore
INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x
--= insert [t] rows<WITH x AS (SELECT 1) SELECT * FROM x>
INSERT INTO t VALUES (?, ?), (?, 'a?') ON CONFLICT (a) DO UPDATE SET b = ? WHERE t.c > ?AND?
--= insert [t] rows<VALUES ($1, $2), ($3, 'a?')> update key(a) b=<$4> where<t.c > $5 AND $6>
INSERT INTO t VALUES ($a, $b) ON CONFLICT DO UPDATE SET v = v + excluded.v + $c
--= insert [t] rows<VALUES ($a, $b)> update v=<v + excluded.v + $c>
DELETE FROM t WHERE a IN ? AND b = ANY(?)
--= delete [t] where<a IN $1 AND b = ANY($2)>
INSERT INTO t VALUES ($2, $1)
--= insert [t] rows<VALUES ($2, $1)>
INSERT INTO t VALUES ($a, $from)
--= insert [t] rows<VALUES ($a, $from)>
INSERT INTO "select"."from" ("where") VALUES (1)
--= insert [select].[from] columns(where) rows<VALUES (1)>
INSERT INTO a.table SELECT 1
--= insert [a].[table] rows<SELECT 1>
INSERT INTO t SELECT list_transform([1, 2], x -> x + 1), {'a': 1}, MAP {'k': [2]}
--= insert [t] rows<SELECT list_transform([1, 2], x -> x + 1), {'a': 1}, MAP {'k': [2]}>
INSERT INTO t PIVOT u ON a IN (1, 2) USING sum(b)
--= insert [t] rows<PIVOT u ON a IN (1, 2) USING sum(b)>
INSERT/* x */INTO/**/t(a)VALUES(1)
--= insert [t] columns(a) rows<VALUES(1)>
INSERT INTO t -- to /* the
  (a) -- column
  SELECT /* FROM v */ a -- of
  FROM u
--= insert [t] columns(a) rows<SELECT /* FROM v */ a -- of\n  FROM u>

-- UPDATE
UPDATE t SET a = 1
--= update [t] a=<1>
update sales."T" as x set a = x.a + 1, "b c" = 'it''s', where a = 1
--= update [sales].[T] alias[x] a=<x.a + 1> b c=<'it''s'> where<a = 1>
UPDATE t x SET a=-1
--= update [t] alias[x] a=<-1>
UPDATE t AS set SET a = 1
--= update [t] alias[set] a=<1>
UPDATE t SET a = u.b FROM u WHERE t.id = u.id
--= update [t] a=<u.b> from<u> where<t.id = u.id>
UPDATE t SET a = u.from FROM u WHERE t.where = u.id
--= update [t] a=<u.from> from<u> where<t.where = u.id>
UPDATE t SET a = b IS NOT DISTINCT FROM c, d = e IS DISTINCT FROM 2 FROM u
--= update [t] a=<b IS NOT DISTINCT FROM c> d=<e IS DISTINCT FROM 2> from<u>
UPDATE t SET a = extract(year FROM d), b = substring(s FROM 2 FOR 3), c = trim(BOTH ' ' FROM s) WHERE d IS NOT NULL
--= update [t] a=<extract(year FROM d)> b=<substring(s FROM 2 FOR 3)> c=<trim(BOTH ' ' FROM s)> where<d IS NOT NULL>
UPDATE t SET a = (SELECT max(b) FROM u WHERE u.id = t.id), b = [x FOR x IN [1, 2] IF x > 1]
--= update [t] a=<(SELECT max(b) FROM u WHERE u.id = t.id)> b=<[x FOR x IN [1, 2] IF x > 1]>
UPDATE t SET a = CASE WHEN b = 1 THEN 'x' WHEN b BETWEEN 2 AND 3 THEN CASE c WHEN 1 THEN 'y' END ELSE 'z' END WHERE TRUE
--= update [t] a=<CASE WHEN b = 1 THEN 'x' WHEN b BETWEEN 2 AND 3 THEN CASE c WHEN 1 THEN 'y' END ELSE 'z' END> where<TRUE>
UPDATE t SET a = u.a FROM u JOIN v ON u.x = v.x AND u.y IS DISTINCT FROM v.y, LATERAL (SELECT 1) w WHERE t.id = u.id
--= update [t] a=<u.a> from<u JOIN v ON u.x = v.x AND u.y IS DISTINCT FROM v.y, LATERAL (SELECT 1) w> where<t.id = u.id>
UPDATE t SET a = u.a FROM u LEFT JOIN v USING (x), WHERE u.id = 1
--= update [t] a=<u.a> from<u LEFT JOIN v USING (x)> where<u.id = 1>
UPDATE t SET a = u.a FROM (VALUES (1, 2)) AS u(id, a) WHERE u.id = t.id
--= update [t] a=<u.a> from<(VALUES (1, 2)) AS u(id, a)> where<u.id = t.id>
UPDATE t SET a = 1 FROM generate_series(1, 3) AS g(i) WHERE i = t.a
--= update [t] a=<1> from<generate_series(1, 3) AS g(i)> where<i = t.a>
UPDATE t SET a = now()::TIMESTAMP WITH TIME ZONE AT TIME ZONE 'UTC', b = INTERVAL '1' DAY
--= update [t] a=<now()::TIMESTAMP WITH TIME ZONE AT TIME ZONE 'UTC'> b=<INTERVAL '1' DAY>
UPDATE t SET a = quantile_cont(0.5) WITHIN GROUP (ORDER BY x) FILTER (WHERE x > 1) OVER (PARTITION BY y) FROM u
--= update [t] a=<quantile_cont(0.5) WITHIN GROUP (ORDER BY x) FILTER (WHERE x > 1) OVER (PARTITION BY y)> from<u>
UPDATE t SET a = x IN (1, 2) AND y NOT LIKE 'a%' ESCAPE '\' OR z SIMILAR TO 'b' COLLATE nocase
--= update [t] a=<x IN (1, 2) AND y NOT LIKE 'a%' ESCAPE '\' OR z SIMILAR TO 'b' COLLATE nocase>
UPDATE t SET a = NOT EXISTS (FROM u), b = 1 = ANY (SELECT 2), c = array_agg(DISTINCT x ORDER BY y DESC)
--= update [t] a=<NOT EXISTS (FROM u)> b=<1 = ANY (SELECT 2)> c=<array_agg(DISTINCT x ORDER BY y DESC)>
UPDATE t SET a = s.b.c, d = l[1:2], e = j->>'$.x', f = -g ** 2 // 3
--= update [t] a=<s.b.c> d=<l[1:2]> e=<j->>'$.x'> f=<-g ** 2 // 3>
UPDATE t SET a = ?, b = ? WHERE c = ?
--= update [t] a=<$1> b=<$2> where<c = $3>
UPDATE t SET set = 1, value = 2, type = 3, values = 4, key = 5 WHERE update = 1
--= update [t] set=<1> value=<2> type=<3> values=<4> key=<5> where<update = 1>
WITH x AS (SELECT ? AS a) UPDATE t SET a = x.a FROM x WHERE b = ?
--= update [t] with<WITH x AS (SELECT $1 AS a)> a=<x.a> from<x> where<b = $2>
UPDATE t SET a= @b, c=b*/**/2 WHERE/**/x--
--= update [t] a=<@b> c=<b*/**/2> where<x>
UPDATE t SET a = $$SET b = 2$$, c = e'\' WHERE' WHERE d = $tag$ $$ FROM $tag$
--= update [t] a=<$$SET b = 2$$> c=<e'\' WHERE'> where<d = $tag$ $$ FROM $tag$>
UPDATE t SET a = U & 1
--= update [t] a=<U & 1>
UPDATE t SET a = b WHERE c = 'ü' AND ü = 1
--= update [t] a=<b> where<c = 'ü' AND ü = 1>

-- DELETE and TRUNCATE
DELETE FROM t
--= delete [t]
DELETE FROM sales.t WHERE a = 1 AND b IN (SELECT c FROM u)
--= delete [sales].[t] where<a = 1 AND b IN (SELECT c FROM u)>
DELETE FROM t AS x USING u, v WHERE x.a = u.a
--= delete [t] alias[x] using<u, v> where<x.a = u.a>
DELETE FROM t x WHERE x.a IS DISTINCT FROM 1
--= delete [t] alias[x] where<x.a IS DISTINCT FROM 1>
DELETE FROM t USING (SELECT 1 AS a) s WHERE s.a = t.a
--= delete [t] using<(SELECT 1 AS a) s> where<s.a = t.a>
DELETE FROM t USING u JOIN v ON u.a = v.a, WHERE t.a = v.a
--= delete [t] using<u JOIN v ON u.a = v.a> where<t.a = v.a>
WITH old AS (SELECT id FROM t WHERE since < ?) DELETE FROM t USING old WHERE old.id = t.id AND n > ?
--= delete [t] with<WITH old AS (SELECT id FROM t WHERE since < $1)> using<old> where<old.id = t.id AND n > $2>
DELETE FROM t WHERE t.where = t.using OR rowid = 4
--= delete [t] where<t.where = t.using OR rowid = 4>
DELETE FROM t WHERE CASE WHEN a THEN b ELSE c END
--= delete [t] where<CASE WHEN a THEN b ELSE c END>
TRUNCATE t
--= truncate [t]
truncate table sales.t
--= truncate [sales].[t]

-- MERGE
MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = u.a WHEN NOT MATCHED THEN INSERT (id, a) VALUES (u.id, u.a)
--= merge [t] source<u> on<t.id = u.id> Matched: update a=<u.a>; NotMatched: insert (id|a) <u.id> <u.a>;
MERGE INTO sales.t AS x USING (SELECT 1 AS id) AS y ON (x.id = y.id) WHEN MATCHED THEN DELETE
--= merge [sales].[t] alias[x] source<(SELECT 1 AS id) AS y> on<(x.id = y.id)> Matched: delete;
MERGE INTO t x USING u y USING (id, "k") WHEN MATCHED AND y.gone THEN DELETE WHEN MATCHED THEN UPDATE SET a = y.a, b = 2,
  WHEN NOT MATCHED BY TARGET AND y.a BETWEEN 1 AND 2 THEN INSERT VALUES (y.id, y.a,) WHEN NOT MATCHED THEN DO NOTHING
--= merge [t] alias[x] source<u y> using(id|k) Matched and<y.gone>: delete; Matched: update a=<y.a> b=<2>; NotMatched and<y.a BETWEEN 1 AND 2>: insert <y.id> <y.a>; NotMatched: donothing;
MERGE INTO t USING u ON CASE WHEN t.a THEN t.b ELSE t.c END = u.d WHEN MATCHED AND CASE u.x WHEN 1 THEN TRUE END THEN UPDATE SET a = CASE WHEN 1 = 1 THEN 2 END WHEN NOT MATCHED THEN INSERT *
--= merge [t] source<u> on<CASE WHEN t.a THEN t.b ELSE t.c END = u.d> Matched and<CASE u.x WHEN 1 THEN TRUE END>: update a=<CASE WHEN 1 = 1 THEN 2 END>; NotMatched: insert;
MERGE INTO t USING u ON t.id IS NOT DISTINCT FROM u.id WHEN NOT MATCHED BY SOURCE AND t.a > 1 THEN DELETE
--= merge [t] source<u> on<t.id IS NOT DISTINCT FROM u.id> NotMatchedBySource and<t.a > 1>: delete;
MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME
--= merge [t] source<u> on<t.id = u.id> Matched: update; NotMatched: insert by name;
MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN ERROR WHEN NOT MATCHED THEN INSERT BY POSITION
--= merge [t] source<u> on<t.id = u.id> Matched: error; NotMatched: insert;
MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED THEN INSERT
--= merge [t] source<u> on<t.id = u.id> NotMatched: insert;
WITH u AS (SELECT ? AS id) MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND t.a = ? THEN UPDATE SET a = ? WHEN NOT MATCHED AND u.id > ? THEN INSERT (id) VALUES (?)
--= merge [t] with<WITH u AS (SELECT $1 AS id)> source<u> on<t.id = u.id> Matched and<t.a = $2>: update a=<$3>; NotMatched and<u.id > $4>: insert (id) <$5>;
MERGE INTO t USING (VALUES (1, 'a'), (2, 'b')) AS s(id, a) ON s.id = t.id WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, lower(s.a) || 'x')
--= merge [t] source<(VALUES (1, 'a'), (2, 'b')) AS s(id, a)> on<s.id = t.id> NotMatched: insert (id|a) <s.id> <lower(s.a) || 'x'>;
MERGE INTO t USING range(3) AS r(n) ON r.n = t.when WHEN MATCHED THEN DO NOTHING
--= merge [t] source<range(3) AS r(n)> on<r.n = t.when> Matched: donothing;

-- CREATE
CREATE TABLE t (a INT)
--= create table [t] {a: INT}
create or replace table sales.t (a integer not null, b varchar(20) default 'it''s', primary key (a),)
--= create table [sales].[t] or replace {a: integer not null} {b: varchar(20) default 'it''s'} key(a)
CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, n DECIMAL(10, 2) DEFAULT -1.5 NOT NULL, f BOOLEAN NULL DEFAULT true)
--= create table [t] if not exists {id: BIGINT} {n: DECIMAL(10, 2) not null default -1.5} {f: BOOLEAN default TRUE} key(id)
CREATE TEMP TABLE t (a TIMESTAMP WITH TIME ZONE, b INT[], c INT[3][], d STRUCT(x INT, "y z" VARCHAR[]), e MAP(VARCHAR, INT))
--= create table [t] temp {a: TIMESTAMP WITH TIME ZONE} {b: INT[]} {c: INT[3][]} {d: STRUCT(x INT, "y z" VARCHAR[])} {e: MAP(VARCHAR, INT)}
CREATE OR REPLACE TEMPORARY TABLE t (a UNION(n INT, s VARCHAR), b ENUM('x', 'y, z'), c DOUBLE PRECISION, d INT ARRAY[3])
--= create table [t] temp or replace {a: UNION(n INT, s VARCHAR)} {b: ENUM('x', 'y, z')} {c: DOUBLE PRECISION} {d: INT ARRAY[3]}
CREATE TABLE t (a INT, b INT, CONSTRAINT pk PRIMARY KEY (a, "b"))
--= create table [t] {a: INT} {b: INT} key(a|b)
CREATE TABLE t (a INT, CONSTRAINT "p k" PRIMARY KEY (a)) PARTITIONED BY (year(a), "b", bucket(16, c)) SORTED BY (a, d)
--= create table [t] {a: INT} key(a) partitioned(year(a)|"b"|bucket(16, c)) sorted(a|d)
CREATE TABLE t (a DATE /* day */ , -- and
  b CHARACTER VARYING ( 10 ) DEFAULT e'x\'y', c VARCHAR DEFAULT $$q'$$, d INT DEFAULT NULL, e INT DEFAULT + 7)
--= create table [t] {a: DATE} {b: CHARACTER VARYING ( 10 ) default 'x''y'} {c: VARCHAR default 'q'''} {d: INT default NULL} {e: INT default 7}
CREATE TABLE t (year INT, date DATE, timestamp TIMESTAMP, interval INTERVAL, values INT, type VARCHAR, key INT, "primary" INT)
--= create table [t] {year: INT} {date: DATE} {timestamp: TIMESTAMP} {interval: INTERVAL} {values: INT} {type: VARCHAR} {key: INT} {primary: INT}
CREATE TABLE t AS SELECT 1 AS a
--= create table [t] as<SELECT 1 AS a>
CREATE OR REPLACE TABLE t (a, "b c") AS FROM u WITH NO DATA
--= create table [t] or replace {a: } {b c: } as<FROM u> no data
CREATE TEMP TABLE IF NOT EXISTS t AS (SELECT * FROM u) WITH DATA
--= create table [t] temp if not exists as<(SELECT * FROM u)>
CREATE TABLE t AS VALUES (?, 2)
--= create table [t] as<VALUES ($1, 2)>
CREATE TABLE t SORTED BY (a) PARTITIONED BY (b) AS WITH x AS (SELECT 1) SELECT * FROM x
--= create table [t] partitioned(b) sorted(a) as<WITH x AS (SELECT 1) SELECT * FROM x>
CREATE TABLE t AS TABLE u
--= create table [t] as<TABLE u>
CREATE TABLE t AS SELECT a AS with FROM u
--= create table [t] as<SELECT a AS with FROM u>
CREATE VIEW v AS SELECT 1
--= create view [v] as<SELECT 1>
CREATE OR REPLACE VIEW sales.v (a, "b") AS FROM t WHERE a = 1
--= create view [sales].[v] or replace columns(a|b) as<FROM t WHERE a = 1>
CREATE VIEW IF NOT EXISTS v AS WITH x AS (SELECT 1) FROM x
--= create view [v] if not exists as<WITH x AS (SELECT 1) FROM x>
CREATE SCHEMA sales
--= create bucket [sales]
CREATE SCHEMA IF NOT EXISTS "Sales 2"
--= create bucket [Sales 2] or ignore

-- DROP
DROP TABLE t
--= drop table [t]
DROP TABLE IF EXISTS lake.sales.t CASCADE
--= drop table [lake].[sales].[t] if exists
DROP TABLE t RESTRICT
--= drop table [t]
DROP VIEW v
--= drop view [v]
DROP VIEW IF EXISTS sales.v
--= drop view [sales].[v] if exists
DROP SCHEMA sales
--= drop bucket [sales]
DROP SCHEMA IF EXISTS sales CASCADE
--= drop bucket [sales] if exists cascade

-- ALTER
ALTER TABLE t ADD COLUMN a INT
--= alter [t] AddColumn {a: INT}
ALTER TABLE IF EXISTS sales.t ADD COLUMN IF NOT EXISTS b VARCHAR DEFAULT 'x'
--= alter [sales].[t] if exists AddColumn if not exists {b: VARCHAR default 'x'}
ALTER TABLE t ADD "c d" STRUCT(a INT, b INT)
--= alter [t] AddColumn {c d: STRUCT(a INT, b INT)}
ALTER TABLE t DROP COLUMN a
--= alter [t] DropColumn { column: "a", if_exists: false }
ALTER TABLE t DROP COLUMN IF EXISTS a RESTRICT
--= alter [t] DropColumn { column: "a", if_exists: true }
ALTER TABLE t DROP "a b"
--= alter [t] DropColumn { column: "a b", if_exists: false }
ALTER TABLE t RENAME a TO b
--= alter [t] RenameColumn { column: "a", to: "b" }
ALTER TABLE t RENAME COLUMN "a" TO "b c"
--= alter [t] RenameColumn { column: "a", to: "b c" }
ALTER TABLE t RENAME TO u
--= alter [t] RenameTable { to: "u" }
ALTER TABLE t ALTER a TYPE BIGINT
--= alter [t] SetType { column: "a", data_type: "BIGINT" }
ALTER TABLE t ALTER COLUMN a SET DATA TYPE DECIMAL(10, 2)
--= alter [t] SetType { column: "a", data_type: "DECIMAL(10, 2)" }
ALTER TABLE t ALTER a SET TYPE TIMESTAMP WITH TIME ZONE
--= alter [t] SetType { column: "a", data_type: "TIMESTAMP WITH TIME ZONE" }
ALTER TABLE t ALTER a SET NOT NULL
--= alter [t] SetNotNull { column: "a" }
ALTER TABLE t ALTER COLUMN a DROP NOT NULL
--= alter [t] DropNotNull { column: "a" }
ALTER TABLE t ALTER a SET DEFAULT -5
--= alter [t] SetDefault { column: "a", default: "-5" }
ALTER TABLE t ALTER a SET DEFAULT 'x'
--= alter [t] SetDefault { column: "a", default: "'x'" }
ALTER TABLE t ALTER a DROP DEFAULT
--= alter [t] DropDefault { column: "a" }
ALTER TABLE t ADD PRIMARY KEY (a, b)
--= alter [t] AddPrimaryKey (a|b)
ALTER TABLE t ADD CONSTRAINT pk PRIMARY KEY (a)
--= alter [t] AddPrimaryKey (a)
ALTER TABLE t SET PARTITIONED BY (year(since), region)
--= alter [t] PartitionBy (year(since)|region)
ALTER TABLE t RESET PARTITIONED BY
--= alter [t] PartitionBy
ALTER TABLE t SET SORTED BY (a DESC   NULLS LAST, "b")
--= alter [t] SortBy (a DESC NULLS LAST|"b")
ALTER TABLE t RESET SORTED BY
--= alter [t] SortBy

-- COMMENT
COMMENT ON TABLE sales.t IS 'it''s; a "table"'
--= comment [sales].[t] "it's; a \"table\""
comment on table t is null
--= comment [t] none
COMMENT ON COLUMN t.a IS $$x$$
--= comment [t] column [a] "x"
COMMENT ON COLUMN lake.sales.t."a b" IS e'two\nlines'
--= comment [lake].[sales].[t] column [a b] "two\nlines"

-- COPY and EXPLAIN
COPY t TO 'out/x.csv'
--= copy <FROM "t"> to "out/x.csv"
COPY sales.t (a, "b c") TO 'x.parquet' (FORMAT parquet, COMPRESSION 'zstd', ROW_GROUP_SIZE 1000)
--= copy <SELECT "a", "b c" FROM "sales"."t"> to "x.parquet" FORMAT="parquet" COMPRESSION="zstd" ROW_GROUP_SIZE="1000"
COPY (SELECT * FROM t WHERE a = ?) TO 'it''s.csv' WITH (HEADER, DELIMITER e'\t', nullstr "n a", OVERWRITE true)
--= copy <SELECT * FROM t WHERE a = $1> to "it's.csv" HEADER DELIMITER="\t" NULLSTR="n a" OVERWRITE="true"
COPY t TO 'x' (FORMAT csv, PARTITION_BY (a, b), THREADS -1)
--= copy <FROM "t"> to "x" FORMAT="csv" PARTITION_BY(a|b) THREADS="-1"
COPY t FROM 'in.csv' (header false)
--= copy [t] from "in.csv" HEADER="false"
COPY t (b, a) FROM 's3://x/y.parquet'
--= copy [t] columns(b|a) from "s3://x/y.parquet"
EXPLAIN SELECT 1
--= explain <SELECT 1>
EXPLAIN ANALYZE FROM t
--= explain analyze <FROM t>
explain (analyze) with x as (select ?) select * from x
--= explain analyze <with x as (select $1) select * from x>

-- reads
SELECT 1
  ;
--= read
FROM t
--= read
VALUES (1)
--= read
TABLE t
--= read
WITH x AS (SELECT 1) SELECT * FROM x
--= read
WITH "insert" AS (SELECT 1) FROM "insert"
--= read
(SELECT 1) UNION (SELECT 2)
--= read
DESCRIBE t
--= read
SHOW TABLES
--= read
SUMMARIZE t
--= read
PIVOT t ON a USING sum(b)
--= read
UNPIVOT t ON a
--= read
; SELECT 1;;
--= read

-- only: gate
-- of ours, or of others'
ALTER TABLE t DROP PRIMARY KEY
--= alter [t] DropPrimaryKey
ALTER TABLE t ADD a INT NOT NULL DEFAULT 1
--= alter [t] AddColumn {a: INT not null default 1}
