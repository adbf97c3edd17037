//! The lists of honest queries and of attacks in `testdata/`.

use super::super::GateError;
use super::engine::Engine;

/// The queries of TPC-H, which the benchmark asks, and others.
pub(super) const HONEST: &str =
    concat!(include_str!("../../../../../tests/src/tpch/queries.sql"), "\n", include_str!("../testdata/honest.sql"));
const ATTACKS: &str = include_str!("../testdata/attacks.sql");

/// The statements of a file, each with the value of the last `-- key: value` line above it.
pub(in crate::gate) fn statements(file: &str, key: &str, default: &str) -> Vec<(String, String)> {
    let mut current = default.to_owned();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in file.lines() {
        if let Some(comment) = line.strip_prefix("--") {
            if let Some(value) = comment.trim().strip_prefix(key) {
                value.trim().clone_into(&mut current);
            }
        } else if line.starts_with(' ') {
            let (_, statement) = found.last_mut().expect("a continued line has a first one");
            statement.push('\n');
            statement.push_str(line);
        } else if !line.is_empty() {
            found.push((current.clone(), line.to_owned()));
        }
    }
    found
}

/// Without ORDER BY the engine's threads decide which row comes first.
fn same_rows(sql: &str, ours: &[String], theirs: &[String]) -> bool {
    if sql.to_ascii_uppercase().contains("ORDER BY") {
        return ours == theirs;
    }
    let sorted = |rows: &[String]| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows
    };
    sorted(ours) == sorted(theirs)
}

#[test]
fn every_honest_query_passes_and_answers_as_written() {
    let engine = Engine::open();
    let written = Engine::open_for_written_text();
    let mut compared = 0;
    let mut failures = Vec::new();
    let honest = statements(HONEST, "only:", "all");
    for (only, sql) in &honest {
        let (checked, text) = match engine.gate(sql) {
            Ok(passed) => passed,
            Err(error) => {
                failures.push(format!("refused: {error}\n    {sql}"));
                continue;
            }
        };
        if only == "gate" {
            continue;
        }
        let (columns, rows) = match engine.run(&text) {
            Ok(result) => result,
            Err(error) => {
                failures.push(format!("does not run: {error}\n    {sql}\n    {text}"));
                continue;
            }
        };
        if only == "rewritten" || !checked.deterministic {
            continue;
        }
        let expected = match written.run(sql.trim_end_matches([' ', ';'])) {
            Ok(result) => result,
            Err(error) => {
                failures.push(format!("does not run as written: {error}\n    {sql}"));
                continue;
            }
        };
        compared += 1;
        if !same_rows(sql, &rows, &expected.1) {
            failures.push(format!("answers something else:\n    {sql}\n    {text}\n    {expected:?}"));
        }
        // A column without an alias is named after its text, which the engine prints in its own way.
        let printed = written.print(&written.serialize(sql));
        let names = written.run(&printed).map_or(expected.0, |(names, _)| names);
        let same = |(ours, theirs): (&String, &String)| ours == theirs || ours.starts_with("(subquery");
        if names.len() != columns.len() || !columns.iter().zip(&names).all(same) {
            failures.push(format!("names its columns otherwise:\n    {sql}\n    {columns:?}\n    {names:?}"));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(compared >= 220 && honest.len() >= 280, "{compared} of {} compared", honest.len());
}

#[test]
fn no_attack_passes_and_each_is_named_for_what_it_is() {
    let engine = Engine::open();
    let attacks = statements(ATTACKS, "expect:", "");
    let mut failures = Vec::new();
    for (expected, sql) in &attacks {
        let found = match engine.gate(sql) {
            Ok((_, text)) => {
                failures.push(format!("PASSED: {sql}\n    {text}"));
                continue;
            }
            Err(error) => error,
        };
        if kind(&found) != expected {
            failures.push(format!("{}, not {expected}: {sql}\n    {found}", kind(&found)));
        }
        let shown = found.to_string();
        for word in ["BASE_TABLE", "TABLE_FUNCTION", "_NODE", "json_serialize", "p_test", "gw_cte"] {
            if shown.contains(word) && !sql.contains(word) {
                failures.push(format!("an internal name is shown: {shown}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let distinct: std::collections::HashSet<&String> = attacks.iter().map(|(_, sql)| sql).collect();
    assert!(distinct.len() == attacks.len() && attacks.len() >= 500, "{} of {}", distinct.len(), attacks.len());
}

pub(in crate::gate) fn kind(error: &GateError) -> &'static str {
    match error {
        GateError::Syntax { .. } => "syntax",
        GateError::Forbidden { .. } => "forbidden",
        GateError::Unsupported { .. } => "unsupported",
        GateError::UnknownTable { .. } => "unknown table",
        GateError::UnknownBucket { .. } => "unknown bucket",
        GateError::UnknownFunction { .. } => "unknown function",
        GateError::TooLarge { .. } => "too large",
        GateError::TooDeep { .. } => "too deep",
        GateError::MultipleStatements => "multiple",
        GateError::Unavailable(_) => "unavailable",
    }
}
