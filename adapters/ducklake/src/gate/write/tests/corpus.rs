//! The lists of honest and of refused statements in `testdata/`.

use super::super::{read, split};
use super::show::show;
use crate::gate::error::GateError;
use crate::gate::tests::corpus::{kind, statements};

/// Statements, each with what is read out of it below.
const HONEST: &str = include_str!("../../testdata/writes.sql");
const REFUSED: &str = include_str!("../../testdata/writes_refused.sql");

/// The honest statements and what they are expected to be; whether the engine knows them, too.
pub(super) fn honest() -> Vec<(String, String, bool)> {
    let mut found: Vec<(String, String, bool)> = Vec::new();
    let mut ours = false;
    for line in HONEST.lines() {
        if let Some(shown) = line.strip_prefix("--= ") {
            found.last_mut().expect("a statement stands above").1 = shown.to_owned();
        } else if let Some(comment) = line.strip_prefix("--") {
            ours = if let Some(value) = comment.strip_prefix(" only: ") { value == "gate" } else { ours };
        } else if line.starts_with(' ') {
            let statement = &mut found.last_mut().expect("a continued line has a first one").0;
            statement.push('\n');
            statement.push_str(line);
        } else if !line.is_empty() {
            found.push((line.to_owned(), String::new(), !ours));
        }
    }
    found
}

#[test]
fn honest_statements_are_read_as_written() {
    let honest = honest();
    let mut failures = Vec::new();
    for (sql, expected, _) in &honest {
        let shown = read(sql).map_or_else(|error| format!("refused: {error}"), |statement| show(&statement));
        if shown.replace('\n', "\\n") != *expected {
            failures.push(format!("{sql}\n--= {}\n    not {expected}", shown.replace('\n', "\\n")));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(honest.len() >= 120, "{} statements", honest.len());
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = statements(REFUSED, "expect:", "");
    let mut failures = Vec::new();
    for (expected, sql) in &refused {
        match read(sql) {
            Ok(statement) => failures.push(format!("READ: {sql}\n    {}", show(&statement))),
            Err(error) if kind(&error) != expected => {
                failures.push(format!("{}, not {expected}: {sql}\n    {error}", kind(&error)));
            }
            Err(_) => {}
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(refused.len() >= 100, "{} statements", refused.len());
}

#[test]
fn statements_are_split_where_they_end() {
    for (sql, expected) in [
        ("", &[][..]),
        (" ; -- x\n;", &[]),
        ("a;b", &["a", "b"]),
        (
            "a ';' /* ; */ \";\" $$;$$ $x$;$$;$x$ e'\\';' ; -- ;\n b ;",
            &["a ';' /* ; */ \";\" $$;$$ $x$;$$;$x$ e'\\';'", "b"],
        ),
    ] {
        assert_eq!(split(sql).unwrap(), expected, "{sql}");
    }
    for sql in ["a; 'b", "a; /* b", "a; \"b", "$$a; b", "'a'\n'b'; c", "a\0; b"] {
        assert!(matches!(split(sql), Err(GateError::Syntax { .. })), "{sql}");
    }
}

#[test]
fn refusals_say_what_to_write() {
    for (sql, expected) in [
        (
            "DELETE FROM t LIMIT 5",
            "DELETE at LIMIT is not supported here: write DELETE FROM table [AS alias] [USING …] [WHERE …]",
        ),
        (
            "INSERT INTO t VALUES (1) RETURNING a",
            "RETURNING of INSERT is not supported here: read the rows with a query of their own",
        ),
        ("UPDATE t SET a = (1", "the bracket ( has no partner"),
        ("SELCT 1", "no statement begins with SELCT"),
        (
            "ATTACH 'x'",
            "ATTACH is not allowed: a project's catalogs are attached by the server; link a bucket to read another project's tables",
        ),
    ] {
        assert_eq!(read(sql).unwrap_err().to_string(), expected, "{sql}");
    }
}

/// Nothing here recurses, and nothing is looked at again for each of what came before it.
#[test]
fn the_largest_texts_are_answered_in_time() {
    let cut = |head: &str, again: &str| {
        let mut sql = head.to_owned();
        while sql.len() + again.len() < 1 << 20 {
            sql.push_str(again);
        }
        sql
    };
    let started = std::time::Instant::now();
    for (head, again) in [
        ("", "EXPLAIN "),
        ("EXPLAIN ", "("),
        ("INSERT INTO t ", "("),
        ("INSERT INTO t ", "()"),
        ("INSERT INTO t SELECT ", "AS "),
        ("INSERT INTO t SELECT ", " DO NOTHING"),
        ("INSERT INTO t SELECT ", " ON CONFLICT ()"),
        ("INSERT INTO t VALUES (1)", ",(?)"),
        ("UPDATE t SET a=", "CASE "),
        ("UPDATE t SET a=1", ",b=1"),
        ("DELETE FROM t WHERE a", " IS DISTINCT FROM a"),
        ("DELETE FROM t WHERE ", "{["),
        ("MERGE INTO t USING u ON a ", "WHEN MATCHED AND a THEN DELETE "),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN UPDATE SET ", "CASE WHEN "),
        ("COPY t TO 'x' (a", ",b"),
        ("CREATE TABLE t (a INT", ",b INT[][]"),
        ("CREATE TABLE t (a INT", " NOT NULL"),
        ("", "WITH x AS ("),
        ("WITH x AS (SELECT 1)", ",y AS (SELECT 1)"),
        ("DELETE FROM t WHERE a = ", "$a"),
        ("DELETE FROM t WHERE a = ", "$a$ $b$ "),
        ("DELETE FROM t /*", "/* "),
        ("DELETE FROM t WHERE ", "=+-"),
        ("DELETE FROM t WHERE ", "1_"),
    ] {
        let _ = read(&cut(head, again));
    }
    let list: Vec<String> = (0..70_000).map(|number| format!("a{number}=1")).collect();
    assert!(read(&format!("UPDATE t SET {}", list.join(","))).is_ok());
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
