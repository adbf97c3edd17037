//! What a value must look like to enter a column, the same for every format.
//!
//! The engine casts text to the column's type, and some of its casts change a value without a word:
//! `1.5` becomes 2 in an INTEGER, a time of day is dropped from a DATE, an offset from a TIMESTAMP, and
//! `1e400` becomes infinity. Those are refused here, with a reason for the client. What is merely finer
//! than the column (digits after the point of a DECIMAL, fractions of a second) is rounded or cut as
//! SQL does.

mod json_text;
mod nested;
mod number;
mod temporal;
mod text;

use std::borrow::Cow;

use gadwall_domain::types::DataType;
use serde_json::value::RawValue;

use crate::decode::shorten;

pub(crate) use json_text::MAX_DEPTH;

/// A value ready for the engine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// To be read as the column's type says.
    Text(Cow<'a, str>),
    /// For a `BLOB`.
    Bytes(Cow<'a, [u8]>),
}

/// Why a value doesn't fit, and where within a nested value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Below the column: `.zip`, `[3].name`. Empty for the column itself.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl From<String> for Misfit {
    fn from(reason: String) -> Self {
        Self { path: String::new(), reason }
    }
}

/// A scalar as a format gives it.
#[derive(Debug, Clone, Copy)]
enum Scalar<'a> {
    Text(&'a str),
    /// A JSON number, by its literal.
    Number(&'a str),
    Bool(bool),
}

impl Scalar<'_> {
    /// The value for a message.
    fn shown(self) -> String {
        match self {
            Self::Text(text) => format!("{:?}", shorten(text)),
            Self::Number(literal) => shorten(literal),
            Self::Bool(value) => value.to_string(),
        }
    }
}

/// Checks a JSON value. `None` is NULL.
pub(crate) fn from_json<'a>(data_type: &DataType, raw: &'a RawValue) -> Result<Option<Cell<'a>>, Misfit> {
    let literal = raw.get();
    match (data_type, literal.as_bytes().first()) {
        (_, Some(b'n')) => Ok(None),
        (DataType::Json | DataType::Variant, _) => {
            json_text::check(literal)?;
            Ok(Some(Cell::Text(Cow::Borrowed(literal))))
        }
        (nested, _) if nested.is_nested() => {
            let mut out = String::with_capacity(literal.len() + 16);
            nested::canonical(nested, raw, &mut out)?;
            Ok(Some(Cell::Text(Cow::Owned(out))))
        }
        (scalar, Some(b'"')) => match json_text::string(literal)? {
            Cow::Borrowed(text) => check(scalar, Scalar::Text(text)).map(Some),
            Cow::Owned(text) => Ok(Some(own(check(scalar, Scalar::Text(&text))?))),
        },
        (scalar, Some(b't')) => check(scalar, Scalar::Bool(true)).map(Some),
        (scalar, Some(b'f')) => check(scalar, Scalar::Bool(false)).map(Some),
        (scalar, Some(b'{')) => Err(composite("object", scalar)),
        (scalar, Some(b'[')) => Err(composite("array", scalar)),
        (scalar, _) => check(scalar, Scalar::Number(literal)).map(Some),
    }
}

/// Checks a value that came as text, as in CSV. Nested types and `JSON` take JSON text.
pub(crate) fn from_text<'a>(data_type: &DataType, text: &'a str) -> Result<Cell<'a>, Misfit> {
    match data_type {
        DataType::Json => {
            json_text::check_untrusted(text)?;
            Ok(Cell::Text(Cow::Borrowed(text)))
        }
        // Text that isn't JSON is a string: a VARIANT holds anything.
        DataType::Variant if json_text::check_untrusted(text).is_ok() => Ok(Cell::Text(Cow::Borrowed(text))),
        DataType::Variant => Ok(Cell::Text(Cow::Owned(serde_json::Value::from(text).to_string()))),
        nested if nested.is_nested() => {
            let raw = json_text::check_untrusted(text)?;
            let mut out = String::with_capacity(text.len() + 16);
            nested::canonical(nested, raw, &mut out)?;
            Ok(Cell::Text(Cow::Owned(out)))
        }
        scalar => check(scalar, Scalar::Text(text)),
    }
}

/// Reads a column's default, which is written as in SQL.
pub(crate) fn from_default<'a>(data_type: &DataType, text: &'a str) -> Result<Cell<'a>, Misfit> {
    match data_type {
        DataType::Blob => Ok(Cell::Bytes(Cow::Owned(text::blob_literal(text)?))),
        other => from_text(other, text),
    }
}

fn own(cell: Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
        Cell::Bytes(bytes) => Cell::Bytes(Cow::Owned(bytes.into_owned())),
    }
}

fn composite(kind: &str, data_type: &DataType) -> Misfit {
    let instead = if kind == "object" { "use JSON or STRUCT" } else { "use JSON or a list" };
    format!("an {kind}, but the column is {data_type}; {instead}").into()
}

fn check<'a>(data_type: &DataType, scalar: Scalar<'a>) -> Result<Cell<'a>, Misfit> {
    use DataType as T;
    if let T::Blob = data_type {
        return text::blob(scalar).map(Cell::Bytes).map_err(Misfit::from);
    }
    let text = match data_type {
        T::Boolean => text::boolean(scalar).map(Cow::Borrowed),
        T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt => {
            number::integer(data_type, scalar)
        }
        T::Float => number::float::<f32>(data_type, scalar),
        T::Double => number::float::<f64>(data_type, scalar),
        T::Decimal { precision, scale } => number::decimal(*precision, *scale, scalar),
        T::Varchar(_) | T::Char(_) => text::varchar(data_type, scalar),
        T::Date => temporal::date(scalar),
        T::Time => temporal::time(scalar),
        T::Timestamp | T::TimestampS | T::TimestampMs | T::TimestampNs => temporal::timestamp(data_type, scalar, false),
        T::TimestampTz => temporal::timestamp(data_type, scalar, true),
        T::Interval => temporal::interval(scalar),
        T::Uuid => text::uuid(scalar),
        T::Geometry => text::geometry(scalar),
        // The callers have settled these.
        T::Blob | T::Json | T::Variant | T::List(_) | T::Struct(_) | T::Map(..) => {
            Err(format!("a scalar, but the column is {data_type}"))
        }
    };
    text.map(Cell::Text).map_err(Misfit::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_null_for_every_type() {
        let raw = RawValue::from_string("null".to_owned()).unwrap();
        for text in ["INTEGER", "JSON", "STRUCT(a INTEGER)", "BLOB"] {
            assert_eq!(from_json(&DataType::parse(text).unwrap(), &raw), Ok(None));
        }
    }

    #[test]
    fn objects_and_arrays_do_not_enter_scalar_columns() {
        let raw = RawValue::from_string("{}".to_owned()).unwrap();
        let reason = from_json(&DataType::Varchar(None), &raw).unwrap_err().reason;
        assert_eq!(reason, "an object, but the column is VARCHAR; use JSON or STRUCT");
    }

    #[test]
    fn json_columns_keep_the_text_as_it_was() {
        let raw = RawValue::from_string("\"a\"".to_owned()).unwrap();
        assert_eq!(from_json(&DataType::Json, &raw), Ok(Some(Cell::Text("\"a\"".into()))));
        assert_eq!(from_text(&DataType::Variant, "a b"), Ok(Cell::Text("\"a b\"".into())));
        assert!(from_text(&DataType::Json, "a b").is_err());
    }
}
