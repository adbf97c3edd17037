-- Honest queries. Each must pass the gate, be confirmed, and run; what it answers must be what the engine answers to
-- the text as written, where the engine can run that (see the test).
--
-- A statement starts at the margin; lines that go on are indented. `-- only: gate` starts statements that the test's
-- engine cannot run (AT: no lake in memory), `-- only: rewritten` those whose names the engine doesn't know as written;
-- `-- only: all` ends both.
-- Tables: main = the TPC-H tables; sales = t, u, "Weird Table"; hr = person, events; linked = price (of another project).

-- constants and literals
SELECT 42
SELECT 170141183460469231731687303715884105727, -170141183460469231731687303715884105728
SELECT 340282366920938463463374607431768211455, 18446744073709551615, 9223372036854775808
SELECT 123456789012345678901234567890.12345678, 0.1 + 0.2, 1.50, .5, 1., 1_000_000
SELECT 1e3, 1e-320, 1.7976931348623157e308, 0.1e0, 99999999999999999999999999999999999999999
SELECT 'it''s', e'a\nb\t\x41', $$a'b"c$$, $tag$ $$ $tag$, '', ' ü 😀 '
SELECT true, false, null, NULL::INTEGER
SELECT 'inf'::DOUBLE, 'nan'::FLOAT, '-infinity'::DATE
SELECT '\x00\xFF'::BLOB, '10101'::BIT, '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::UUID
SELECT DATE '2024-02-29', TIMESTAMP '2024-02-29 12:00:00', TIME '12:34:56.789', '2024-01-01 00:00:00+02'::TIMESTAMPTZ
SELECT INTERVAL '1 day 2 hours', INTERVAL 3 MONTH, INTERVAL (1 + 2) DAY, INTERVAL '5' YEAR
SELECT 1 AS "select", 2 AS "Übung", 3 AS "a""b", 4 AS "with space"
SELECT [1, 2, 3], {'a': 1, 'b': [2]}, MAP {'k': 1, 'l': 2}, (1, 'x'), row(1, 2), ARRAY[1, 2], []
SELECT typeof(1.) AS a, typeof(1e3) AS b, typeof(-0.5) AS c, typeof(-.5) AS d, typeof(00.5) AS e, typeof(1e0) AS f, typeof(2147483648), typeof(-2147483648), typeof(0.00), typeof(12345678901234567890.) AS g, typeof(00012.50) AS h, typeof(0.) AS i, typeof(-3.) AS j
SELECT 1e10 * 1e10 AS a, 1e-1 + 2e-1 = 0.3 AS b, 0.1 + 0.2 = 0.3 AS c, 1e3 AS d, -1e6, 1e-999
VALUES (1, 'a'), (2, 'b'), (3, NULL)
SELECT * FROM VALUES (1, 'a'), (2, 'b') AS v(x, y)

-- tables and their names
SELECT * FROM sales.t ORDER BY id
FROM sales.t
FROM sales.t SELECT id, name WHERE id > 1 ORDER BY id
SELECT t.id FROM sales.t ORDER BY 1
SELECT sales.t.id FROM sales.t ORDER BY 1
SELECT SALES.T.ID, t.Name FROM Sales.T ORDER BY 1
SELECT x.id FROM sales.t AS x ORDER BY 1
SELECT x.i, x.n FROM sales.t AS x(i, n) ORDER BY 1
SELECT t FROM sales.t ORDER BY t.id
SELECT t.* FROM sales.t ORDER BY 1
SELECT count(*) FROM orders
SELECT main.orders.o_orderkey FROM main.orders
SELECT n_name FROM nation, region WHERE n_regionkey = r_regionkey
SELECT "col 1", "Weird Table"."col 1" FROM sales."Weird Table"
SELECT t.id, u.val FROM sales.t JOIN sales.u ON t.id = u.ref ORDER BY ALL
SELECT sales.t.id, hr.person.id FROM sales.t, hr.person ORDER BY ALL
SELECT a.id, b.id FROM sales.t a, sales.t b WHERE a.id < b.id ORDER BY ALL
TABLE sales.u
SELECT "Weird Table".*, "a ""b"".* FROM x --".* FROM sales."Weird Table", (SELECT 1 AS one) AS "a ""b"".* FROM x --"
SELECT "select".*, COLUMNS("select".*) FROM sales.u AS "select" ORDER BY ALL
SELECT info.a, t.info.b, sales.t.info.a, (t.info).a, info['a'], struct_extract(info, 'b') FROM sales.t ORDER BY id
SELECT sales.id FROM (SELECT {'id': 7} AS sales)
DESCRIBE sales.t
DESCRIBE SELECT id, name FROM sales.t
SUMMARIZE hr.person
SUMMARIZE SELECT born FROM hr.person
SELECT column_name FROM (DESCRIBE sales.t) ORDER BY 1
SHOW sales.t
-- only: rewritten
SELECT price.price FROM linked.price
SELECT linked.price.price, p.price FROM linked.price, linked.price AS p ORDER BY linked.price.id
SELECT * EXCLUDE (linked.price.id) FROM linked.price
SELECT * FROM sales.t JOIN linked.price ON linked.price.id = sales.t.id WHERE linked.price.price > 0
SELECT (SELECT max(linked.price.price) FROM linked.price WHERE linked.price.id = t.id) FROM sales.t
SELECT * FROM price
-- only: gate
SELECT * FROM sales.t AT (VERSION => 3)
SELECT * FROM sales.t AS old AT (TIMESTAMP => TIMESTAMP '2024-01-01 00:00:00') JOIN sales.t AS older AT (VERSION => 1) USING (id)
SELECT * FROM sales.t AT (TIMESTAMP => now() - INTERVAL 1 DAY)
-- only: all

