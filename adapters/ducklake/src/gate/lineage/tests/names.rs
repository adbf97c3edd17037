//! What names mean.

use super::super::super::tests::engine::Engine;
use super::{expect, expect_with};

#[test]
fn a_star_is_all_columns_with_what_was_asked_for() {
    let engine = Engine::open();
    expect(&engine, "SELECT * FROM sales.u", "id: u.id IDENTITY\nref: u.ref IDENTITY\nval: u.val IDENTITY\nrows:");
    expect(
        &engine,
        "SELECT * EXCLUDE (ref) REPLACE (val + id AS val) RENAME (id AS key) FROM sales.u",
        "key: u.id IDENTITY\nval: u.id TRANSFORMATION u.val TRANSFORMATION\nrows:",
    );
    expect(
        &engine,
        "SELECT p.*, u.val FROM hr.person p, sales.u",
        "id: person.id IDENTITY\nname: person.name IDENTITY\nborn: person.born IDENTITY\nval: u.val IDENTITY\nrows:",
    );
}

#[test]
fn columns_of_using_are_one() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT * FROM hr.person JOIN (SELECT id, val FROM sales.u) AS u USING (id)",
        "id: person.id IDENTITY
         name: person.name IDENTITY
         born: person.born IDENTITY
         val: u.val IDENTITY
         rows: person.id JOIN u.id JOIN",
    );
    expect(
        &engine,
        "SELECT id, u.id AS other FROM hr.person RIGHT JOIN sales.u USING (id)",
        "id: u.id IDENTITY\nother: u.id IDENTITY\nrows: person.id JOIN u.id JOIN",
    );
    expect(
        &engine,
        "SELECT id FROM hr.person FULL JOIN sales.u USING (id)",
        "id: person.id TRANSFORMATION u.id TRANSFORMATION\nrows: person.id JOIN u.id JOIN",
    );
    expect(
        &engine,
        "SELECT * FROM (SELECT id, val FROM sales.u) AS a NATURAL JOIN (SELECT id, name FROM hr.person) AS b",
        "id: u.id IDENTITY\nval: u.val IDENTITY\nname: person.name IDENTITY\nrows: person.id JOIN u.id JOIN",
    );
    expect(
        &engine,
        "SELECT val FROM sales.u SEMI JOIN hr.person ON u.id = person.id",
        "val: u.val IDENTITY\nrows: person.id JOIN u.id JOIN",
    );
}

#[test]
fn an_inner_name_hides_an_outer_one() {
    let engine = Engine::open();
    expect(&engine, "WITH u AS (SELECT ref AS id FROM sales.u) SELECT id FROM u", "id: u.ref IDENTITY\nrows:");
    expect(
        &engine,
        "SELECT (SELECT max(name) FROM hr.person WHERE id = u.id) AS m FROM sales.u",
        "m: person.id FILTER person.name AGGREGATION u.id FILTER\nrows:",
    );
    expect(
        &engine,
        "SELECT (SELECT max(name) FROM hr.person WHERE id = ref) AS m FROM sales.u",
        "m: person.id FILTER person.name AGGREGATION u.ref FILTER\nrows:",
    );
    expect(
        &engine,
        "SELECT list_transform(tags, lambda id: id || name) AS x FROM sales.t",
        "x: t.name TRANSFORMATION t.tags TRANSFORMATION\nrows:",
    );
    expect(&engine, "SELECT j -> 'a' AS x FROM sales.t", "x: t.j TRANSFORMATION\nrows:");
}

#[test]
fn names_of_the_list_count_where_the_engine_lets_them() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT val * 2 AS double, double + 1 AS more FROM sales.u WHERE double > 1 ORDER BY more",
        "double: u.val TRANSFORMATION\nmore: u.val TRANSFORMATION\nrows: u.val FILTER u.val SORT",
    );
    expect(&engine, "SELECT ref AS id FROM sales.u ORDER BY id", "id: u.ref IDENTITY\nrows: u.ref SORT");
    expect(&engine, "SELECT ref AS id FROM sales.u ORDER BY id + 1", "id: u.ref IDENTITY\nrows: u.id SORT");
    expect(
        &engine,
        "SELECT ref, max(val) AS id FROM sales.u GROUP BY ref HAVING id > 1 AND min(id) > 2 AND ref > 0",
        "ref: u.ref IDENTITY\nid: u.val AGGREGATION\nrows: u.id FILTER u.ref GROUP_BY u.ref FILTER u.val FILTER",
    );
    expect(&engine, "SELECT ref AS id FROM sales.u WHERE id > 1", "id: u.ref IDENTITY\nrows: u.id FILTER");
    expect(
        &engine,
        "SELECT ref, sum(val) AS s FROM sales.u GROUP BY 1 ORDER BY 2",
        "ref: u.ref IDENTITY\ns: u.val AGGREGATION\nrows: u.ref GROUP_BY u.val SORT",
    );
    expect(
        &engine,
        "SELECT ref, sum(val) AS s FROM sales.u GROUP BY ALL ORDER BY ALL",
        "ref: u.ref IDENTITY\ns: u.val AGGREGATION\nrows: u.ref GROUP_BY u.ref SORT u.val SORT",
    );
}

#[test]
fn fields_of_structs_are_told_apart_where_they_were_put_together() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT info.a AS a, t.info.b FROM sales.t",
        "a: t.info TRANSFORMATION\nb: t.info TRANSFORMATION\nrows:",
    );
    expect(
        &engine,
        "SELECT s.x AS x, s['y'] AS y FROM (SELECT {'x': id, 'y': val} AS s FROM sales.u)",
        "x: u.id IDENTITY\ny: u.val IDENTITY\nrows:",
    );
    expect(&engine, "SELECT r.id AS x FROM (SELECT u AS r FROM sales.u)", "x: u.id IDENTITY\nrows:");
}

#[test]
fn views_are_what_they_are_made_of() {
    let engine = Engine::open();
    let view = [("orders", "WITH x AS (SELECT id, val AS o_total FROM sales.u WHERE ref > 0) SELECT * FROM x")];
    expect_with(
        &engine,
        &view,
        "WITH x AS (SELECT 1 AS one) SELECT o_total, id, one FROM orders, x",
        "o_total: u.val IDENTITY\nid: u.id IDENTITY\none:\nrows: u.ref FILTER",
    );
}
