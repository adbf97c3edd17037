//! Conditions as clients write them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Assignment, Comparison, Filter, Literal};
use crate::names::ColumnName;
use crate::schema::Column;
use crate::types::DataType;

fn columns() -> Vec<Column> {
    let column = |name: &str, data_type: &str| {
        Column::new(ColumnName::parse(name).unwrap(), DataType::parse(data_type).unwrap())
    };
    vec![
        column("id", "BIGINT"),
        column("US Gross", "VARCHAR"),
        column("ok", "BOOLEAN"),
        column("j", "JSON"),
        column("d", "DECIMAL(38,2)"),
    ]
}

fn parse(json: &str) -> Result<Filter, String> {
    Filter::parse(json, &columns()).map_err(|error| error.to_string())
}

fn read(document: &Value) -> Result<Filter, String> {
    parse(&document.to_string())
}

fn name(text: &str) -> ColumnName {
    ColumnName::parse(text).unwrap()
}

#[test]
fn conditions_are_read() {
    let document = json!({"and": [
        {"column": "ID", "op": "ge", "value": 3},
        {"not": {"column": "US Gross", "op": "like", "value": "a%"}},
        {"or": [{"column": "id", "op": "in", "value": [1, "2"]}, {"column": "j", "op": "is_null"}]},
    ]});
    let Ok(Filter::All(parts)) = read(&document) else { panic!() };
    let value = Literal::new("3");
    assert_eq!(parts[0], Filter::Compare { column: name("id"), operator: Comparison::Ge, value });
    let like = Filter::Like { column: name("US Gross"), pattern: "a%".to_owned() };
    assert_eq!(parts[1], Filter::Not(Box::new(like)));
    let Filter::Any(either) = &parts[2] else { panic!() };
    let values = vec![Literal::new("1"), Literal::new("2")];
    assert_eq!(either[0], Filter::In { column: name("id"), values });
    assert_eq!(either[1], Filter::IsNull { column: name("j") });
    let between = read(&json!({"column": "id", "op": "between", "value": [1, 2]})).unwrap();
    assert!(matches!(between, Filter::All(bounds) if bounds.len() == 2));
}

#[test]
fn numbers_keep_every_digit() {
    for number in ["9007199254740993", "12345678901234567890123456789012345.67", "-0.10", "1e5"] {
        let Ok(Filter::Compare { value, .. }) =
            parse(&format!("{{\"column\": \"d\", \"op\": \"eq\", \"value\": {number}}}"))
        else {
            panic!()
        };
        assert_eq!(value.as_str(), number);
        let set = Assignment::parse_all(&format!("{{\"d\": {number}, \"j\": [{number}]}}"), &columns()).unwrap();
        assert_eq!(set[0].value.as_ref().unwrap().as_str(), number);
        assert_eq!(set[1].value.as_ref().unwrap().as_str(), format!("[{number}]"));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        (json!(3), "filter: a condition is an object"),
        (json!({}), "filter: column is missing"),
        (json!({"and": []}), "filter.and: it is a list"),
        (json!({"and": {}}), "filter.and: it is a list"),
        (json!({"and": [{"column": "no", "op": "eq", "value": 1}]}), "filter.and[0].column: the table has no column"),
        (json!({"column": "id", "op": "is", "value": 1}), "filter.op: \"is\" is not an operator"),
        (json!({"column": "id", "op": "eq", "value": null}), "filter.value: NULL is neither"),
        (json!({"column": "id", "op": "in", "value": [1, null]}), "filter.value[1]: NULL is neither"),
        (json!({"column": "id", "op": "in", "value": []}), "filter.value: it is a list of at least one value"),
        (json!({"column": "id", "op": "eq"}), "filter: value is missing"),
        (json!({"column": "id", "op": "is_null", "value": 1}), "filter: is_null takes no value"),
        (json!({"column": "id", "op": "eq", "value": true}), "filter.value: it doesn't fit column id"),
        (json!({"column": "ok", "op": "eq", "value": 1}), "filter.value: it doesn't fit column ok"),
        (json!({"column": "id", "op": "like", "value": "1"}), "filter.value: column id is not text"),
        (json!({"column": "j", "op": "eq", "value": "1"}), "filter: column j is of type JSON"),
        (json!({"column": "id", "op": "eq", "value": 1, "x": 1}), "filter: \"x\" is not a member"),
        (json!({"and": [{"column": "id", "op": "is_null"}], "x": 1}), "filter: \"and\" is not a member"),
        (json!({"column": "id", "op": "between", "value": [1]}), "filter.value: between takes"),
        (json!({"column": "US Gross", "op": "eq", "value": "a\u{0}"}), "filter.value: a value has no NUL"),
        (json!({"column": "US Gross", "op": "like", "value": "a\u{0}"}), "filter.value: a value has no NUL"),
    ];
    for (document, expected) in cases {
        let error = read(&document).unwrap_err();
        assert!(error.starts_with(expected), "{document}: {error}");
    }
    assert!(parse("{\"column\": \"id\", \"column\": \"d\"}").unwrap_err().contains("twice"));
    for no_json in ["", "x", "{", "{\"and\": [", "nul", "\"\\ud800\""] {
        assert!(parse(no_json).unwrap_err().starts_with("filter: "), "{no_json}");
    }
}

