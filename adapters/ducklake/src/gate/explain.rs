//! `EXPLAIN [ANALYZE] query`: the engine's parser gives no tree for it, so the head is cut off here, and the query behind
//! it passes the gate like any other. And the plan, told without what isn't the caller's business.

use std::fmt::Write as _;

use super::error::GateError;
use super::json::Json;
use super::tokens::{Token, Tokens};
use super::{MAX_DEPTH, parse};

/// An EXPLAIN, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Explain<'a> {
    /// Whether the query runs, and its plan says how long each step took.
    pub(crate) analyze: bool,
    /// The rest of the text, unchecked.
    pub(crate) query: &'a str,
}

/// What a plan says beside the query: files of the server, and names of ours.
const HIDDEN: [&str; 2] = ["Filename(s)", "CTE Name"];

/// Steps that are no part of the query.
const WRAPPERS: [&str; 2] = ["EXPLAIN_ANALYZE", "QUERY"];

/// The parts of the text, if it is an EXPLAIN.
pub(crate) fn explain(sql: &str) -> Option<Explain<'_>> {
    let mut tokens = Tokens::new(sql);
    let head = tokens.next().filter(|token| token.is("EXPLAIN"))?;
    let next: Vec<Token<'_>> = tokens.take(3).collect();
    let is_analyze = |token: &Token<'_>| token.is("ANALYZE") || token.is("ANALYSE");
    let analyze = match next.as_slice() {
        [word, ..] if is_analyze(word) => Some(word),
        [open, word, close] if open.text == "(" && is_analyze(word) && close.text == ")" => Some(close),
        _ => None,
    };
    let end = analyze.unwrap_or(&head).end();
    Some(Explain { analyze: analyze.is_some(), query: sql.get(end..).unwrap_or_default() })
}

impl Explain<'_> {
    /// What asks the engine for the plan of a query that the gate has passed, in the form that [`plan`] reads.
    pub(crate) fn statement(&self, checked: &str) -> String {
        format!("EXPLAIN ({}FORMAT json) {checked}", if self.analyze { "ANALYZE, " } else { "" })
    }
}

/// The engine's plan as lines, one step below the other. `clean` takes out what a text may not show.
///
/// # Errors
/// [`GateError::Unsupported`] if the engine tells no plan.
pub(crate) fn plan(json: &str, clean: &dyn Fn(&str) -> String) -> Result<String, GateError> {
    let tree = parse("", json, MAX_DEPTH)?;
    let none = || GateError::unsupported("EXPLAIN of this query", "leave out ANALYZE, or explain the query inside");
    let mut lines = String::new();
    let mut waiting: Vec<(usize, &Json<'_>)> = Vec::new();
    match &tree {
        Json::Array(steps) => below(&mut waiting, 0, steps),
        whole => {
            let seconds = number(whole, "latency").ok_or_else(none)?;
            let _ = writeln!(lines, "total time: {seconds:.6} s");
            below(&mut waiting, 0, children(whole));
        }
    }
    if waiting.is_empty() {
        return Err(none());
    }
    while let Some((depth, step)) = waiting.pop() {
        let name = ["operator_name", "name"].iter().find_map(|key| step.get(key)?.as_str()).unwrap_or("?").trim();
        if WRAPPERS.contains(&name) {
            below(&mut waiting, depth, children(step));
            continue;
        }
        let indent = "  ".repeat(depth);
        let _ = writeln!(lines, "{indent}{name}{}", measured(step));
        if let Some(Json::Object(info)) = step.get("extra_info") {
            for (key, value) in info.iter().filter(|(key, _)| !HIDDEN.contains(&&**key)) {
                let text = clean(&words(value)).replace('\n', " ");
                if !text.is_empty() {
                    let _ = writeln!(lines, "{indent}    {}: {text}", key.trim());
                }
            }
        }
        below(&mut waiting, depth + 1, children(step));
    }
    Ok(lines)
}

/// The first of the steps is told first.
fn below<'j, 'a>(waiting: &mut Vec<(usize, &'j Json<'a>)>, depth: usize, steps: &'j [Json<'a>]) {
    waiting.extend(steps.iter().rev().map(|step| (depth, step)));
}

