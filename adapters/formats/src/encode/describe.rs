//! The name that DuckDB gives a result column's type.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

/// Metadata key of an extension type's name.
const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Metadata key of an extension type's parameters.
pub(super) const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// The extension type that a field carries, in one word: `uuid`, `json`, `bool8`, `wkb`, or DuckDB's
/// own name of an `arrow.opaque`.
pub(crate) fn extension(field: &Field) -> Option<String> {
    let metadata = field.metadata();
    match metadata.get(EXTENSION_NAME)?.as_str() {
        "arrow.uuid" => Some("uuid".to_owned()),
        "arrow.json" => Some("json".to_owned()),
        "arrow.bool8" => Some("bool8".to_owned()),
        "geoarrow.wkb" => Some("wkb".to_owned()),
        "arrow.opaque" => {
            let parameters: serde_json::Value = serde_json::from_str(metadata.get(EXTENSION_METADATA)?).ok()?;
            parameters.get("type_name")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// The DuckDB type of a result column, e.g. `DECIMAL(10,2)` or `STRUCT("a" INTEGER)[]`.
///
/// An `ENUM` is named without its values, which its metadata doesn't tell.
pub fn describe_type(field: &Field) -> String {
    if let Some(name) = extension(field) {
        match name.as_str() {
            "bool8" => return "BOOLEAN".to_owned(),
            "wkb" => return "GEOMETRY".to_owned(),
            "time_tz" => return "TIME WITH TIME ZONE".to_owned(),
            word => return word.to_ascii_uppercase(),
        }
    }
    plain(field.data_type())
}

fn plain(data_type: &DataType) -> String {
    let word = match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float16 | DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time64(TimeUnit::Nanosecond) => "TIME_NS",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S",
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS",
        DataType::Interval(IntervalUnit::MonthDayNano | IntervalUnit::DayTime | IntervalUnit::YearMonth)
        | DataType::Duration(_) => "INTERVAL",
        DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8) => "ENUM",
        DataType::Dictionary(_, values) => return plain(values),
        DataType::List(item) | DataType::LargeList(item) => return format!("{}[]", describe_type(item)),
        DataType::FixedSizeList(item, length) => return format!("{}[{length}]", describe_type(item)),
        DataType::Struct(fields) => return members("STRUCT", fields.iter().map(AsRef::as_ref)),
        DataType::Union(fields, _) => return members("UNION", fields.iter().map(|(_, child)| child.as_ref())),
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return "MAP".to_owned() };
            let parts: Vec<_> = fields.iter().map(|part| describe_type(part)).collect();
            return format!("MAP({})", parts.join(", "));
        }
        other => return crate::decode::shorten(&other.to_string()),
    };
    word.to_owned()
}

fn members<'a>(word: &str, fields: impl Iterator<Item = &'a Field>) -> String {
    let quoted = |field: &Field| format!("\"{}\" {}", field.name().replace('"', "\"\""), describe_type(field));
    let parts: Vec<_> = fields.map(quoted).collect();
    format!("{word}({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    fn opaque(name: &str, storage: DataType) -> Field {
        let parameters = format!("{{\"type_name\":\"{name}\",\"vendor_name\":\"DuckDB\"}}");
        Field::new("x", storage, true).with_metadata(HashMap::from([
            (EXTENSION_NAME.to_owned(), "arrow.opaque".to_owned()),
            (EXTENSION_METADATA.to_owned(), parameters),
        ]))
    }

    #[test]
    fn types_are_named_as_duckdb_names_them() {
        let named = |data_type| describe_type(&Field::new("x", data_type, true));
        assert_eq!(named(DataType::Decimal128(10, 2)), "DECIMAL(10,2)");
        assert_eq!(named(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))), "TIMESTAMP WITH TIME ZONE");
        let inner = Field::new("a \"b\"", DataType::Int32, true);
        let list = DataType::List(Arc::new(Field::new("l", DataType::Struct(vec![inner].into()), true)));
        assert_eq!(named(list), "STRUCT(\"a \"\"b\"\"\" INTEGER)[]");
    }

    #[test]
    fn extension_types_are_named_by_their_extension() {
        assert_eq!(describe_type(&opaque("hugeint", DataType::FixedSizeBinary(16))), "HUGEINT");
        assert_eq!(describe_type(&opaque("time_tz", DataType::FixedSizeBinary(8))), "TIME WITH TIME ZONE");
    }
}
