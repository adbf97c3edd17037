//! What the gate answers beside the text: tables, parameters, whether a result may be cached; and what it confirms.

use super::super::{ResolvedTable, check, confirm};
use super::corpus::kind;
use super::engine::{Caller, Engine};

fn table(catalog: &str, schema: &str, table: &str) -> ResolvedTable {
    ResolvedTable { catalog: catalog.into(), schema: schema.into(), table: table.into(), linked: None }
}

#[test]
fn each_table_is_reported_once() {
    let engine = Engine::open();
    let (checked, _) = engine
        .gate(
            "WITH t AS (SELECT * FROM sales.t) SELECT * FROM t, SALES.T, linked.price
             WHERE EXISTS (SELECT 1 FROM sales.t)",
        )
        .unwrap();
    assert_eq!(checked.tables, [table("p_test", "sales", "t"), table("p_other", "shared", "price")]);
    let (checked, _) = engine.gate("SELECT 1").unwrap();
    assert!(checked.tables.is_empty());
}

#[test]
fn names_of_with_become_names_of_ours() {
    let engine = Engine::open();
    let (_, text) = engine.gate("WITH \"file.parquet\" AS (SELECT 1 AS a) SELECT a FROM \"file.parquet\"").unwrap();
    assert_eq!(text, "WITH gw_cte_1 AS (SELECT 1 AS a)SELECT a FROM gw_cte_1 AS \"file.parquet\"");
}

#[test]
fn parameters_are_reported_in_order() {
    let engine = Engine::open();
    let parameters = |sql: &str| engine.gate(sql).unwrap().0.parameters;
    assert_eq!(parameters("SELECT ?, ?"), ["1", "2"]);
    assert_eq!(parameters("SELECT $b, $a, $B"), ["b", "a"]);
    assert_eq!(parameters("SELECT id FROM sales.t WHERE id = $2 LIMIT $1"), ["2", "1"]);
    assert!(parameters("SELECT '$1'").is_empty());
}

#[test]
fn the_clock_and_chance_are_noticed() {
    let engine = Engine::open();
    for (sql, deterministic) in [
        ("SELECT count(*) FROM sales.t", true),
        ("SELECT id FROM sales.t LIMIT 1", true),
        ("SELECT any_value(id) FROM sales.t", true),
        ("SELECT age(made, made) FROM sales.t", true),
        ("SELECT age(made) FROM sales.t", false),
        ("SELECT now()", false),
        ("SELECT current_date", false),
        ("SELECT Current_Timestamp", false),
        ("SELECT localtime", false),
        ("SELECT (SELECT RANDOM())", false),
        ("SELECT id FROM sales.t ORDER BY uuid()", false),
        ("SELECT list_transform([1], x -> random())", false),
        ("SELECT * FROM sales.t USING SAMPLE 1", false),
        ("SELECT * FROM sales.t TABLESAMPLE reservoir(2 ROWS) REPEATABLE (1)", false),
        ("SELECT * FROM sales.t AT (TIMESTAMP => now())", false),
        ("SELECT * FROM sales.t AT (VERSION => 3)", true),
        ("SELECT made.age() FROM sales.t", false),
    ] {
        assert_eq!(engine.gate(sql).unwrap().0.deterministic, deterministic, "{sql}");
    }
}

#[test]
fn another_text_is_not_confirmed() {
    let engine = Engine::open();
    let sql = "SELECT id FROM sales.t WHERE id > 1";
    let checked = check(sql, &engine.serialize(sql), &Caller(&engine), None).unwrap();
    let confirms = |text: &str| confirm(text, &engine.serialize(text), &checked);
    assert_eq!(confirms("SELECT id FROM p_test.sales.t WHERE (id > 1)"), Ok(()));
    for other in [
        "SELECT id FROM p_test.sales.t",
        "SELECT id FROM p_test.sales.t WHERE id > 2",
        "SELECT id FROM p_test.sales.t WHERE id >= 1",
        "SELECT name FROM p_test.sales.t WHERE id > 1",
        "SELECT id AS name FROM p_test.sales.t WHERE id > 1",
        "SELECT DISTINCT id FROM p_test.sales.t WHERE id > 1",
        "SELECT id FROM p_test.sales.t WHERE id > 1 LIMIT 1",
        "SELECT id FROM sales.t WHERE id > 1",
        "SELECT id FROM p_test.sales.t WHERE id > 1 UNION SELECT 1",
        "SELECT id FROM p_secret.main.payroll WHERE id > 1",
        "SELECT id FROM p_test.sales.u WHERE id > 1",
        "SELECT id FROM p_test.sales.t WHERE id > 1; SELECT 1",
        "DELETE FROM p_test.sales.t",
        "SELECT",
    ] {
        assert!(confirms(other).is_err(), "{other}");
    }
}

#[test]
fn the_words_help() {
    let engine = Engine::open();
    for (sql, words) in [
        (
            "SELECT * FROM read_csv('x')",
            "read_csv() is not allowed: name files of datasets as '/dataset/folder/name.csv', or as a list of such, without computing them",
        ),
        ("SELECT * FROM nothing.here", "unknown table nothing.here"),
        ("INSERT INTO t VALUES (1)", "INSERT is not supported here: append rows through POST …/rows of the table"),
        (
            "SHOW VARIABLES",
            "SHOW VARIABLES is not supported here: what there is to see: SHOW TABLES [FROM bucket], SHOW ALL TABLES, \
             SHOW SCHEMAS, SHOW DATABASES, DESCRIBE",
        ),
        ("SELEC 1", "syntax error at or near \"SELEC\""),
        ("", "there is no statement to run"),
    ] {
        assert_eq!(engine.gate(sql).unwrap_err().to_string(), words, "{sql}");
    }
    let error = engine.gate("SELECT 1 FROM sales.t WHERE ORDER").unwrap_err();
    assert_eq!(kind(&error), "syntax");
    assert!(matches!(error, super::super::GateError::Syntax { position: Some(28), .. }), "{error:?}");
}