-- joins
SELECT * FROM sales.t LEFT JOIN sales.u ON t.id = u.ref ORDER BY ALL
SELECT * FROM sales.t RIGHT JOIN sales.u ON t.id = u.ref ORDER BY ALL
SELECT * FROM sales.t FULL OUTER JOIN sales.u USING (id) ORDER BY ALL
SELECT * FROM sales.t NATURAL JOIN sales.u ORDER BY ALL
SELECT count(*) FROM sales.t CROSS JOIN sales.u
SELECT * FROM sales.t SEMI JOIN sales.u USING (id) ORDER BY ALL
SELECT * FROM sales.t ANTI JOIN sales.u ON t.id = u.ref ORDER BY ALL
SELECT a.id, b.val FROM sales.t a POSITIONAL JOIN sales.u b
SELECT e.kind, p.name FROM hr.events e ASOF JOIN hr.person p ON e.ts::DATE >= p.born ORDER BY ALL
SELECT e.kind, p.name FROM hr.events e ASOF LEFT JOIN hr.person p ON e.v = p.id AND e.ts >= p.born ORDER BY ALL
SELECT t.id, l.v FROM sales.t, LATERAL (SELECT u.val AS v FROM sales.u WHERE u.ref = t.id) l ORDER BY ALL
SELECT t.id, s.x FROM sales.t JOIN LATERAL (SELECT t.id * 2 AS x) s ON true ORDER BY ALL
SELECT t.id, tag FROM sales.t, unnest(t.tags) AS tags(tag) ORDER BY ALL
SELECT * FROM (sales.t JOIN sales.u USING (id)) JOIN hr.person USING (id) ORDER BY ALL
SELECT id FROM sales.t WHERE EXISTS (SELECT 1 FROM sales.u WHERE u.ref = t.id) ORDER BY 1
SELECT id FROM sales.t WHERE id NOT IN (SELECT ref FROM sales.u WHERE ref IS NOT NULL) ORDER BY 1
SELECT id FROM sales.t WHERE id >= ALL (SELECT id FROM sales.u) OR id = ANY ([1, 2]) ORDER BY 1
SELECT (SELECT max(val) FROM sales.u WHERE u.ref = t.id) AS m FROM sales.t ORDER BY id

SELECT t.id, u.id, p.id FROM sales.t CROSS JOIN sales.u LEFT JOIN hr.person p ON t.id = p.id ORDER BY ALL
SELECT t.id, u.id, p.id FROM sales.t CROSS JOIN sales.u FULL JOIN hr.person p ON t.id = p.id + 1 ORDER BY ALL
SELECT t.id, u.id, p.id FROM sales.t, sales.u RIGHT JOIN hr.person p ON u.id = p.id + 3 ORDER BY ALL
SELECT t.id, u.id, p.id FROM sales.t, (sales.u CROSS JOIN hr.person p), hr.events e WHERE e.v = p.id ORDER BY ALL
SELECT a.id, c.id FROM sales.t a LEFT JOIN (sales.u b JOIN hr.person c ON b.id = c.id) ON a.id = b.ref ORDER BY ALL
SELECT a.id, b.x, c.y FROM sales.t a, LATERAL (SELECT a.id + 1 AS x) b LEFT JOIN LATERAL (SELECT b.x + 1 AS y) c ON true ORDER BY ALL

