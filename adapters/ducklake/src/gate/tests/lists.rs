//! The lists of functions against what the engine has: a function of a new version must be judged before it runs.

use std::collections::BTreeSet;

use super::super::functions::lists;
use super::engine::Engine;

/// What the parser and the binder know without an entry in the catalog.
const SYNTAX: [&str; 2] = ["unlist", "unnest"];

/// What only an extension has that this engine doesn't load.
const EXTENSIONS: [&str; 3] = ["murmur3_32", "postgres_hstore_get", "postgres_hstore_to_json"];

fn functions(engine: &Engine, kinds: &str) -> BTreeSet<String> {
    let sql = format!(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions()
         WHERE function_type IN ({kinds}) AND database_name = 'system' ORDER BY 1"
    );
    let mut statement = engine.connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn every_function_of_the_engine_is_judged() {
    let engine = Engine::open();
    let expressions: BTreeSet<&str> = lists::expressions().into_iter().collect();
    let tables: BTreeSet<&str> = lists::tables().into_iter().collect();
    let in_expressions = functions(&engine, "'scalar', 'aggregate', 'macro'");
    let in_from = functions(&engine, "'table', 'table_macro'");
    let judged = |allowed: &BTreeSet<&str>, name: &str| allowed.contains(name) != lists::is_refused(name);
    let missing: Vec<&String> = in_expressions
        .iter()
        .filter(|name| !judged(&expressions, name) && **name != "histogram")
        .chain(in_from.iter().filter(|name| !judged(&tables, name)))
        .collect();
    assert!(missing.is_empty(), "in no list, or in two: {missing:?}");

    let gone: Vec<&&str> = expressions
        .iter()
        .filter(|name| !in_expressions.contains(**name) && !SYNTAX.contains(name) && !EXTENSIONS.contains(name))
        .chain(tables.iter().filter(|name| !in_from.contains(**name)))
        .collect();
    assert!(gone.is_empty(), "the engine doesn't have {gone:?}");
}

/// Macros whose bodies aggregate.
const AGGREGATING: [&str; 5] = ["geomean", "geometric_mean", "weighted_avg", "wavg", "histogram"];

#[test]
fn every_aggregate_of_the_engine_is_known_as_one() {
    let engine = Engine::open();
    let allowed: BTreeSet<&str> = lists::expressions().into_iter().collect();
    let mut wanted = functions(&engine, "'aggregate'");
    wanted.extend(AGGREGATING.map(str::to_owned));
    wanted.retain(|name| allowed.contains(&**name));
    let known: BTreeSet<String> = lists::aggregates().into_iter().map(str::to_owned).collect();
    assert_eq!(known, wanted);
}

#[test]
fn what_the_engine_calls_volatile_is_not_cached() {
    let engine = Engine::open();
    let mut statement = engine
        .connection
        .prepare(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions()
             WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')",
        )
        .unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let allowed = lists::expressions();
    for name in names {
        // `error` ends the query: nothing is cached.
        let known = !allowed.contains(&&*name) || lists::is_volatile(&name) || name == "error";
        assert!(known, "{name} changes from call to call");
    }
}
