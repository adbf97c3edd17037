//! What the caller may see, as rows inside a query: a JSON text that the engine turns into structs. A VALUES list would
//! be twenty times as large as a tree.

use gadwall_domain::types::DataType;
use serde_json::{Map, Value, json};

use super::{ALIAS, Relation, Visible, VisibleBucket, VisibleColumn, VisibleTable, VisibleType};
use crate::sql;

type Field<T> = (&'static str, &'static str, fn(&T) -> Value);

type OfBucket<'v> = (&'v VisibleBucket, &'v str);
type OfTable<'v> = (&'v VisibleBucket, &'v VisibleTable);
type OfColumn<'v> = (&'v VisibleBucket, &'v VisibleTable, i32, &'v VisibleColumn);

/// Buckets, as rows of a list.
pub(super) fn buckets(visible: &Visible, of: Relation) -> String {
    let fields: [Field<OfBucket<'_>>; 3] = [
        ("bucket", "VARCHAR", |(bucket, _)| json!(bucket.name)),
        ("bucket_id", "BIGINT", |(bucket, _)| json!(bucket.id)),
        ("here", "BOOLEAN", |(bucket, default)| json!(bucket.name.eq_ignore_ascii_case(default))),
    ];
    rows(visible.buckets.iter().map(|bucket| (bucket, visible.default_bucket.as_str())), &fields, of)
}

/// Tables, views, or both, as rows of a list.
pub(super) fn tables(visible: &Visible, of: Relation, wanted: fn(&VisibleTable) -> bool) -> String {
    let fields: [Field<OfTable<'_>>; 11] = [
        ("bucket", "VARCHAR", |(bucket, _)| json!(bucket.name)),
        ("bucket_id", "BIGINT", |(bucket, _)| json!(bucket.id)),
        ("tbl", "VARCHAR", |(_, table)| json!(table.name)),
        ("tbl_id", "BIGINT", |(_, table)| json!(table.id)),
        ("note", "VARCHAR", |(_, table)| json!(table.comment)),
        ("row_count", "BIGINT", |(_, table)| json!(table.row_count)),
        ("width", "BIGINT", |(_, table)| json!(table.columns.len())),
        ("col_names", "[]", |(_, table)| table.columns.iter().map(|column| json!(column.name)).collect()),
        ("col_kinds", "[]", |(_, table)| table.columns.iter().map(|column| json!(kind(column))).collect()),
        ("ddl", "VARCHAR", |(bucket, table)| json!(ddl(bucket, table))),
        ("is_view", "BOOLEAN", |(_, table)| json!(table.query.is_some())),
    ];
    rows(all_tables(visible).filter(|(_, table)| wanted(table)), &fields, of)
}

/// Columns, as rows of a list.
pub(super) fn columns(visible: &Visible, of: Relation) -> String {
    let fields: [Field<OfColumn<'_>>; 14] = [
        ("bucket", "VARCHAR", |(bucket, ..)| json!(bucket.name)),
        ("bucket_id", "BIGINT", |(bucket, ..)| json!(bucket.id)),
        ("tbl", "VARCHAR", |(_, table, ..)| json!(table.name)),
        ("tbl_id", "BIGINT", |(_, table, ..)| json!(table.id)),
        ("col", "VARCHAR", |(.., column)| json!(column.name)),
        ("place", "INTEGER", |(_, _, place, _)| json!(place)),
        ("kind", "VARCHAR", |(.., column)| json!(kind(column))),
        ("kind_id", "BIGINT", |(.., column)| json!(known(column).map(kind_id))),
        ("nullable", "BOOLEAN", |(.., column)| json!(column.nullable)),
        ("preset", "VARCHAR", |(.., column)| json!(column.default)),
        ("note", "VARCHAR", |(.., column)| json!(column.comment)),
        ("digits", "INTEGER", |(.., column)| json!(known(column).and_then(digits).map(|(digits, _, _)| digits))),
        ("radix", "INTEGER", |(.., column)| json!(known(column).and_then(digits).map(|(_, radix, _)| radix))),
        ("scale", "INTEGER", |(.., column)| json!(known(column).and_then(digits).map(|(_, _, scale)| scale))),
    ];
    let all = all_tables(visible).flat_map(|(bucket, table)| {
        (1..).zip(&table.columns).map(move |(place, column)| (bucket, table, place, column))
    });
    rows(all, &fields, of)
}