-- grouping and windows
SELECT name, count(*), sum(amount), avg(amount) FROM sales.t GROUP BY name HAVING count(*) > 0 ORDER BY ALL
SELECT name, sum(amount) FILTER (WHERE id > 1), count(DISTINCT id) FROM sales.t GROUP BY ALL ORDER BY ALL
SELECT name, id, sum(amount) FROM sales.t GROUP BY GROUPING SETS ((name), (id), ()) ORDER BY ALL
SELECT name, id, grouping(name, id) AS g, sum(amount) FROM sales.t GROUP BY ROLLUP (name, id) ORDER BY ALL
SELECT name, id, count(*) FROM sales.t GROUP BY CUBE (name, id) ORDER BY ALL
SELECT list(id ORDER BY id DESC), string_agg(name, ',' ORDER BY id), array_agg(id ORDER BY id) FROM sales.t
SELECT quantile_cont(amount, [0.25, 0.5]), median(amount), mode(name), arg_max(name, id) FROM sales.t
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM sales.t
SELECT id, row_number() OVER (ORDER BY id), rank() OVER (PARTITION BY name ORDER BY amount DESC) FROM sales.t ORDER BY id
SELECT id, sum(amount) OVER w, lag(id) OVER w FROM sales.t WINDOW w AS (ORDER BY id) ORDER BY id
SELECT id, avg(amount) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM sales.t ORDER BY id
SELECT id, sum(amount) OVER (ORDER BY made RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW) FROM sales.t ORDER BY id
SELECT id, first_value(name IGNORE NULLS) OVER (ORDER BY id), nth_value(id, 2) OVER (ORDER BY id), ntile(2) OVER (ORDER BY id) FROM sales.t ORDER BY id
SELECT id, count(*) FILTER (WHERE id > 1) OVER (ORDER BY id), lead(id, 1, 0) OVER (ORDER BY id) FROM sales.t ORDER BY id
SELECT id, name FROM sales.t QUALIFY row_number() OVER (PARTITION BY name ORDER BY id DESC) = 1 ORDER BY id
SELECT DISTINCT ON (name) name, id FROM sales.t ORDER BY name, id
SELECT DISTINCT name FROM sales.t ORDER BY name NULLS LAST

-- WITH
WITH x AS (SELECT id FROM sales.t) SELECT * FROM x ORDER BY 1
WITH x(a) AS MATERIALIZED (SELECT id FROM sales.t), y AS NOT MATERIALIZED (SELECT a + 1 AS b FROM x) SELECT x.a, y.b FROM x, y WHERE y.b = x.a + 1 ORDER BY 1
WITH t AS (SELECT id + 100 AS id FROM sales.t) SELECT t.id FROM t ORDER BY 1
WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders
WITH x AS (SELECT 1 AS a) SELECT * FROM (WITH x AS (SELECT 2 AS a) SELECT * FROM x) y, x
WITH x AS (SELECT 1 AS a), y AS (WITH x AS (SELECT a + 1 AS a FROM x) SELECT a FROM x) SELECT x.a, y.a FROM x, y
WITH x AS (SELECT 1 AS a) SELECT a, (SELECT max(b.a) FROM x AS b) FROM X
WITH "Ü x" AS (SELECT 1 AS a) SELECT "Ü x".a FROM "Ü x"
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n
WITH RECURSIVE n(i) AS (VALUES (1) UNION SELECT i + 1 FROM n WHERE i < 5), m AS (SELECT i * 2 AS j FROM n) SELECT * FROM m ORDER BY 1
WITH RECURSIVE tree AS (SELECT id, ref, 0 AS depth FROM sales.u WHERE ref IS NULL UNION ALL SELECT u.id, u.ref, depth + 1 FROM sales.u JOIN tree ON u.ref = tree.id) SELECT * FROM tree ORDER BY ALL
WITH RECURSIVE a AS (WITH b AS (SELECT 1 AS i) SELECT i FROM b UNION ALL SELECT i + 1 FROM a WHERE i < 3) FROM a ORDER BY 1
WITH RECURSIVE best(k, v) USING KEY (k) AS (SELECT 1, 10 UNION (SELECT b.k, b.v - 1 FROM best AS b, recurring.best AS r WHERE b.k = r.k AND b.v > 7)) SELECT * FROM best
SELECT * FROM (WITH q AS (SELECT 1 AS a) SELECT * FROM q UNION ALL SELECT a + 1 FROM q) ORDER BY 1

