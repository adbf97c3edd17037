//! The engine's lists as the gate fills them: of the engine's shape, with what the caller may see and nothing else.

use super::super::listing::known;
use super::corpus::kind;
use super::engine::Engine;

fn run(engine: &Engine, sql: &str) -> Vec<String> {
    let (checked, text) = engine.gate(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(checked.deterministic && checked.tables.is_empty(), "{sql}");
    engine.run(&text).unwrap_or_else(|error| panic!("{sql}\n{text}\n{error}")).1
}

/// A list as it is written in FROM.
fn written(name: &str) -> String {
    let name = name.strip_prefix("main.").unwrap_or(name);
    match name.split_once('.') {
        Some(("show", "__show_tables_expanded")) => "(SHOW ALL TABLES)".to_owned(),
        Some(("show", word)) => format!("(SHOW {word})"),
        None if name.starts_with("duckdb_") => format!("{name}()"),
        _ => name.to_owned(),
    }
}

#[test]
fn a_list_has_the_columns_and_types_of_the_engines_own() {
    let engine = Engine::open();
    let shape = |text: &str| {
        let columns = format!("SELECT column_name, column_type FROM (DESCRIBE {text})");
        engine.run(&columns).unwrap_or_else(|error| panic!("{text}: {error}")).1
    };
    let names = known::names();
    assert!(names.len() > 20);
    for name in names {
        let sql = format!("SELECT * FROM {}", written(name));
        let (_, text) = engine.gate(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(shape(&text), shape(&sql), "{name}");
    }
}

#[test]
fn types_are_described_as_the_engine_describes_them() {
    let engine = Engine::open();
    let facts = "column_name, column_index, is_nullable, data_type, data_type_id, character_maximum_length,
                 numeric_precision, numeric_precision_radix, numeric_scale, column_default";
    let rest = "FROM duckdb_columns() WHERE schema_name = 'hr' AND table_name = 'person' ORDER BY column_index";
    engine
        .connection
        .execute_batch(
            "CREATE OR REPLACE TABLE p_test.hr.person (a BOOLEAN NOT NULL, b TINYINT, c SMALLINT, d INTEGER DEFAULT 3,
             e BIGINT, f UTINYINT, g USMALLINT, h UINTEGER, i UBIGINT, j FLOAT, k DOUBLE, l DECIMAL(10, 2),
             m VARCHAR DEFAULT 'it''s', n BLOB, o DATE, p TIME, q TIMESTAMP, r TIMESTAMP_S, s TIMESTAMP_MS,
             t TIMESTAMP_NS, u TIMESTAMPTZ, v INTERVAL, w UUID, x JSON, y INTEGER[], z STRUCT(a INTEGER, b VARCHAR[]),
             aa MAP(VARCHAR, INTEGER), \"weird \"\"column\" INTEGER)",
        )
        .unwrap();
    let ours = run(&engine, &format!("SELECT {facts} {rest}"));
    let theirs = engine.run(&format!("SELECT {facts} {rest}")).unwrap().1;
    assert_eq!(ours.len(), 28);
    assert_eq!(ours, theirs);
}

#[test]
fn a_list_shows_what_the_caller_may_see_under_its_own_names() {
    let engine = Engine::open();
    let all = [
        "hr.events",
        "hr.person",
        "linked.price",
        "main.customer",
        "main.lineitem",
        "main.nation",
        "main.orders",
        "main.part",
        "main.partsupp",
        "main.region",
        "main.supplier",
        "sales.Weird Table",
        "sales.t",
        "sales.u",
    ];
    for sql in [
        "SELECT table_schema || '.' || table_name AS n FROM information_schema.tables ORDER BY 1",
        "SELECT DISTINCT table_schema || '.' || table_name AS n FROM information_schema.columns ORDER BY 1",
        "SELECT schema_name || '.' || table_name AS n FROM duckdb_tables() ORDER BY 1",
        "SELECT DISTINCT schema_name || '.' || table_name AS n FROM duckdb_columns ORDER BY 1",
        "SELECT schema || '.' || name AS n FROM (SHOW ALL TABLES) ORDER BY 1",
        "SELECT schemaname || '.' || tablename AS n FROM pg_catalog.pg_tables ORDER BY 1",
        "SELECT nspname || '.' || relname AS n FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1",
    ] {
        let expected: Vec<String> = all.iter().map(|name| format!("Text({:?})", name.as_bytes())).collect();
        assert_eq!(run(&engine, sql), expected, "{sql}");
    }
}

#[test]
fn each_way_of_naming_a_list_means_the_same() {
    let engine = Engine::open();
    let expected = run(&engine, "SELECT table_name FROM information_schema.tables");
    assert_eq!(expected.len(), 14);
    for sql in [
        "SELECT table_name FROM INFORMATION_SCHEMA.Tables",
        "SELECT table_name FROM \"information_schema\".\"tables\"",
        "SELECT table_name FROM lake.information_schema.tables",
        "SELECT table_name FROM system.information_schema.tables",
        "SELECT tables.table_name FROM information_schema.tables",
        "SELECT information_schema.tables.table_name FROM information_schema.tables",
        "SELECT t.table_name FROM information_schema.tables AS t",
        "SELECT x.c FROM information_schema.tables AS x(a, b, c)",
        "SELECT table_name FROM duckdb_tables",
        "SELECT table_name FROM DuckDB_Tables()",
        "SELECT duckdb_tables.table_name FROM duckdb_tables()",
        "SELECT table_name FROM main.duckdb_tables()",
        "SELECT table_name FROM main.duckdb_tables",
        "SELECT table_name FROM system.main.duckdb_tables",
        "SELECT name FROM sqlite_master WHERE type = 'table'",
        "SELECT table_name FROM (SELECT * FROM information_schema.tables)",
        "WITH x AS (SELECT * FROM information_schema.tables) SELECT table_name FROM x",
        "SELECT * EXCLUDE (a) FROM (SELECT 1 AS a, table_name FROM information_schema.tables)",
        "SELECT name FROM (SHOW ALL TABLES)",
        "SELECT name FROM (DESCRIBE)",
    ] {
        assert_eq!(run(&engine, sql), expected, "{sql}");
    }
}

#[test]
fn show_and_describe_answer() {
    let engine = Engine::open();
    for (sql, rows) in [
        ("SHOW TABLES", 3),
        ("SHOW TABLES FROM hr", 2),
        ("SHOW TABLES FROM LAKE.HR", 2),
        ("SHOW ALL TABLES", 14),
        ("SHOW DATABASES", 1),
        ("SHOW SCHEMAS", 4),
        ("SELECT * FROM (SHOW SCHEMAS) WHERE current", 1),
        ("DESCRIBE information_schema.tables", 13),
        ("SUMMARIZE information_schema.tables", 13),
        ("SELECT * FROM information_schema.views", 0),
        ("SELECT * FROM duckdb_databases() WHERE database_name = 'lake' AND path IS NULL", 1),
        ("SELECT * FROM information_schema.schemata", 4),
        (
            "SELECT * FROM information_schema.tables t, duckdb_columns() c WHERE c.table_name = t.table_name AND t.table_name = 'price'",
            2,
        ),
        ("SELECT count(*) FROM information_schema.tables TABLESAMPLE 100 PERCENT", 1),
    ] {
        let (_, text) = engine.gate(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(engine.run(&text).unwrap().1.len(), rows, "{sql}");
    }
}

#[test]
fn names_of_the_callers_come_first() {
    let engine = Engine::open();
    for sql in [
        "WITH duckdb_tables AS (SELECT 1 AS a) SELECT a FROM duckdb_tables",
        "WITH pg_class AS (SELECT 1 AS a) SELECT a FROM pg_class",
        "WITH duckdb_tables AS (SELECT 1 AS a FROM duckdb_tables LIMIT 1) SELECT a FROM duckdb_tables",
    ] {
        assert_eq!(run(&engine, sql), ["Int(1)"], "{sql}");
    }
    let both = "WITH tables AS (SELECT 1 AS a) SELECT a FROM tables, information_schema.tables";
    assert_eq!(run(&engine, both).len(), 14);
}

#[test]
fn nothing_else_is_listed() {
    let engine = Engine::open();
    for (sql, expected) in [
        ("SELECT * FROM p_secret.information_schema.tables", "forbidden"),
        ("SELECT * FROM main.information_schema.tables", "forbidden"),
        ("SELECT * FROM temp.information_schema.tables", "forbidden"),
        ("SELECT * FROM system.information_schema.\"tables \"", "forbidden"),
        ("SELECT * FROM information_schema.key_column_usage", "forbidden"),
        ("SELECT * FROM pg_catalog.pg_settings", "forbidden"),
        ("SELECT * FROM pg_catalog.duckdb_tables", "forbidden"),
        ("SELECT * FROM information_schema.duckdb_tables", "forbidden"),
        ("SELECT * FROM \"show\".tables", "unknown table"),
        ("SELECT * FROM tables", "unknown table"),
        ("SELECT * FROM p_secret.duckdb_tables", "unknown table"),
        ("SELECT * FROM system.duckdb_tables()", "forbidden"),
        ("SELECT * FROM duckdb_tables('x')", "forbidden"),
        ("SELECT * FROM duckdb_functions()", "forbidden"),
        ("SELECT * FROM sqlite_master()", "forbidden"),
        ("SELECT * FROM pragma_table_info('duckdb_tables')", "forbidden"),
        ("SELECT duckdb_tables()", "forbidden"),
        ("SELECT * FROM information_schema.tables AT (VERSION => 1)", "unsupported"),
        ("SELECT * FROM duckdb_tables() WITH ORDINALITY", "unsupported"),
        ("SHOW TABLES FROM p_secret", "unknown bucket"),
        ("SHOW TABLES FROM p_secret.main", "unknown bucket"),
        ("SHOW TABLES FROM p_test.sales", "unknown bucket"),
        ("SHOW VARIABLES", "unsupported"),
    ] {
        let error = engine.gate(sql).map(|(_, text)| text).expect_err(sql);
        assert_eq!(kind(&error), expected, "{sql}: {error}");
    }
}

#[test]
fn lists_are_bounded() {
    let engine = Engine::open();
    let many = vec!["(SELECT count(*) FROM duckdb_tables())"; 3_000].join(" + ");
    let error = engine.gate(&format!("SELECT [{}]", many.replace(" + ", ", "))).unwrap_err();
    assert_eq!(kind(&error), "unsupported", "{error}");
}
