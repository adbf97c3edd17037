//! Documents of each form, good and bad.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn id(text: &str) -> SchemaId {
    SchemaId::parse(text).unwrap()
}

fn parse(document: &Value) -> OntologySchema {
    OntologySchema::parse(&id("orders"), document).unwrap()
}

/// What is wrong with a document, with its place.
fn refusal(document: &Value) -> String {
    OntologySchema::parse(&id("orders"), document).unwrap_err().to_string()
}

/// Columns as `name TYPE`, with `?` where NULL is allowed.
fn columns(schema: &OntologySchema) -> Vec<String> {
    let told = |field: &Field| {
        let column = &field.column;
        format!("{} {}{}", column.name, column.data_type.spelling(), if column.nullable { "?" } else { "" })
    };
    schema.fields().iter().map(told).collect()
}

#[test]
fn a_plain_list_of_columns_is_a_table() {
    let schema = parse(&json!({
        "name": "people", "description": "Who", "version": 3,
        "columns": [
            { "name": "id", "type": "uuid", "fill": "uuid", "description": "Identifies" },
            { "name": "age", "type": "INT", "required": false, "minimum": 0, "exclusiveMaximum": 150 },
            { "name": "kind", "type": "TEXT", "enum": ["a", "b"], "default": "a", "aliases": ["type"], "unknown": 1 },
        ],
    }));
    assert_eq!((schema.name.as_str(), schema.version.as_deref()), ("people", Some("3")));
    assert_eq!(columns(&schema), ["id UUID", "age INTEGER?", "kind VARCHAR"]);
    assert_eq!(schema.table().key_columns()[0].as_str(), "id", "what is filled in identifies");
    let age = &schema.fields()[1].column.checks;
    assert_eq!(age.minimum.as_ref().map(|bound| (bound.value.as_str(), bound.exclusive)), Some(("0", false)));
    assert_eq!(age.maximum.as_ref().map(|bound| (bound.value.as_str(), bound.exclusive)), Some(("150", true)));
    let kind = &schema.fields()[2];
    assert_eq!(kind.column.checks.one_of.len(), 2);
    assert_eq!(kind.aliases[0].as_str(), "type");
    let unnamed = parse(&json!({ "columns": [{ "name": "a", "type": "INT" }] }));
    assert_eq!(unnamed.name.as_str(), "projects");
}

#[test]
fn properties_of_json_schema_are_columns() {
    let schema = parse(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "required": ["id", "total"],
        "properties": {
            "id": { "type": "string", "format": "uuid", "readOnly": true },
            "name": { "type": ["string", "null"], "maxLength": 20, "minLength": 2 },
            "total": { "type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 999.99 },
            "rate": { "type": "number" },
            "n": { "type": "integer", "format": "int32" },
            "big": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            "at": { "type": "string", "format": "date-time" },
            "day": { "type": "string", "format": "date" },
            "tags": { "type": "array", "items": { "type": "string", "maxLength": 5 } },
            "place": { "$ref": "#/$defs/place" },
            "extra": { "type": "object", "additionalProperties": { "type": "number" } },
            "any": {},
            "raw": { "type": "string", "contentEncoding": "base64" },
            "state": { "enum": ["open", "shut", null], "type": ["string", "null"], "default": "open" },
            "fixed": { "type": "string", "const": "x", "x-aliases": ["constant"] },
            "exact": { "x-duckdb-type": "DECIMAL(20,4)", "type": "number" },
        },
        "$defs": { "place": {
            "type": "object",
            "properties": { "street": { "type": "string" }, "at": { "$ref": "#/$defs/point" } },
        }, "point": { "properties": { "x": { "type": "number" } } } },
    }));
    let expected = [
        "id UUID",
        "name VARCHAR(20)?",
        "total DECIMAL(5,2)",
        "rate DOUBLE?",
        "n INTEGER?",
        "big BIGINT?",
        "at TIMESTAMP WITH TIME ZONE?",
        "day DATE?",
        "tags VARCHAR[]?",
        "place STRUCT(street VARCHAR, at STRUCT(x DOUBLE))?",
        "extra MAP(VARCHAR, DOUBLE)?",
        "any JSON?",
        "raw BLOB?",
        "state VARCHAR?",
        "fixed VARCHAR?",
        "exact DECIMAL(20,4)?",
    ];
    assert_eq!(columns(&schema), expected);
    assert_eq!(schema.name.as_str(), "orders", "the id names it");
    assert_eq!(schema.fields()[0].fill, Some(Fill::Uuid));
    let held = |name: &str| schema.field(&ColumnName::parse(name).unwrap()).unwrap().column.checks.clone();
    assert_eq!(held("name").min_length, Some(2));
    assert_eq!(held("state").one_of.len(), 2);
    assert_eq!(held("fixed").one_of[0].as_str(), "x");
}

