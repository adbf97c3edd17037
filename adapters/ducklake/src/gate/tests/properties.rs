//! Whatever comes in, the gate answers; and what it lets pass reads no table it wasn't given.

use proptest::prelude::*;

use super::super::classify::classify;
use super::super::{NameError, Names, ResolvedTable, admit, check};
use super::engine::{Caller, Engine};

/// Knows every name, so that nothing ends a walk early.
struct Everything;

impl Names for Everything {
    fn table(&self, _: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        Ok(ResolvedTable { catalog: "p_any".into(), schema: schema.unwrap_or("main").into(), table: table.into() })
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