fn all_tables(visible: &Visible) -> impl Iterator<Item = OfTable<'_>> {
    visible.buckets.iter().flat_map(|bucket| bucket.tables.iter().map(move |table| (bucket, table)))
}

/// A subquery of one column, a struct for each row. NULLs are left out: the struct has its fields all the same.
fn rows<T>(items: impl Iterator<Item = T>, fields: &[Field<T>], of: Relation) -> String {
    let fields: Vec<&Field<T>> = fields.iter().filter(|(name, ..)| of.shows(name)).collect();
    let shape: Map<String, Value> = fields
        .iter()
        .map(|(name, kind, _)| ((*name).to_owned(), if *kind == "[]" { json!(["VARCHAR"]) } else { json!(kind) }))
        .collect();
    let values: Vec<Value> = items
        .map(|item| {
            let members = fields.iter().map(|(name, _, value)| ((*name).to_owned(), value(&item)));
            Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
        })
        .collect();
    let (values, shape) = (sql::text(&Value::from(values).to_string()), sql::text(&json!([shape]).to_string()));
    format!("(SELECT unnest(from_json({values}, {shape})) AS {ALIAS})")
}

fn known(column: &VisibleColumn) -> Option<&DataType> {
    match &column.data_type {
        VisibleType::Known(data_type) => Some(data_type),
        VisibleType::Other(_) => None,
    }
}

fn kind(column: &VisibleColumn) -> String {
    match &column.data_type {
        VisibleType::Known(data_type) => data_type.without_lengths().spelling(),
        VisibleType::Other(spelling) => spelling.clone(),
    }
}

/// The statement that would make the table, as the engine words it.
fn ddl(bucket: &VisibleBucket, table: &VisibleTable) -> String {
    if let Some(query) = &table.query {
        // A line of its own: the query may end with a comment.
        return format!("CREATE VIEW {}.{} AS {query}\n;", sql::ident(&bucket.name), sql::ident(&table.name));
    }
    let columns = table.columns.iter().map(|column| {
        let default = column.default.as_ref().map(|value| format!(" DEFAULT({value})")).unwrap_or_default();
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("{} {}{default}{null}", sql::ident(&column.name), kind(column))
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("CREATE TABLE {}.{}({columns});", sql::ident(&bucket.name), sql::ident(&table.name))
}

/// Precision, radix and scale, of the types for which the engine tells them.
fn digits(data_type: &DataType) -> Option<(u8, u8, u8)> {
    Some(match data_type {
        DataType::TinyInt => (8, 2, 0),
        DataType::SmallInt => (16, 2, 0),
        DataType::Integer => (32, 2, 0),
        DataType::BigInt => (64, 2, 0),
        DataType::Float => (24, 2, 0),
        DataType::Double => (53, 2, 0),
        DataType::Decimal { precision, scale } => (*precision, 10, *scale),
        _ => return None,
    })
}

/// The engine's number for a type.
fn kind_id(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Boolean => 10,
        DataType::TinyInt => 11,
        DataType::SmallInt => 12,
        DataType::Integer => 13,
        DataType::BigInt => 14,
        DataType::Date => 15,
        DataType::Time => 16,
        DataType::TimestampS => 17,
        DataType::TimestampMs => 18,
        DataType::Timestamp => 19,
        DataType::TimestampNs => 20,
        DataType::Decimal { .. } => 21,
        DataType::Float => 22,
        DataType::Double => 23,
        DataType::Varchar(_) | DataType::Char(_) | DataType::Json => 25,
        DataType::Blob => 26,
        DataType::Interval => 27,
        DataType::UTinyInt => 28,
        DataType::USmallInt => 29,
        DataType::UInteger => 30,
        DataType::UBigInt => 31,
        DataType::TimestampTz => 32,
        DataType::Uuid => 54,
        DataType::Geometry => 60,
        DataType::Struct(_) => 100,
        DataType::List(_) => 101,
        DataType::Map(..) => 102,
        DataType::Variant => 109,
    }
}
