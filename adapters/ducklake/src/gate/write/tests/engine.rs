//! The same statements before DuckDB's own parser.

use duckdb::Connection;

use super::super::{Action, Conflict, Merge, MergeOn, Part, Statement, read};
use super::corpus::honest;

/// Whether the engine's parser takes a text. Behind it stands what the parser refuses, so nothing is bound or run.
pub(super) fn parses(connection: &Connection, sql: &str) -> Result<(), String> {
    let error = connection.execute_batch(&format!("{sql}\n;SELECT 1 AS one gadwall_end")).unwrap_err().to_string();
    // The word alone tells where it is: the line that is quoted beside it may be another one after letters such as ü.
    if error.contains("syntax error at or near \"gadwall_end\"") { Ok(()) } else { Err(error) }
}

fn expression(part: &Part) -> String {
    format!("SELECT ({})", part.0)
}

/// The parts of a statement, each as a query.
fn queries(statement: &Statement) -> Vec<String> {
    let sets = |set: &[(String, Part)]| set.iter().map(|(_, part)| expression(part)).collect::<Vec<_>>();
    let mut found = Vec::new();
    match statement {
        Statement::Explain { query, .. } | Statement::CopyTo { query, .. } => found.push(query.0.clone()),
        Statement::Insert(insert) => {
            found.extend(insert.rows.iter().map(|part| part.0.clone()));
            if let Conflict::Update { set, filter, .. } = &insert.conflict {
                found.extend(sets(set));
                found.extend(filter.iter().map(expression));
            }
        }
        Statement::Update(update) => {
            found.extend(sets(&update.set));
            found.extend(update.filter.iter().map(expression));
            found.extend(update.from.iter().map(|part| format!("{} FROM t, {}", with(&update.with), part.0)));
        }
        Statement::Delete(delete) => {
            found.extend(delete.filter.iter().map(expression));
            found.extend(delete.using.iter().map(|part| format!("{} FROM t, {}", with(&delete.with), part.0)));
        }
        Statement::Merge(merge) => found.extend(merged(merge)),
        Statement::CreateTable(create) => found.extend(create.query.iter().map(|part| part.0.clone())),
        Statement::CreateView(create) => found.push(create.query.0.clone()),
        _ => {}
    }
    found
}

fn with(part: &Part) -> String {
    format!("{} SELECT 1", part.0)
}

fn merged(merge: &Merge) -> Vec<String> {
    let mut found = vec![format!("{} FROM t, {}", with(&merge.with), merge.source.0)];
    if let MergeOn::Condition(condition) = &merge.on {
        found.push(expression(condition));
    }
    for branch in &merge.branches {
        found.extend(branch.condition.iter().map(expression));
        match &branch.action {
            Action::Update(set) => found.extend(set.iter().map(|(_, part)| expression(part))),
            Action::Insert { values, .. } => found.extend(values.iter().map(expression)),
            _ => {}
        }
    }
    found
}

#[test]
fn the_engine_parses_every_honest_statement_and_its_parts() {
    let connection = Connection::open_in_memory().unwrap();
    let mut failures = Vec::new();
    let mut parts = 0;
    for (sql, _, known) in honest() {
        if known && let Err(error) = parses(&connection, &sql) {
            failures.push(format!("{sql}\n    {error}"));
        }
        for query in read(&sql).map(|statement| queries(&statement)).unwrap_or_default() {
            parts += 1;
            let serialized: String =
                connection.query_row("SELECT json_serialize_sql(?::VARCHAR)", [&query], |row| row.get(0)).unwrap();
            if !serialized.starts_with("{\"error\":false") {
                failures.push(format!("{sql}\n    part: {query}\n    {serialized}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(parts >= 150, "{parts} parts");
}

#[test]
fn what_the_engine_does_not_parse_is_told_from_what_it_does() {
    let connection = Connection::open_in_memory().unwrap();
    assert_eq!(parses(&connection, "DELETE FROM nowhere"), Ok(()));
    for broken in ["DELETE FROM", "DELETE FROM t WHERE", "SELECT )"] {
        assert!(parses(&connection, broken).is_err(), "{broken}");
    }
}

/// A word that is a name for us must be one for the engine, and the other way round.
#[test]
fn words_are_names_where_they_are_for_the_engine() {
    let connection = Connection::open_in_memory().unwrap();
    let mut words = connection.prepare("SELECT DISTINCT keyword_name FROM duckdb_keywords()").unwrap();
    let words: Vec<String> = words.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(words.len() > 300);
    let mut failures = Vec::new();
    for word in words {
        for sql in [
            format!("INSERT INTO {word} VALUES (1)"),
            format!("DELETE FROM t AS {word} USING u"),
            format!("CREATE TABLE t (a INT, {word} INT)"),
            format!("ALTER TABLE t RENAME TO {word}"),
            format!("ALTER TABLE t RENAME {word} TO b"),
            format!("INSERT INTO t (a, {word}) SELECT 1, 2"),
            format!("UPDATE t SET {word} = 1"),
            format!("COMMENT ON TABLE t.{word} IS 'x'"),
        ] {
            if read(&sql).is_ok() != parses(&connection, &sql).is_ok() {
                failures.push(sql);
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What comes out of a string must be what the engine takes it for.
#[test]
fn strings_say_what_they_say_to_the_engine() {
    let connection = Connection::open_in_memory().unwrap();
    for text in [
        "'a''b\\n'",
        "e'a\\'b\\\\\\n\\t''c'",
        "$$a'b$$",
        "$x$ $$ $x$",
        "''",
        "'ü\u{a0}'",
        "E'\\x41'",
        "e'\\101'",
        "e'\\u0041'",
        "e'\\q'",
        "$ü$a$ü$",
    ] {
        let engine: Result<String, _> = connection.query_row(&format!("SELECT {text}"), [], |row| row.get(0));
        if let Ok(Statement::CommentOnTable { comment, .. }) = read(&format!("COMMENT ON TABLE t IS {text}")) {
            assert_eq!(comment, engine.ok(), "{text}");
        } else {
            assert!(text.starts_with(['e', 'E']), "{text}");
        }
    }
}