fn children<'j, 'a>(step: &'j Json<'a>) -> &'j [Json<'a>] {
    match step.get("children") {
        Some(Json::Array(steps)) => steps,
        _ => &[],
    }
}

/// Rows and time, where the query ran.
fn measured(step: &Json<'_>) -> String {
    match (number(step, "operator_cardinality"), number(step, "operator_timing")) {
        (Some(rows), Some(seconds)) => format!(" ({rows} rows, {seconds:.6} s)"),
        _ => String::new(),
    }
}

fn number(step: &Json<'_>, key: &str) -> Option<f64> {
    match step.get(key)? {
        Json::Number(number) => number.parse().ok(),
        _ => None,
    }
}

fn words(value: &Json<'_>) -> String {
    match value {
        Json::Text(text) => text.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        Json::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_cut_off_and_nothing_else() {
        let cut = |sql| explain(sql).map(|found| (found.analyze, found.query));
        assert_eq!(cut("EXPLAIN SELECT 1"), Some((false, " SELECT 1")));
        assert_eq!(cut("explain analyze select 1"), Some((true, " select 1")));
        assert_eq!(cut("explain analyse select 1"), Some((true, " select 1")));
        assert_eq!(cut("-- why\n /* a /* b */ */ Explain/**/SELECT 1"), Some((false, "/**/SELECT 1")));
        assert_eq!(cut("\u{feff}EXPLAIN /* ANALYZE */ SELECT 1"), Some((false, " /* ANALYZE */ SELECT 1")));
        assert_eq!(cut("explain (Analyze) select 1"), Some((true, " select 1")));
        assert_eq!(cut("explain (select 1)"), Some((false, " (select 1)")));
        assert_eq!(cut("EXPLAIN"), Some((false, "")));
        assert_eq!(cut("EXPLAIN \"ANALYZE\" x"), Some((false, " \"ANALYZE\" x")));
        for sql in [
            "",
            "SELECT 1",
            "EXPLAINS SELECT 1",
            "\"EXPLAIN\" SELECT 1",
            "'EXPLAIN'",
            "/* EXPLAIN */ SELECT 1",
            "; EXPLAIN SELECT 1",
        ] {
            assert_eq!(cut(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_plan_is_told_without_files() {
        let json = r#"[{"name": "TOP_N", "extra_info": {"Top": "3", "Order By": "p_1.s.t.v ASC"}, "children": [
            {"name": "A", "children": [{"name": "B", "children": [], "extra_info": {}}], "extra_info": {"CTE Name": "x"}},
            {"name": "C", "children": [], "extra_info": {"Filename(s)": "/srv/x.parquet", "Columns": ["a", "b"]}}]}]"#;
        let told = plan(json, &|text| text.replace("p_1.", "")).unwrap();
        assert_eq!(told, "TOP_N\n    Top: 3\n    Order By: s.t.v ASC\n  A\n    B\n  C\n      Columns: a, b\n");
    }

    #[test]
    fn a_plan_that_ran_tells_rows_and_time() {
        let json = r#"{"latency": 0.25, "query_name": "EXPLAIN …", "extra_info": {}, "children": [
            {"operator_name": "EXPLAIN_ANALYZE", "children": [{"operator_name": "TABLE_SCAN ", "operator_cardinality": 3,
              "operator_timing": 1.5e-3, "extra_info": {"Total Files Read": "2"}, "children": []}]}]}"#;
        let told = plan(json, &str::to_owned).unwrap();
        assert_eq!(told, "total time: 0.250000 s\nTABLE_SCAN (3 rows, 0.001500 s)\n    Total Files Read: 2\n");
        assert!(plan(r#"{"result": "error"}"#, &str::to_owned).is_err());
        assert!(plan("[]", &str::to_owned).is_err());
    }
}
