-- The tables of the gate's tests, in three attached databases: the caller's project, one that shares a bucket with it,
-- and one it may know nothing of.
CREATE SCHEMA p_test.sales;
CREATE SCHEMA p_test.hr;
CREATE TABLE p_test.sales.t (id INTEGER, name VARCHAR, amount DECIMAL(10, 2), made TIMESTAMP, tags VARCHAR[], info STRUCT(a INTEGER, b VARCHAR), j JSON);
INSERT INTO p_test.sales.t VALUES
    (1, 'apple', 1.50, '2024-01-01 10:00:00', ['red', 'round'], {'a': 1, 'b': 'x'}, '{"a": 1, "b": [1, 2]}'),
    (2, 'pear', 2.25, '2024-01-01 12:30:00', ['green'], {'a': 2, 'b': 'y'}, '{"a": "z", "b": []}'),
    (3, 'Apple', NULL, '2024-02-29 00:00:00', ['red', 'big', 'round'], {'a': 3, 'b': NULL}, '{}');
CREATE TABLE p_test.sales.u (id INTEGER, ref INTEGER, val DOUBLE);
INSERT INTO p_test.sales.u VALUES (1, NULL, 0.1), (2, 1, 0.2), (3, 2, 0.3), (4, 2, 0.4);
CREATE TABLE p_test.sales."Weird Table" ("col 1" INTEGER);
INSERT INTO p_test.sales."Weird Table" VALUES (7);
CREATE TABLE p_test.hr.person (id INTEGER, name VARCHAR, born DATE);
INSERT INTO p_test.hr.person VALUES (1, 'Ada', '1815-12-10'), (2, 'Grace', '1906-12-09');
CREATE TABLE p_test.hr.events (ts TIMESTAMP, kind VARCHAR, v INTEGER);
INSERT INTO p_test.hr.events VALUES ('2024-01-01', 'a', 1), ('1850-01-01', 'b', 2);
CREATE SCHEMA p_other.shared;
CREATE TABLE p_other.shared.price (id INTEGER, price DECIMAL(10, 2));
INSERT INTO p_other.shared.price VALUES (1, 9.99), (2, 19.99);
CREATE TABLE p_other.main.hidden (id INTEGER);
CREATE TABLE p_secret.main.payroll (id INTEGER, pay DECIMAL(10, 2));
CREATE TABLE p_test.main.region (r_regionkey INTEGER, r_name VARCHAR, r_comment VARCHAR);
CREATE TABLE p_test.main.nation (n_nationkey INTEGER, n_name VARCHAR, n_regionkey INTEGER, n_comment VARCHAR);
CREATE TABLE p_test.main.supplier (s_suppkey BIGINT, s_name VARCHAR, s_address VARCHAR, s_nationkey INTEGER, s_phone VARCHAR, s_acctbal DECIMAL(15, 2), s_comment VARCHAR);
CREATE TABLE p_test.main.customer (c_custkey BIGINT, c_name VARCHAR, c_address VARCHAR, c_nationkey INTEGER, c_phone VARCHAR, c_acctbal DECIMAL(15, 2), c_mktsegment VARCHAR, c_comment VARCHAR);
CREATE TABLE p_test.main.part (p_partkey BIGINT, p_name VARCHAR, p_mfgr VARCHAR, p_brand VARCHAR, p_type VARCHAR, p_size INTEGER, p_container VARCHAR, p_retailprice DECIMAL(15, 2), p_comment VARCHAR);
CREATE TABLE p_test.main.partsupp (ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty BIGINT, ps_supplycost DECIMAL(15, 2), ps_comment VARCHAR);
CREATE TABLE p_test.main.orders (o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus VARCHAR, o_totalprice DECIMAL(15, 2), o_orderdate DATE, o_orderpriority VARCHAR, o_clerk VARCHAR, o_shippriority INTEGER, o_comment VARCHAR);
CREATE TABLE p_test.main.lineitem (l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber BIGINT, l_quantity DECIMAL(15, 2), l_extendedprice DECIMAL(15, 2), l_discount DECIMAL(15, 2), l_tax DECIMAL(15, 2), l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR, l_shipmode VARCHAR, l_comment VARCHAR);
INSERT INTO p_test.main.region VALUES (0, 'AFRICA', ''), (2, 'ASIA', ''), (3, 'EUROPE', '');
INSERT INTO p_test.main.nation VALUES (7, 'GERMANY', 3, ''), (6, 'FRANCE', 3, ''), (8, 'INDIA', 2, '');
INSERT INTO p_test.main.orders VALUES (1, 1, 'O', 100.00, '1995-01-10', '1-URGENT', 'c', 0, 'ok');