-- set operations, order, limit
SELECT id FROM sales.t UNION SELECT id FROM sales.u ORDER BY 1
SELECT id, name FROM sales.t UNION ALL BY NAME SELECT name, id FROM hr.person ORDER BY ALL
SELECT id FROM sales.t INTERSECT SELECT id FROM sales.u ORDER BY 1
(SELECT id FROM sales.t EXCEPT ALL SELECT id FROM sales.u) UNION ALL (SELECT 99) ORDER BY 1 LIMIT 2
SELECT 1 UNION SELECT 2 UNION ALL SELECT 3 UNION SELECT 4 ORDER BY 1
SELECT id FROM sales.t ORDER BY id DESC NULLS FIRST LIMIT 2 OFFSET 1
SELECT id FROM sales.t ORDER BY id LIMIT (SELECT count(*) - 1 FROM sales.t)
SELECT id FROM sales.t ORDER BY id LIMIT 50%
SELECT name FROM sales.t ORDER BY name COLLATE NOCASE, id
SELECT name FROM sales.t ORDER BY name COLLATE de DESC
SELECT 'a' = 'A' COLLATE nocase.noaccent
SELECT id FROM sales.t USING SAMPLE 50%
SELECT id FROM sales.t TABLESAMPLE reservoir(2 ROWS) REPEATABLE (42)
SELECT count(*) FROM sales.t TABLESAMPLE 10 PERCENT (bernoulli)

-- expressions
SELECT CASE WHEN id = 1 THEN 'one' WHEN id = 2 THEN 'two' ELSE 'many' END, CASE id WHEN 1 THEN 2 END, if(id > 1, 'a', 'b') FROM sales.t ORDER BY id
SELECT id BETWEEN 1 AND 2, id NOT BETWEEN 1 AND 2, id IN (1, 2), id NOT IN (3), id IS NULL, id IS NOT NULL, id IS DISTINCT FROM 2 FROM sales.t ORDER BY id
SELECT name LIKE 'a%', name NOT ILIKE '%B%', name SIMILAR TO '[a-z]+', name GLOB 'a*', name LIKE 'a\%' ESCAPE '\', name ~ '^a' FROM sales.t ORDER BY id
SELECT coalesce(name, 'none'), nullif(id, 1), ifnull(name, ''), greatest(1, 2), least(1, 2) FROM sales.t ORDER BY id
SELECT 7 // 2, 7 % 2, 2 ** 3, 2 ^ 3, 5!, @(-3), ~5, 1 << 3, 5 & 3, 5 | 3, xor(5, 3), -(-1), +1, 7 / 2
SELECT NOT true, true AND false OR true, (1 = 1) IS TRUE, (1 = 2) IS NOT FALSE, NULL IS UNKNOWN
SELECT id::VARCHAR, CAST(id AS DOUBLE), TRY_CAST('x' AS INTEGER), '12'::DECIMAL(10, 2), '{"a":1}'::JSON FROM sales.t ORDER BY id
SELECT [1, 2]::BIGINT[], [1, 2, 3]::INTEGER[3], {'a': 1}::STRUCT(a BIGINT), MAP {'a': 1}::MAP(VARCHAR, BIGINT), 'a'::ENUM('a', 'b')
SELECT row(1, 'x')::STRUCT(a INTEGER, b VARCHAR), 1::UNION(n INTEGER, s VARCHAR), [{'a': 1}]::STRUCT(a TINYINT)[]
SELECT '1 day'::INTERVAL, '2020-01-01'::TIMESTAMP_NS, '12:00'::TIME, 5::UTINYINT, 5::HUGEINT, 1.5::FLOAT, 'x'::VARCHAR(10), 1::NUMERIC(5), 1::INT4
SELECT list_transform([1, 2, 3], x -> x + 1), list_filter([1, 2, 3], lambda x: x > 1), list_reduce([1, 2, 3], lambda a, b: a + b)
SELECT list_transform([1, 2], lambda x, i: x * i), array_filter(tags, t -> t LIKE 'r%') FROM sales.t ORDER BY id
SELECT [x * 2 FOR x IN [1, 2, 3] IF x > 1], [x + i FOR x, i IN [1, 2]]
SELECT tags[1], tags[1:2], tags[-1], tags[:], [1, 2, 3, 4][1:4:2], 'hello'[2:3] FROM sales.t ORDER BY id
SELECT j->'a', j->>'a', j->>'$.b[0]', json_extract_string(j, '$.a'), j->'b'->0 FROM sales.t ORDER BY id
SELECT name.upper() AS a, t.name.lower().length() AS b, ('a').upper() AS c, tags.list_sort()[1] AS d FROM sales.t ORDER BY id
SELECT extract(year FROM made), date_part('month', made), date_trunc('day', made), made + INTERVAL 1 DAY, made::DATE - DATE '2020-01-01', age(made, TIMESTAMP '2020-01-01') FROM sales.t ORDER BY id
SELECT made AT TIME ZONE 'UTC', strftime(made, '%Y-%m'), strptime('2020-01-02', '%Y-%m-%d'), epoch_ms(made), time_bucket(INTERVAL 1 HOUR, made) FROM sales.t ORDER BY id
SELECT trim(BOTH 'x' FROM 'xax'), substring('hello' FROM 2 FOR 3), position('l' IN 'hello'), lpad('1', 3, '0'), regexp_replace('abc', 'b', 'X', 'g'), split_part('a-b', '-', 2), printf('%d', 1), format('{}', 2)
SELECT unnest([1, 2, 3]) AS x, unnest({'a': 1, 'b': 2})
SELECT list_value($gw0_0, $gw0_1) AS l, list_value() AS n, struct_pack("b c" := $gw1_2, d := list_value($gw1_3)) AS s
SELECT struct_pack(a := 1, b := 'x'), struct_insert({'a': 1}, b := 2), map_keys(MAP {'a': 1}), list_aggregate([1, 2], 'sum'), list_zip([1], [2])
SELECT hash(id) IS NOT NULL, md5(name), sha256('a'), typeof(id), version() IS NOT NULL FROM sales.t ORDER BY id
SELECT try(1 / 0), array(SELECT id FROM sales.t ORDER BY id), count(*) > 0 AND max(id) IS NOT NULL FROM sales.t
SELECT current_date, current_timestamp, now(), random(), uuid()
SELECT a: 1, b: a + 1
SELECT id AS i, i + 1 AS k FROM sales.t WHERE i > 0 ORDER BY k

