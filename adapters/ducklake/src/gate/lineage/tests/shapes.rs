//! Shapes of queries.

use super::super::super::tests::engine::Engine;
use super::super::{Relations, Shape, lineage};
use super::{expect, of, told};

#[test]
fn operations_on_sets_go_by_place_or_name() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT id, val FROM sales.u UNION ALL SELECT id, born FROM hr.person ORDER BY 2",
        "id: person.id IDENTITY u.id IDENTITY
         val: person.born IDENTITY u.val IDENTITY
         rows: person.born SORT u.val SORT",
    );
    expect(
        &engine,
        "SELECT id, val FROM sales.u UNION BY NAME SELECT name, id FROM hr.person",
        "id: person.id IDENTITY u.id IDENTITY\nval: u.val IDENTITY\nname: person.name IDENTITY\nrows:",
    );
    expect(
        &engine,
        "SELECT id FROM sales.u EXCEPT SELECT id FROM hr.person",
        "id: u.id IDENTITY\nrows: person.id FILTER",
    );
}

#[test]
fn recursion_is_followed_until_nothing_new_comes() {
    let engine = Engine::open();
    expect(
        &engine,
        "WITH RECURSIVE r(id, top, depth) AS (
             SELECT id, id, 0 FROM sales.u WHERE ref IS NULL
             UNION ALL SELECT u.id, r.top, r.depth + 1 FROM sales.u JOIN r ON u.ref = r.id)
         SELECT * FROM r",
        "id: u.id IDENTITY\ntop: u.id IDENTITY\ndepth:\nrows: u.id JOIN u.ref JOIN u.ref FILTER",
    );
}

#[test]
fn what_chooses_is_told_apart_from_what_is_chosen() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT CASE WHEN id > 1 THEN val ELSE ref END AS c, coalesce(val, ref) AS d, id IN (1, 2) AS e FROM sales.u",
        "c: u.id CONDITIONAL u.ref IDENTITY u.val IDENTITY
         d: u.ref TRANSFORMATION u.val TRANSFORMATION
         e: u.id TRANSFORMATION
         rows:",
    );
    expect(
        &engine,
        "SELECT sum(val) OVER (PARTITION BY ref ORDER BY id) AS s, row_number() OVER (ORDER BY val) AS n FROM sales.u
         QUALIFY n < 5",
        "s: u.id WINDOW u.ref WINDOW u.val AGGREGATION\nn: u.val WINDOW\nrows: u.val FILTER",
    );
    expect(
        &engine,
        "SELECT string_agg(name ORDER BY made) FILTER (id > 1) AS s, count(DISTINCT name) AS n, md5(name) AS h
           FROM sales.t GROUP BY ALL",
        "s: t.id FILTER t.made SORT t.name AGGREGATION
         n: t.name AGGREGATION*
         h: t.name TRANSFORMATION*
         rows: t.name GROUP_BY",
    );
}

#[test]
fn what_stands_beside_may_be_named() {
    let engine = Engine::open();
    expect(
        &engine,
        "SELECT t.id, x.s FROM sales.t, LATERAL (SELECT sum(val) AS s FROM sales.u WHERE u.id = t.id) AS x",
        "id: t.id IDENTITY\ns: u.val AGGREGATION\nrows: t.id FILTER u.id FILTER",
    );
    expect(
        &engine,
        "SELECT t.id, g.i FROM sales.t, range(t.id) AS g(i)",
        "id: t.id IDENTITY\ni: t.id TRANSFORMATION\nrows:",
    );
    expect(&engine, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, s)", "n:\ns:\nrows:");
}

#[test]
fn what_is_not_known_is_told() {
    let engine = Engine::open();
    for (sql, wanted) in [
        ("PIVOT sales.u ON ref IN (1, 2) USING sum(val)", "rows:\nopen\npartial"),
        ("SELECT COLUMNS('i.*') FROM sales.u", "rows:\nopen\npartial"),
        ("SELECT * FROM (SUMMARIZE sales.u)", "rows:\nopen\npartial"),
        ("SELECT id, info.* FROM sales.t", "id: t.id IDENTITY\nrows:\nopen\npartial"),
        ("SELECT \"sum(val)\" AS s FROM (SELECT sum(val) FROM sales.u)", "s:\nrows:\npartial"),
    ] {
        assert_eq!(told(&of(&engine, &[], sql)), wanted, "{sql}");
    }
}

#[test]
fn a_tree_that_isnt_one_is_told_as_a_part() {
    struct Nothing;
    impl Relations for Nothing {
        fn shape(&self, _: &[String; 3], _: Option<u64>) -> Option<Shape> {
            None
        }
    }
    for tree in ["", "{}", "[1]", r#"{"error":false,"statements":[{"node":{"type":"X"}}]}"#] {
        let lineage = lineage(tree, &Nothing);
        assert!(lineage.partial && lineage.rows.open, "{tree}");
    }
    let engine = Engine::open();
    let known = lineage(&engine.gate("SELECT id FROM sales.u").unwrap().0.statement_json, &Nothing);
    assert_eq!(told(&known), "id:\nrows:\npartial");
}

/// Nested so that the sources double with each level, were they not sets.
#[test]
fn work_is_bounded() {
    let engine = Engine::open();
    let wide = (0..20).map(|number| format!("id + val * {number} AS c{number}")).collect::<Vec<_>>().join(", ");
    let mut sql = format!("SELECT {wide} FROM sales.u");
    for _ in 0..12 {
        sql = format!("SELECT c0 + c1 AS c0, c0 * c1 AS c1 FROM ({sql})");
    }
    let lineage = of(&engine, &[], &sql);
    assert!(!lineage.partial);
    assert_eq!(lineage.rows.columns[0].value.flow.0.len(), 2);
}

/// As deep as the gate lets it be, on half the stack that the program gives its threads.
#[test]
fn what_is_deep_fits_the_stack() {
    let follow = || {
        let engine = Engine::open();
        let sum = vec!["id"; 350].join(" + ");
        let nested = (0..60).fold("SELECT id FROM sales.u".to_owned(), |sql, _| format!("SELECT id FROM ({sql})"));
        for sql in [format!("SELECT {sum} AS x FROM sales.u"), nested] {
            let lineage = of(&engine, &[], &sql);
            assert!(!lineage.partial && lineage.rows.columns[0].value.flow.0.len() == 1);
        }
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(follow).unwrap().join().unwrap();
}
