//! A contract that is proposed: what a table is, and what its rows keep now.

use gadwall_domain::check::{Bound, Check};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{ColumnProfile, TableProfile};
use gadwall_domain::schema::Column;
use gadwall_domain::table::Table;
use gadwall_domain::types::DataType;
use serde_json::{Map, Number, Value, json};

/// Values that a column may have at most to be proposed as its only ones.
const FEW_VALUES: u64 = 8;
/// Rows that it takes to take them for the only ones.
const ENOUGH_ROWS: u64 = 50;

/// Proposes a contract.
pub(super) fn contract(project: &ProjectId, table: &Table, profile: &TableProfile) -> Value {
    let name = &table.name;
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(name.table));
    object.insert("physicalName".to_owned(), json!(name.table));
    object.insert("physicalType".to_owned(), json!("table"));
    object.insert("logicalType".to_owned(), json!("object"));
    if let Some(comment) = &table.comments.table {
        object.insert("description".to_owned(), json!(comment));
    }
    let properties = table.schema.columns().iter().map(|column| {
        let found = profile.columns.iter().find(|found| found.column == column.name);
        property(table, column, found, profile.rows)
    });
    object.insert("properties".to_owned(), properties.collect());
    if profile.rows > 0 {
        let filled =
            json!({ "id": "not_empty", "metric": "rowCount", "mustBeGreaterThan": 0, "dimension": "completeness" });
        object.insert("quality".to_owned(), json!([filled]));
    }
    json!({
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": format!("{project}.{name}"),
        "name": name.table,
        "version": "1.0.0",
        "status": "draft",
        "schema": [object],
    })
}

fn property(table: &Table, column: &Column, found: Option<&ColumnProfile>, rows: u64) -> Value {
    let mut property = Map::new();
    property.insert("name".to_owned(), json!(column.name));
    property.insert("logicalType".to_owned(), json!(logical_type(&column.data_type)));
    property.insert("physicalType".to_owned(), json!(column.data_type.spelling()));
    if let Some(comment) = table.comments.columns.get(&column.name) {
        property.insert("description".to_owned(), json!(comment));
    }
    let full = rows > 0 && found.is_some_and(|found| found.nulls == 0);
    if !column.nullable || full {
        property.insert("required".to_owned(), json!(true));
    }
    let key = table.schema.key_columns();
    if let Some(position) = key.iter().position(|name| *name == column.name) {
        property.insert("primaryKey".to_owned(), json!(true));
        property.insert("primaryKeyPosition".to_owned(), json!(position + 1));
        if key.len() == 1 {
            property.insert("unique".to_owned(), json!(true));
        }
    }
    let options = options(column);
    if !options.is_empty() {
        property.insert("logicalTypeOptions".to_owned(), Value::Object(options));
    }
    if let Some(rule) = found.and_then(|found| only_values(column, found)) {
        property.insert("quality".to_owned(), json!([rule]));
    }
    Value::Object(property)
}

/// The standard's word for what values of a type are.
fn logical_type(data_type: &DataType) -> &'static str {
    use DataType::{
        BigInt, Boolean, Date, Decimal, Double, Float, Integer, Json, List, Map, SmallInt, Struct, Time, Timestamp,
        TimestampMs, TimestampNs, TimestampS, TimestampTz, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt, Variant,
    };
    match data_type {
        TinyInt | SmallInt | Integer | BigInt | UTinyInt | USmallInt | UInteger | UBigInt => "integer",
        Float | Double | Decimal { .. } => "number",
        Boolean => "boolean",
        Date => "date",
        Time => "time",
        Timestamp | TimestampTz | TimestampS | TimestampMs | TimestampNs => "timestamp",
        List(_) => "array",
        Struct(_) | Map(..) | Json | Variant => "object",
        _ => "string",
    }
}

/// The checks that the standard has words for.
fn options(column: &Column) -> Map<String, Value> {
    let mut options = Map::new();
    if let Some(most) = column.data_type.max_chars() {
        options.insert("maxLength".to_owned(), json!(most));
    }
    for check in column.checks.each() {
        let (name, value) = match check {
            Check::Pattern(pattern) => ("pattern", json!(pattern)),
            Check::MinLength(least) => ("minLength", json!(least)),
            Check::Minimum(bound) if bound.exclusive => ("exclusiveMinimum", end(column, bound)),
            Check::Minimum(bound) => ("minimum", end(column, bound)),
            Check::Maximum(bound) if bound.exclusive => ("exclusiveMaximum", end(column, bound)),
            Check::Maximum(bound) => ("maximum", end(column, bound)),
            Check::OneOf(_) => continue,
        };
        if !value.is_null() {
            options.insert(name.to_owned(), value);
        }
    }
    options
}

/// An end of a range as the standard has it: numbers for numbers, text for times, and none for others.
fn end(column: &Column, bound: &Bound) -> Value {
    let text = bound.value.as_str();
    match logical_type(&column.data_type) {
        "integer" | "number" => text.trim().parse::<Number>().map_or(Value::Null, Value::Number),
        "date" | "time" | "timestamp" => json!(text),
        _ => Value::Null,
    }
}

/// Text of which few values occur, each often: others are worth a warning.
fn only_values(column: &Column, found: &ColumnProfile) -> Option<Value> {
    let is_text = matches!(column.data_type, DataType::Varchar(_) | DataType::Char(_));
    let seen: u64 = found.top.iter().map(|(_, count)| count).sum();
    let few = found.top.len() as u64 <= FEW_VALUES && seen == found.count && found.count >= ENOUGH_ROWS;
    if !is_text || !few || found.top.is_empty() {
        return None;
    }
    let mut values: Vec<&Value> = found.top.iter().map(|(value, _)| value).collect();
    values.sort_by_key(ToString::to_string);
    Some(json!({
        "id": format!("{}_known", column.name),
        "metric": "invalidValues",
        "mustBe": 0,
        "severity": "warning",
        "dimension": "conformity",
        "arguments": { "validValues": values },
    }))
}
