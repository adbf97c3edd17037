//! Values: read from text, compared, and written as Arrow.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{ArrowError, Field, Schema};
use gadwall_domain::schema::Column;
use gadwall_domain::types::DataType;
use serde_json::Value;

/// A value for each of the table's columns, in table order.
pub(super) type Row = Vec<Value>;

/// The value that a text stands for; types that aren't plain are kept as their text.
pub(super) fn parse(text: &str, target: &DataType) -> Option<Value> {
    let whole = |low: i64, high: i64| {
        let number: i64 = text.trim().parse().ok()?;
        (low..=high).contains(&number).then(|| Value::from(number))
    };
    match target {
        DataType::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Some(Value::Bool(true)),
            "false" | "f" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        DataType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => whole(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => whole(i64::MIN, i64::MAX),
        DataType::UTinyInt => whole(0, u8::MAX.into()),
        DataType::USmallInt => whole(0, u16::MAX.into()),
        DataType::UInteger => whole(0, u32::MAX.into()),
        DataType::Float | DataType::Double => {
            serde_json::Number::from_f64(text.trim().parse().ok()?).map(Value::Number)
        }
        _ => Some(Value::from(text)),
    }
}

/// Which of two values of one type is the larger; NULL has no place.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => None,
    }
}

/// Whether values of the type can be compared here.
pub(super) fn is_plain(data_type: &DataType) -> bool {
    is_number(data_type) || matches!(data_type, DataType::Boolean | DataType::Varchar(_) | DataType::Char(_))
}

/// Whether values of the type are numbers here.
pub(super) fn is_number(data_type: &DataType) -> bool {
    use DataType::{BigInt, Double, Float, Integer, SmallInt, TinyInt, UInteger, USmallInt, UTinyInt};
    matches!(data_type, BigInt | Double | Float | Integer | SmallInt | TinyInt | UInteger | USmallInt | UTinyInt)
}

/// Rows as Arrow has them; what isn't plain is text.
pub(super) fn to_batch(columns: &[Column], rows: &[&Row]) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (position, column) in columns.iter().enumerate() {
        let array = to_array(&column.data_type, rows, position);
        fields.push(Field::new(column.name.as_str(), array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

fn to_array(target: &DataType, rows: &[&Row], position: usize) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(position).unwrap_or(&Value::Null));
    match target {
        DataType::Boolean => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
        DataType::Integer => {
            let small = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
            Arc::new(values.map(small).collect::<Int32Array>())
        }
        DataType::BigInt => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
        DataType::Double => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
        _ => Arc::new(values.map(text_of).collect::<StringArray>()),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