-- stars
SELECT * EXCLUDE (info, j) FROM sales.t ORDER BY id
SELECT * EXCLUDE (t.info, sales.t.j), t.* EXCLUDE id FROM sales.t ORDER BY id
SELECT * REPLACE (id + 1 AS id, upper(name) AS name) FROM sales.t ORDER BY 1
SELECT * RENAME (id AS key, t.name AS label) FROM sales.t ORDER BY 1
SELECT COLUMNS('^(id|name)$') FROM sales.t ORDER BY 1
SELECT min(COLUMNS(*)), max(COLUMNS(* EXCLUDE (j, info, tags))) FROM sales.u, (SELECT 1 AS j, 2 AS info, 3 AS tags)
SELECT COLUMNS(c -> c LIKE '%a%') FROM sales.t ORDER BY ALL
SELECT COLUMNS(t.*) FROM sales.t ORDER BY id
SELECT coalesce(*COLUMNS(['id', 'ref'])) FROM sales.u ORDER BY 1
SELECT * LIKE '%a%' FROM sales.t ORDER BY ALL

-- pivots
SELECT * FROM (PIVOT sales.t ON name IN ('apple', 'pear') USING sum(amount) GROUP BY id) ORDER BY ALL
SELECT * FROM sales.t PIVOT (sum(amount) AS s, count(*) AS c FOR name IN ('apple', 'pear' AS p) GROUP BY id) ORDER BY ALL
PIVOT sales.t ON name IN ('apple', 'pear') USING sum(amount)
UNPIVOT sales.u ON id, ref INTO NAME n VALUE v
SELECT * FROM (UNPIVOT (SELECT id, ref FROM sales.u) ON COLUMNS(*) INTO NAME n VALUE v) ORDER BY ALL
SELECT * FROM (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d) UNPIVOT INCLUDE NULLS ((v, w) FOR n IN ((a, b), (c, d))) ORDER BY ALL
WITH p AS (PIVOT hr.events ON kind IN ('a', 'b') USING count(*)) SELECT * FROM p ORDER BY ALL

-- calls in FROM
SELECT * FROM range(3)
SELECT i FROM range(0, 10, 3) AS r(i)
SELECT * FROM generate_series(1, (SELECT max(id) FROM sales.t))
SELECT * FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-03', INTERVAL 1 DAY)
SELECT * FROM unnest([{'a': 1}, {'a': 2}]) WITH ORDINALITY AS u(x, n)
SELECT t.id, key, value FROM sales.t, json_each(j) ORDER BY ALL
SELECT fullkey FROM json_tree('{"a":[1,2]}')
SELECT * FROM repeat('a', 3)

