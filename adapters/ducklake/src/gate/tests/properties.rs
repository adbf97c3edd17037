//! Whatever comes in, the gate answers; and what it lets pass reads no table it wasn't given.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::super::classify::classify;
use super::super::{NameError, Names, ResolvedTable, admit, check, confirm};
use super::corpus::{HONEST, statements};
use super::engine::{Caller, Engine};

/// Knows every name, so that nothing ends a walk early.
struct Everything;

impl Names for Everything {
    fn table(&self, _: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        Ok(ResolvedTable {
            catalog: "p_any".into(),
            schema: schema.unwrap_or("main").into(),
            table: table.into(),
            linked: None,
        })
    }
}

/// Trees of the engine's shapes with anything in them.
fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "type",
        "class",
        "SELECT_NODE",
        "BASE_TABLE",
        "TABLE_FUNCTION",
        "FUNCTION",
        "node",
        "select_list",
        "from_table",
        "cte_map",
        "map",
        "key",
        "value",
        "children",
        "function_name",
        "table_name",
        "schema_name",
        "read_text",
        "STAR",
        "CONSTANT",
        "SHOW_REF",
        "query",
        "SUBQUERY",
        "subquery",
        "modifiers",
        "RECURSIVE_CTE_NODE",
        "left",
    ]);
    let text = prop_oneof![word.prop_map(str::to_owned), "[a-z\"\\\\\n]{0,6}"];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        text.clone().prop_map(|value| serde_json::Value::from(value).to_string()),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((text.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Pieces of SQL in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SELECT",
        "*",
        "FROM",
        "sales.t",
        "p_secret.main.payroll",
        "payroll",
        "(",
        ")",
        ",",
        "WITH x AS (",
        "x",
        "'a'",
        "\"a b\"",
        "read_text('/etc/passwd')",
        "WHERE",
        "id = 1",
        "UNION",
        "JOIN",
        "ON true",
        "1",
        "AS",
        "ORDER BY 1",
        ";",
        "--",
        "/*",
        "*/",
        "$1",
        "$$",
        "COLUMNS('a')",
        "PIVOT",
        "LIMIT 1",
        "'file.csv'",
        "GROUP BY ALL",
        "x -> x",
        "[1]",
        "LATERAL",
        "VALUES (1)",
        "RECURSIVE",
        "DESCRIBE",
        "sum(id) OVER ()",
        "::INTEGER",
        ".name",
        "AT (VERSION => 1)",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", other in any::<String>()) {
        let _ = admit(&text);
        let _ = classify(&text);
        let _ = classify(&other);
        let _ = check(&text, &other, &Everything, None);
    }

    #[test]
    fn no_tree_makes_it_panic(tree in tree()) {
        let wrapped = format!("{{\"error\":false,\"statements\":[{{\"node\":{tree}}}]}}");
        let _ = check("SELECT 1", &wrapped, &Everything, None);
        let _ = check("SELECT 1", &tree, &Everything, None);
    }

    #[test]
    fn a_cut_or_changed_tree_makes_no_panic(at in 0_usize..4_000, byte in any::<u8>()) {
        let sql = "WITH a AS (SELECT 1) SELECT sum(x) OVER (ORDER BY y), * EXCLUDE z FROM a, sales.t, range(3) WHERE id IN (SELECT 1)";
        let tree = TREE.with(|engine| engine.serialize(sql));
        let mut bytes = tree.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes.clone()) {
            let _ = check(sql, &changed, &Everything, None);
        }
        bytes.truncate(at);
        if let Ok(cut) = String::from_utf8(bytes) {
            prop_assert!(check(sql, &cut, &Everything, None).is_err());
        }
    }

    #[test]
    fn what_passes_reads_only_what_was_given(sql in pieces()) {
        TREE.with(|engine| {
            if let Ok((checked, text)) = engine.gate(&sql) {
                let given = |table: &ResolvedTable| table.catalog == "p_test" || table.catalog == "p_other";
                prop_assert!(checked.tables.iter().all(given), "{sql}: {text}");
                let code = without_quoted(&text);
                prop_assert!(!code.contains("FROM p_secret") && !code.contains("read_text("), "{sql}: {text}");
                let again = check(&text, &engine.serialize(&text), &Caller(engine), None);
                prop_assert!(again.is_ok() || text.contains("p_other") || text.contains("gw_cte"), "{sql}: {text}");
            }
            Ok(())
        })?;
    }
}