#[test]
fn an_object_of_a_data_contract_is_a_table() {
    let document = json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "x", "version": "1.2.0", "status": "active",
        "schema": [
            { "name": "others", "properties": [{ "name": "a", "logicalType": "string" }] },
            { "name": "orders", "physicalName": "sales.orders_v1", "description": "What we sold", "properties": [
                { "name": "line", "logicalType": "integer", "primaryKey": true, "primaryKeyPosition": 2, "required": true },
                { "name": "id", "logicalType": "string", "primaryKey": true, "primaryKeyPosition": 1, "required": true,
                  "logicalTypeOptions": { "format": "uuid" } },
                { "name": "code", "logicalType": "string", "logicalTypeOptions": { "maxLength": 8, "pattern": "^[A-Z]+$" } },
                { "name": "price", "logicalType": "number", "physicalType": "DECIMAL(10,2)",
                  "logicalTypeOptions": { "minimum": 0 } },
                { "name": "at", "logicalType": "timestamp", "logicalTypeOptions": { "timezone": true } },
                { "name": "tags", "logicalType": "array", "items": { "logicalType": "string" } },
                { "name": "place", "logicalType": "object", "properties": [{ "name": "x", "logicalType": "number" }] },
            ] },
        ],
    });
    let schema = parse(&document);
    assert_eq!((schema.name.as_str(), schema.version.as_deref()), ("orders_v1", Some("1.2.0")));
    let expected = [
        "line BIGINT",
        "id UUID",
        "code VARCHAR(8)?",
        "price DECIMAL(10,2)?",
        "at TIMESTAMP WITH TIME ZONE?",
        "tags VARCHAR[]?",
        "place STRUCT(x DOUBLE)?",
    ];
    assert_eq!(columns(&schema), expected);
    let key: Vec<&str> = schema.table().key_columns().iter().map(ColumnName::as_str).collect();
    assert_eq!(key, ["id", "line"]);
    let missing = OntologySchema::parse(&id("none"), &document).unwrap_err();
    assert_eq!(missing.path, "/schema");
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    for (document, told) in [
        (json!([]), "a schema is a JSON object"),
        (json!({}), "it is in none of the known forms"),
        (json!({ "columns": [] }), "/columns: a table needs at least one column"),
        (json!({ "columns": [{ "name": "a" }] }), "/columns/0/type: is missing"),
        (json!({ "columns": [{ "name": "a", "type": "WHAT" }] }), "/columns/0/type: \"WHAT\" is not a type"),
        (json!({ "columns": [{ "name": "a;", "type": "INT" }] }), "/columns/0/name"),
        (json!({ "columns": [{ "name": "a", "type": "INT", "required": "yes" }] }), "/columns/0/required"),
        (json!({ "columns": [{ "name": "a", "type": "INT", "enum": [[]] }] }), "/columns/0/enum/0"),
        (json!({ "columns": [{ "name": "a", "type": "INT", "pattern": "x" }] }), "/columns: the checks of column a"),
        (
            json!({ "columns": [{ "name": "a", "type": "INT" }, { "name": "A", "type": "INT" }] }),
            "/columns: column \"A\"",
        ),
        (json!({ "columns": "x" }), "/columns: must be a list"),
        (json!({ "properties": { "a/b": { "type": "strange" } } }), "/properties/a~1b/type"),
        (json!({ "properties": { "a": { "$ref": "#/properties/a" } } }), "references go in a circle"),
        (json!({ "properties": { "a": { "$ref": "http://x/y" } } }), "only references within the document"),
        (json!({ "properties": {}, "required": ["a"] }), "/required: names \"a\""),
        (json!({ "apiVersion": "v3.1.0", "schema": [] }), "/schema: holds no object"),
        (
            json!({ "apiVersion": "v3.1.0", "schema": [{ "name": "t", "properties": [{ "name": "a" }] }] }),
            "/schema/0/properties/0/logicalType: is missing",
        ),
    ] {
        let refused = refusal(&document);
        assert!(refused.starts_with(told) || refused.contains(told), "{document}: {refused}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut deep = json!({ "type": "integer" });
    for _ in 0..200 {
        deep = json!({ "type": "array", "items": deep });
    }
    assert!(refusal(&json!({ "properties": { "a": deep } })).contains("levels deep"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "columns",
        "name",
        "type",
        "properties",
        "$ref",
        "#/properties/a",
        "items",
        "object",
        "array",
        "anyOf",
        "schema",
        "apiVersion",
        "logicalType",
        "required",
        "enum",
        "minimum",
        "a",
    ];
    let word = proptest::sample::select(words.to_vec());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(word.clone(), inner, 0..6)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(document in any_json()) {
        let _ = OntologySchema::parse(&id("a"), &document);
        let _ = OntologySchema::parse(&id("a"), &json!({ "properties": document.clone() }));
        let _ = OntologySchema::parse(&id("a"), &json!({ "columns": [document] }));
    }
}
