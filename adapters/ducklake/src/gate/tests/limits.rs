//! Sizes and depths: honest ones pass, the rest is refused in time and without overflowing a thread's stack.

use std::time::{Duration, Instant};

use super::super::{GateError, MAX_SQL, admit};
use super::corpus::kind;
use super::engine::Engine;

/// Statements nested `n` deep, of many shapes.
fn nested(n: usize) -> Vec<(&'static str, String)> {
    let around = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    vec![
        ("parentheses", format!("SELECT {}", around("(", "1", ")"))),
        ("additions", format!("SELECT 1{}", "+1".repeat(n))),
        ("not", format!("SELECT {}true", "NOT ".repeat(n))),
        ("calls", format!("SELECT {}", around("abs(", "1", ")"))),
        ("lists", format!("SELECT {}", around("[", "1", "]"))),
        ("structs", format!("SELECT {}", around("{a: ", "1", "}"))),
        ("subqueries", format!("SELECT {}", around("(SELECT ", "1", ")"))),
        ("from", format!("SELECT * FROM {}", around("(SELECT id FROM ", "sales.t", ")"))),
        ("with", around("WITH a AS (", "SELECT 1", ") SELECT 1")),
        ("cases", format!("SELECT {}", around("CASE WHEN true THEN ", "1", " END"))),
        ("joins", format!("SELECT 1 FROM sales.t a{}", " CROSS JOIN sales.t".repeat(n))),
        ("commas", format!("SELECT 1 FROM sales.t a{}", ", sales.t".repeat(n))),
        ("types", format!("SELECT NULL::INTEGER{}", "[]".repeat(n))),
        ("casts", format!("SELECT 1{}", "::INTEGER".repeat(n))),
        ("exists", format!("SELECT {}", around("EXISTS (SELECT ", "1", ")"))),
        ("describe", format!("SELECT * FROM {}", around("(DESCRIBE ", " sales.t", ")"))),
        ("unions", format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n))),
        ("conditions", format!("SELECT 1 WHERE 1 = 1{}", " AND 1 = 1".repeat(n))),
        ("values", format!("SELECT 1 IN (1{})", ", 1".repeat(n))),
        ("lambdas", format!("SELECT {}", around("lambda x: ", "1", ""))),
        ("arrows", format!("SELECT '{{}}'::JSON{}", " -> 'a'".repeat(n))),
        ("comments", format!("SELECT {} 1", around("/*", "", "*/"))),
    ]
}

#[test]
fn honest_depth_passes() {
    let engine = Engine::open();
    for (shape, sql) in nested(60) {
        let result = engine.gate(&sql);
        match shape {
            "lambdas" | "arrows" => assert_eq!(result.as_ref().err().map(kind), Some("too deep"), "{shape}"),
            _ => assert!(result.is_ok(), "{shape}: {:?}", result.err()),
        }
    }
    for (shape, sql) in nested(10) {
        assert!(engine.gate(&sql).is_ok() || shape == "lambdas", "{shape}");
    }
}

#[test]
fn any_depth_is_answered() {
    // Half the stack of the server's threads, in a build without optimisation.
    let worker = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        let engine = Engine::open();
        for n in [190, 375, 480, 960, 8_000] {
            for (shape, sql) in nested(n) {
                match engine.gate(&sql) {
                    Ok(_) => {}
                    Err(error) => assert!(
                        matches!(kind(&error), "too deep" | "too large" | "unsupported"),
                        "{shape} × {n}: {error}"
                    ),
                }
            }
        }
    });
    worker.unwrap().join().unwrap();
}

#[test]
fn large_texts_are_refused_before_they_are_parsed() {
    let ten = format!("SELECT {}1", "1,".repeat(5 << 20));
    assert!(matches!(admit(&ten), Err(GateError::TooLarge { limit: MAX_SQL, .. })));
    assert!(matches!(admit("SELECT '\0'"), Err(GateError::Syntax { position: Some(8), .. })));
}

#[test]
fn the_largest_texts_are_answered_in_time() {
    let engine = Engine::open();
    let begin = Instant::now();
    let long = format!("SELECT '{}'", "x".repeat(MAX_SQL - 100));
    assert!(engine.gate(&long).is_ok());
    let wide = format!("SELECT 1 IN (1{})", ",1".repeat(50_000));
    assert!(engine.gate(&wide).is_ok());
    let tree = format!("SELECT 1 IN (1{})", ",1".repeat(500_000));
    assert_eq!(engine.gate(&tree).err().as_ref().map(kind), Some("too large"));
    assert!(begin.elapsed() < Duration::from_mins(1));
}

#[test]
fn what_explodes_when_it_is_bound_is_refused() {
    let engine = Engine::open();
    let levels = 30;
    let doubled = format!("SELECT 1 FROM {}", "(SELECT *, * FROM ".repeat(levels) + "sales.t" + &")".repeat(levels));
    let named: Vec<String> =
        (1..levels).map(|i| format!("a{i} AS (SELECT * FROM a{} x, a{} y)", i - 1, i - 1)).collect();
    let chained = format!("WITH a0 AS (SELECT 1), {} SELECT 1 FROM a{}", named.join(", "), levels - 1);
    let inlined: Vec<String> =
        (1..levels).map(|i| format!("a{i} AS NOT MATERIALIZED (SELECT x.i FROM a{} x, a{} y)", i - 1, i - 1)).collect();
    let inlined =
        format!("WITH a0 AS NOT MATERIALIZED (SELECT 1 AS i), {} SELECT 1 FROM a{}", inlined.join(", "), levels - 1);
    let pivots: Vec<String> = (0..6).map(|c| format!("c{c} IN (1, 2, 3, 4, 5, 6, 7, 8, 9)")).collect();
    let pivot = format!("SELECT * FROM sales.t PIVOT (sum(id) FOR {})", pivots.join(" "));
    // NOT MATERIALIZED doesn't survive the engine's serialiser: each name is bound once.
    let (_, text) = engine.gate(&inlined).unwrap();
    let begin = Instant::now();
    engine.run(&text).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    for sql in [doubled, chained, pivot] {
        assert_eq!(engine.gate(&sql).err().as_ref().map(kind), Some("unsupported"), "{sql}");
    }
}