/// Texts of the corpora, cut and put together anew.
fn mutated() -> impl Strategy<Value = String> {
    let corpus: Vec<String> = [HONEST, include_str!("../testdata/attacks.sql")]
        .into_iter()
        .flat_map(|file| statements(file, "any:", ""))
        .map(|(_, sql)| sql)
        .filter(|sql| sql.len() < 400)
        .collect();
    let text = prop::sample::select(corpus);
    let change = (0_usize..400, 0_usize..400, 0_u8..7, "\\PC{0,3}");
    (text.clone(), text, prop::collection::vec(change, 1..4)).prop_map(|(one, other, changes)| {
        let mut letters: Vec<char> = one.chars().collect();
        let other: Vec<char> = other.chars().collect();
        for (from, to, kind, noise) in changes {
            let (from, to) = (from % (letters.len() + 1), to % (letters.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            match kind {
                0 => drop(letters.drain(from..to.min(from + 5))),
                1 => drop(letters.splice(from..from, noise.chars())),
                2 => {
                    let part: Vec<char> = letters[from..to].to_vec();
                    letters.splice(to..to, part);
                }
                3 => drop(letters.splice(from..to, other.iter().copied().skip(from).take(40))),
                4 => drop(letters.splice(from..from, format!("({}) ", String::from_iter(&other)).chars())),
                5 => letters.extend(" UNION ALL ".chars().chain(other.iter().copied())),
                _ => letters = format!("SELECT * FROM ({}) AS q", String::from_iter(&letters)).chars().collect(),
            }
        }
        letters.into_iter().collect()
    })
}

/// Queries of a small grammar: nearly all pass.
fn grown() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "1.50",
        "1e3",
        "'it''s'",
        "NULL",
        "true",
        "id",
        "name",
        "t.id",
        "$1",
        "DATE '2024-01-01'",
        "tags[1]",
        "info.a",
        "[1, 2]",
        "{'a': 1}",
        "MAP {'k': 1}",
        "count(*)",
        "INTERVAL 1 DAY",
        "'x'::JSON -> 'a'",
    ]);
    let expression = leaf.prop_map(str::to_owned).prop_recursive(5, 24, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "||",
            "=",
            "<",
            ">=",
            "AND",
            "OR",
            "IS DISTINCT FROM",
            "LIKE",
            "->>",
        ]);
        let call =
            prop::sample::select(vec!["abs", "upper", "coalesce", "list_value", "greatest", "typeof", "struct_pack"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
            (call, prop::collection::vec(inner.clone(), 0..3))
                .prop_map(|(name, of)| format!("{name}({})", of.join(", "))),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("NOT {a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("({a})::VARCHAR")),
            inner.clone().prop_map(|a| format!("list_transform([{a}], lambda x: x)")),
            inner.clone().prop_map(|a| format!("(SELECT {a} FROM sales.t LIMIT 1)")),
            inner.clone().prop_map(|a| format!("sum(id) OVER (PARTITION BY {a} ORDER BY id)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} BETWEEN {b} AND {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} NOT IN ({b}, 2)")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("CASE WHEN {a} THEN {b} ELSE 1 END")),
        ]
    });
    let from = prop::sample::select(vec![
        "",
        "FROM sales.t",
        "FROM sales.t AS t",
        "FROM sales.t t JOIN sales.u USING (id)",
        "FROM sales.t, sales.u u",
        "FROM sales.t t LEFT JOIN (sales.u CROSS JOIN hr.person) ON true",
        "FROM (SELECT * FROM sales.t) t",
        "FROM range(3) t(id)",
        "FROM sales.t AT (VERSION => 1)",
        "FROM x",
        "FROM hr.events NATURAL JOIN hr.person",
        "FROM (PIVOT sales.t ON name IN ('a', 'b') USING sum(amount))",
        "FROM sales.t, LATERAL (SELECT t.id AS y)",
    ]);
    let rest = prop::sample::select(vec![
        "",
        "GROUP BY ALL",
        "ORDER BY ALL",
        "LIMIT 3",
        "ORDER BY 1 DESC NULLS LAST LIMIT 50% OFFSET 1",
        "GROUP BY ROLLUP (id)",
        "QUALIFY row_number() OVER (ORDER BY id) = 1",
        "UNION ALL SELECT 1",
        "EXCEPT (SELECT 2 ORDER BY 1)",
        "WINDOW w AS (ORDER BY id)",
        "USING SAMPLE 10%",
    ]);
    (expression.clone(), expression.clone(), expression, from, rest, any::<bool>()).prop_map(
        |(a, b, c, from, rest, with)| {
            let with = if with { "WITH x AS (SELECT 1 AS id, 'a' AS name) " } else { "" };
            let condition = if from.is_empty() { String::new() } else { format!("WHERE {c}") };
            format!("{with}SELECT {a} AS a, {b} {from} {condition} {rest}")
        },
    )
}

/// What passes reads only what was given, and is printed as what it is.
fn holds(engine: &Engine, sql: &str) -> Result<(), TestCaseError> {
    let Ok((checked, text)) = engine.gate(sql) else { return Ok(()) };
    let given = |table: &ResolvedTable| table.catalog == "p_test" || table.catalog == "p_other";
    prop_assert!(checked.tables.iter().all(given), "{sql}: {text}");
    prop_assert!(checked.files.is_empty(), "{sql}: {text}");
    // What runs is what was checked, whoever looks; and the same text is always answered alike.
    prop_assert!(confirm(&text, &engine.serialize(&text), &checked).is_ok(), "{sql}: {text}");
    let again = engine.gate(sql).map(|(_, again)| again);
    prop_assert_eq!(again, Ok(text), "{}", sql);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_texts_of_the_corpora_are_answered(sql in mutated()) {
        TREE.with(|engine| holds(engine, &sql))?;
    }

}

proptest! {
    // Most of these pass the gate, and so are parsed and printed several times.
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grown_queries_are_answered(sql in grown()) {
        TREE.with(|engine| holds(engine, &sql))?;
    }
}

#[test]
fn grown_queries_pass_often_enough_to_mean_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let engine = Engine::open();
    let sql = || grown().new_tree(&mut runner).unwrap().current();
    let passed = std::iter::repeat_with(sql).take(80).filter(|sql| engine.gate(sql).is_ok()).count();
    assert!(passed > 40, "{passed}");
}

thread_local! {
    static TREE: Engine = Engine::open();
}

/// A printed statement without what stands in quotes: what is left is what does something. A name in quotes that must
/// not be read is caught by the list of tables.
fn without_quoted(text: &str) -> String {
    let mut code = String::new();
    let mut within = None;
    for letter in text.chars() {
        match within {
            Some(quote) if letter == quote => within = None,
            Some(_) => {}
            None if letter == '\'' || letter == '"' => within = Some(letter),
            None => code.push(letter),
        }
    }
    code
}

#[test]
fn quoted_text_is_left_out_and_the_rest_is_not() {
    assert_eq!(without_quoted("SELECT 'read_text(''x'')' AS \"a 'b\", read_text(1)"), "SELECT  AS , read_text(1)");
}