#[test]
fn bombs_are_refused() {
    let leaf = r#"{"column": "id", "op": "eq", "value": 1}"#;
    for levels in [100, 100_000] {
        let deep = format!("{}{leaf}{}", "{\"not\":".repeat(levels), "}".repeat(levels));
        assert!(parse(&deep).unwrap_err().contains("deep"));
    }
    let wide = vec![leaf; 2_000].join(",");
    assert!(parse(&format!("{{\"or\": [{wide}]}}")).unwrap_err().contains("parts"));
    let many: Vec<Value> = (0..20_000).map(Value::from).collect();
    assert!(read(&json!({"column": "id", "op": "in", "value": many})).unwrap_err().contains("values"));
    let long = "x".repeat(2_000_000);
    assert!(read(&json!({"column": "US Gross", "op": "eq", "value": long})).unwrap_err().contains("bytes"));
    let members: Vec<String> = (0..5_000).map(|i| format!("\"m{i}\": 1")).collect();
    assert!(parse(&format!("{{{}}}", members.join(","))).unwrap_err().contains("at most"));
}

#[test]
fn new_values_are_read_by_column() {
    let set = r#"{"id": 3, "US Gross": null, "j": {"a": [1]}}"#;
    let all = Assignment::parse_all(set, &columns()).unwrap();
    let values: Vec<_> = all.iter().map(|one| one.value.as_ref().map(Literal::as_str)).collect();
    assert_eq!(values, [Some("3"), None, Some(r#"{"a": [1]}"#)]);
    let deep = format!("{{\"j\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bad = [
        "{}",
        "[]",
        "3",
        r#"{"no": 1}"#,
        r#"{"id": 1, "ID": 2}"#,
        r#"{"id": 1, "id": 2}"#,
        r#"{"id": {"a": 1}}"#,
        r#"{"j": "\ud800"}"#,
        r#"{"j": 1e999}"#,
        r#"{"US Gross": "\u0000"}"#,
        &deep,
    ];
    for bad in bad {
        let error = Assignment::parse_all(bad, &columns()).unwrap_err().to_string();
        assert!(error.starts_with("set") && error.len() < 300, "{error}");
    }
}

/// A condition as a client would write it.
fn written(filter: &Filter) -> Value {
    let operator = |operator: Comparison| match operator {
        Comparison::Eq => "eq",
        Comparison::Ne => "ne",
        Comparison::Lt => "lt",
        Comparison::Le => "le",
        Comparison::Gt => "gt",
        Comparison::Ge => "ge",
    };
    match filter {
        Filter::All(parts) => json!({ "and": parts.iter().map(written).collect::<Vec<_>>() }),
        Filter::Any(parts) => json!({ "or": parts.iter().map(written).collect::<Vec<_>>() }),
        Filter::Not(inner) => json!({ "not": written(inner) }),
        Filter::Compare { column, operator: how, value } => {
            json!({ "column": column.as_str(), "op": operator(*how), "value": value.as_str() })
        }
        Filter::In { column, values } => {
            let values: Vec<&str> = values.iter().map(Literal::as_str).collect();
            json!({ "column": column.as_str(), "op": "in", "value": values })
        }
        Filter::Like { column, pattern } => json!({ "column": column.as_str(), "op": "like", "value": pattern }),
        Filter::IsNull { column } => json!({ "column": column.as_str(), "op": "is_null" }),
    }
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let column = || prop_oneof![Just("id"), Just("US Gross"), Just("d")].prop_map(name);
    let value = || "[^\u{0}]{0,12}".prop_map(Literal::new);
    let how = prop_oneof![
        Just(Comparison::Eq),
        Just(Comparison::Ne),
        Just(Comparison::Lt),
        Just(Comparison::Le),
        Just(Comparison::Gt),
        Just(Comparison::Ge)
    ];
    let leaf = prop_oneof![
        (column(), how, value()).prop_map(|(column, operator, value)| Filter::Compare { column, operator, value }),
        (column(), prop::collection::vec(value(), 1..4)).prop_map(|(column, values)| Filter::In { column, values }),
        "[^\u{0}]{0,12}".prop_map(|pattern| Filter::Like { column: name("US Gross"), pattern }),
        column().prop_map(|column| Filter::IsNull { column }),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Filter::Any),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(filter in any_filter()) {
        prop_assert_eq!(read(&written(&filter)), Ok(filter));
    }

    #[test]
    fn any_text_is_read_or_refused(text in r#"[{}\[\]",:a-z0-9 \\]{0,60}"#) {
        let _ = parse(&text);
        let _ = Assignment::parse_all(&text, &columns());
    }

    #[test]
    fn any_document_is_read_or_refused_with_a_short_error(
        op in "[a-z_]{0,12}", column in ".{0,60}", value in ".{0,60}", number in any::<i64>()
    ) {
        for value in [json!(value), json!(number), json!([number, value])] {
            let document = json!({"or": [{"column": column, "op": op, "value": value}]});
            if let Err(error) = read(&document) {
                prop_assert!(error.len() < 600, "{}", error);
            }
        }
    }
}