-- more of the dialect
FROM sales.t SELECT name, count(*) AS n GROUP BY ALL HAVING n > 0 ORDER BY ALL
FROM range(5) r(i) SELECT i * 10 WHERE i % 2 = 0
FROM (VALUES (1, 'a'), (2, 'b')) v(i, s) SELECT s, i ORDER BY i DESC LIMIT 1
SELECT id, name FROM sales.t QUALIFY count(*) OVER (PARTITION BY lower(name)) > 1 AND id > 0 ORDER BY ALL
SELECT name, sum(id) AS s FROM sales.t GROUP BY name QUALIFY rank() OVER (ORDER BY sum(id) DESC) = 1 ORDER BY ALL
SELECT id, sum(id) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) AS s FROM sales.t ORDER BY id
SELECT id, last_value(name) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS l FROM sales.t ORDER BY id
SELECT id, percent_rank() OVER w AS p, cume_dist() OVER w AS c, dense_rank() OVER w AS d FROM sales.t WINDOW w AS (ORDER BY name, id) ORDER BY id
SELECT id, max(amount) OVER (PARTITION BY name ORDER BY made ROWS UNBOUNDED PRECEDING) AS m FROM sales.t ORDER BY id
SELECT name, kind, count(*) FROM sales.t, hr.events GROUP BY GROUPING SETS ((name, kind), CUBE (name), ()) ORDER BY ALL
SELECT grouping_id(name, id) AS g, count(*) FROM sales.t GROUP BY ROLLUP (name, id) ORDER BY ALL
SELECT list_sort([3, 1, 2], 'DESC'), list_distinct([1, 1]), list_contains([1], 1), list_position([5, 6], 6), flatten([[1], [2]]), len([1, 2]), list_slice([1, 2, 3], 1, 2)
SELECT list_reduce([1, 2, 3], lambda a, b: a * b, 10) AS a, list_transform([[1], [2, 3]], lambda l: list_sum(l)) AS b, apply([1, 2], lambda x: x || '!') AS c
SELECT list_filter(tags, lambda t: len(t) > 3) AS long, [upper(t) FOR t IN tags IF t <> 'red'] AS others FROM sales.t ORDER BY id
SELECT [[i * j FOR j IN range(1, 3)] FOR i IN range(1, 3)] AS products
SELECT m['a'] AS a, map_values(m) AS v, map_extract(m, 'b') AS b, cardinality(m) AS n, element_at(m, 'a') AS e FROM (SELECT MAP {'a': 1, 'b': 2} AS m)
SELECT s.a.b[1].c AS deep, s['a']['b'] AS list FROM (SELECT {'a': {'b': [{'c': 5}]}} AS s)
SELECT info.* FROM sales.t ORDER BY ALL
SELECT unnest(info), id FROM sales.t ORDER BY id
SELECT unnest([{'a': 1, 'b': [2]}], recursive := true)
SELECT COLUMNS(* EXCLUDE (j, tags, info, amount, made))::VARCHAR FROM sales.t ORDER BY ALL
SELECT max(COLUMNS(c -> c IN ('id', 'name'))) AS "max_\0" FROM sales.t
SELECT sum(COLUMNS('^(id|ref)$')) FROM sales.u
SELECT id FROM sales.t WHERE COLUMNS(['id', 'amount']) > 1 ORDER BY id
SELECT * EXCLUDE (id) REPLACE (val * 2 AS val) FROM sales.u ORDER BY ALL
SELECT id FROM sales.t USING SAMPLE reservoir(100 ROWS) ORDER BY id
SELECT * FROM sales.u TABLESAMPLE system(100 PERCENT)
SELECT a.i, b.s FROM (VALUES (1), (2)) a(i) POSITIONAL JOIN (VALUES ('x'), ('y'), ('z')) b(s)
SELECT p.name, e.kind FROM hr.person p ASOF JOIN hr.events e ON p.born::TIMESTAMP <= e.ts ORDER BY ALL
SELECT e.kind FROM hr.events e ASOF LEFT JOIN hr.person p ON e.v = p.id AND e.ts::DATE > p.born ORDER BY ALL
PIVOT (SELECT name, id FROM sales.t) ON id IN (1, 2) USING count(*) AS n, max(id) AS m GROUP BY name ORDER BY name
PIVOT sales.u ON ref IN (1, 2) USING sum(val) ORDER BY ALL LIMIT 3
UNPIVOT (SELECT id, val::INTEGER AS val FROM sales.u) ON COLUMNS(* EXCLUDE (id)) INTO NAME n VALUE v ORDER BY ALL
FROM sales.u UNPIVOT (v FOR n IN (id, ref)) SELECT n, sum(v) GROUP BY n ORDER BY n
WITH RECURSIVE fib(a, b, n) AS (SELECT 0, 1, 1 UNION ALL SELECT b, a + b, n + 1 FROM fib WHERE n < 10) SELECT list(a ORDER BY n) FROM fib
WITH RECURSIVE walk(id, path) AS (SELECT id, [id] FROM sales.u WHERE ref IS NULL UNION ALL SELECT u.id, list_append(w.path, u.id) FROM sales.u u JOIN walk w ON u.ref = w.id) SELECT id, path FROM walk ORDER BY id
WITH RECURSIVE cc(id, root) USING KEY (id) AS (SELECT id, id FROM sales.u UNION SELECT u.id, c.root FROM cc c JOIN sales.u u ON u.ref = c.id) SELECT id, root FROM cc ORDER BY id
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a), c AS MATERIALIZED (SELECT a.x + b.x AS x FROM a, b) FROM c
SELECT (WITH q AS (SELECT max(id) AS m FROM sales.u) SELECT m FROM q) AS top, id FROM sales.t ORDER BY id
SELECT t.id, n FROM sales.t t LEFT JOIN LATERAL (SELECT count(*) AS n FROM sales.u u WHERE u.ref = t.id) ON true ORDER BY ALL
SELECT t.id, a.x, b.y FROM sales.t t, LATERAL (SELECT t.id * 2 AS x) a, LATERAL (SELECT a.x + 1 AS y) b ORDER BY ALL
SELECT id FROM sales.t WHERE (id, name) IN (SELECT id, name FROM sales.t WHERE id > 1) ORDER BY id
SELECT id FROM sales.t WHERE id > ANY (SELECT id FROM sales.u WHERE id < 3) ORDER BY id
SELECT id IN (1, 2) IS TRUE AS a, NOT EXISTS (FROM sales.u WHERE ref = t.id) AS b FROM sales.t t ORDER BY id
SELECT regexp_matches('anabanana', 'ana') AS a, regexp_extract('2024-05', '(\d+)-(\d+)', ['y', 'm']) AS b, regexp_extract_all('a1b2', '\d') AS c, regexp_split_to_array('a, b', ',\s*') AS d, regexp_full_match('abc', '[a-c]+') AS e
SELECT string_split('a-b', '-') AS a, concat_ws('/', 'a', NULL, 'b') AS b, repeat('ab', 2) AS c, reverse('abc') AS d, left('abc', 2) AS e, right('abc', 1) AS f, strpos('abc', 'c') AS g, translate('abc', 'a', 'x') AS h
SELECT 'a' || 1 || NULL AS a, 'abc'[1] AS b, 'abc'[-2:] AS c, 'x' ^@ 'x' AS d, starts_with('abc', 'ab') AS e, 'abc' LIKE 'a_c' AS f, 'ABC' ILIKE 'a%' AS g, ascii('a') AS h, chr(65) AS i, unicode('ü') AS j
SELECT levenshtein('ab', 'cd') AS a, jaccard('ab', 'ac') AS b, jaro_winkler_similarity('ab', 'abc') AS c
SELECT date_add(DATE '2024-01-31', INTERVAL 1 MONTH) AS a, date_diff('day', DATE '2024-01-01', DATE '2024-03-01') AS b, last_day(DATE '2024-02-01') AS c, dayname(DATE '2024-02-29') AS d, monthname(DATE '2024-02-29') AS e, isodow(DATE '2024-02-29') AS f, make_date(2024, 2, 29) AS g, make_timestamp(2024, 2, 29, 1, 2, 3.5) AS h
SELECT to_days(3) AS a, to_timestamp(0) AT TIME ZONE 'UTC' AS b, epoch(TIMESTAMP '2024-01-01') AS c, extract(dow FROM DATE '2024-01-07') AS d, date_trunc('quarter', DATE '2024-05-05') AS e, time_bucket(INTERVAL '2 weeks', DATE '2024-05-05') AS f, strptime('05/2024', '%m/%Y') AS g, try_strptime('x', '%Y') AS h
SELECT DATE '2024-01-01' + 5 AS a, DATE '2024-01-10' - DATE '2024-01-01' AS b, TIMESTAMP '2024-01-01' - INTERVAL '1 hour 30 minutes' AS c, INTERVAL 1 DAY * 3 AS d, TIME '10:00' + INTERVAL 90 MINUTE AS e
SELECT round(2.567, 2) AS a, ceil(1.2) AS b, floor(-1.2) AS c, trunc(1.9) AS d, sqrt(16) AS e, pow(2, 8) AS f, ln(1) AS g, log10(100) AS h, sign(-3) AS i, gcd(12, 8) AS j, factorial(5) AS k, bit_count(7) AS l, even(1.3) AS m, mod(7, 3) AS n, pi() > 3 AS o
SELECT arg_min(name, id) AS a, bool_and(id > 0) AS b, product(id) AS c, stddev_pop(id) AS d, corr(id, id) AS e, histogram(id) AS f, first(name ORDER BY id) AS g, any_value(1) AS h, approx_count_distinct(id) AS i, kurtosis(id) IS NULL AS k, bit_or(id) AS l, count_if(id > 1) AS m FROM sales.t
SELECT max(id, 2) AS a, min_by(name, id, 2) AS b, list(DISTINCT lower(name) ORDER BY lower(name)) AS c, string_agg(DISTINCT lower(name), '|' ORDER BY lower(name)) AS d, group_concat(id, ';' ORDER BY id) AS e FROM sales.t
SELECT j->>'$.a' AS a, json_extract(j, ['$.a', '$.b']) AS b, json_array_length(j, '$.b') AS c, json_keys(j) AS d, json_type(j, '$.b') AS e, j.a AS f, json_valid('x') AS g FROM sales.t ORDER BY id
SELECT to_json(info) AS a, json_object('k', id) AS b, json_array(id, name) AS c, from_json('{"a": 1}', '{"a": "INTEGER"}') AS d, json_merge_patch('{"a":1}', '{"b":2}') AS e, json_group_array(1) AS f FROM sales.t GROUP BY ALL ORDER BY ALL
SELECT CASE WHEN amount > 2 THEN 'big' WHEN amount IS NULL THEN 'none' ELSE 'small' END AS size, count(*) FROM sales.t GROUP BY 1 ORDER BY 1
SELECT union_value(n := 1) AS u, union_tag(union_value(n := 1)) AS t, union_extract(union_value(n := 7), 'n') AS e
SELECT 1 AS a UNION ALL BY NAME SELECT 2 AS b UNION ALL BY NAME SELECT 3 AS a ORDER BY ALL
(SELECT 1 AS a UNION SELECT 2) INTERSECT (SELECT 2 AS a) EXCEPT SELECT 3
SELECT DISTINCT ON (lower(name)) id, name FROM sales.t ORDER BY lower(name), id DESC
SELECT id FROM sales.t ORDER BY name COLLATE NOCASE NULLS FIRST, id DESC LIMIT 2 OFFSET (SELECT 1)
SELECT #1 AS first, id FROM sales.u ORDER BY ALL
SELECT name, id FROM sales.t ORDER BY #2
SELECT 1_000 AS thousand, 'a' || 'b' AS joined
SELECT t.* EXCLUDE (j), sales.u.val AS v FROM sales.t JOIN sales.u ON sales.u.ref = sales.t.id ORDER BY ALL
SELECT count(*) FILTER (id > 1) AS f, sum(id) FILTER (WHERE name IS NOT NULL) AS s FROM sales.t
SELECT encode('ü') AS a, decode('\x61'::BLOB) AS b, base64('a'::BLOB) AS c, from_base64('YQ==') AS d, hex('a') AS e, unhex('61') AS f

-- parameters
SELECT id FROM sales.t WHERE id = ? AND name = ?
SELECT id FROM sales.t WHERE id = $1 OR id = $2::INTEGER + $1::INTEGER
SELECT id FROM sales.t WHERE id = $id AND name = $name LIMIT $n
SELECT * FROM range($1::BIGINT)

-- comments and layout
SELECT /* a /* nested */ comment; DROP */ 1 -- and another
SELECT 1;
SELECT 'a; b' AS "c; d" ;
SELECT
  id, -- the key
  name
  FROM sales.t /* sales */
  ORDER BY id

-- only: rewritten
-- lists of what there is
SHOW TABLES
SHOW ALL TABLES
SHOW TABLES FROM sales
SHOW DATABASES
SHOW SCHEMAS
DESCRIBE
SHOW ALL
SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_tables() AS t(a, b) WHERE a = 'lake'
SELECT * FROM duckdb_columns() JOIN duckdb_tables() USING (table_oid)
SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE schema_name NOT LIKE 'pg\_%' ESCAPE '\'
SELECT c.relname, a.attname, a.attnum FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name
SELECT sql FROM sqlite_schema
SUMMARIZE information_schema.columns
DESCRIBE duckdb_tables
