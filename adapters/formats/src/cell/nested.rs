//! JSON for nested columns, rewritten so that the engine's strict cast takes it and loses nothing.
//!
//! That cast wants every field of a STRUCT and no other, a MAP as an object, and reads numbers through
//! a double. So fields that are missing become null, unknown ones are refused, and values that a
//! double might not hold go as strings, which the cast reads like any other text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use gadwall_domain::names::ColumnName;
use gadwall_domain::types::DataType;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, Misfit, from_json, json_text, shorten};

/// Appends the value as the engine's cast wants it. The type bounds the depth.
pub(super) fn canonical(data_type: &DataType, raw: &RawValue, out: &mut String) -> Result<(), Misfit> {
    if raw.get() == "null" {
        out.push_str("null");
        return Ok(());
    }
    match data_type {
        DataType::List(item) => list(item, raw, out),
        DataType::Struct(fields) => structure(fields, data_type, raw, out),
        DataType::Map(key, value) => map(key, value, raw, out),
        leaf => scalar(leaf, raw, out),
    }
}

fn within(path: impl FnOnce() -> String) -> impl FnOnce(Misfit) -> Misfit {
    |misfit| Misfit { path: path() + &misfit.path, reason: misfit.reason }
}

fn shown(raw: &RawValue) -> String {
    shorten(raw.get())
}

fn list(item: &DataType, raw: &RawValue, out: &mut String) -> Result<(), Misfit> {
    let items: Vec<&RawValue> = parse(raw).map_err(|_| format!("{} is not an array", shown(raw)))?;
    out.push('[');
    for (index, value) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        canonical(item, value, out).map_err(within(|| format!("[{index}]")))?;
    }
    out.push(']');
    Ok(())
}

fn structure(
    fields: &[(ColumnName, DataType)],
    data_type: &DataType,
    raw: &RawValue,
    out: &mut String,
) -> Result<(), Misfit> {
    let Entries(entries) = parse(raw)
        .map_err(|_| format!("{} is not an object, but the type is {}", shown(raw), shorten(&data_type.to_string())))?;
    let mut values: Vec<Option<&RawValue>> = vec![None; fields.len()];
    for (key, value) in entries {
        let at = fields.iter().position(|(name, _)| name.as_str().eq_ignore_ascii_case(&key));
        let path = || format!(".{}", shorten(&key));
        match at.and_then(|at| values.get_mut(at)) {
            None => return Err(Misfit { path: path(), reason: "there is no such field".to_owned() }),
            Some(Some(_)) => return Err(Misfit { path: path(), reason: "the field appears twice".to_owned() }),
            Some(slot) => *slot = Some(value),
        }
    }
    out.push('{');
    for (index, ((name, inner), value)) in fields.iter().zip(values).enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(name.as_str(), out);
        out.push(':');
        match value {
            Some(value) => canonical(inner, value, out).map_err(within(|| format!(".{name}")))?,
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(())
}

/// A map: an object, or an array of `{"key", "value"}`.
fn map(key_type: &DataType, value_type: &DataType, raw: &RawValue, out: &mut String) -> Result<(), Misfit> {
    if key_type.is_nested() || matches!(key_type, DataType::Json | DataType::Variant) {
        let reason = format!("a MAP with keys of {key_type} can't be written as JSON; send Parquet");
        return Err(Misfit::from(reason));
    }
    let entries = map_entries(raw)?;
    let mut seen = HashSet::new();
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let path = || format!("[{}]", shorten(&key));
        // The key takes the same check as a value; a checked key is the same text for the same value.
        let literal = RawValue::from_string(key.clone().into_owned()).map_err(|error| error.to_string())?;
        let key = leaf_text(key_type, &literal).map_err(within(path))?;
        let key = key.ok_or_else(|| Misfit { path: path(), reason: "a key is null".to_owned() })?;
        push_string(&key, out);
        out.push(':');
        canonical(value_type, value, out).map_err(within(path))?;
        if !seen.insert(key) {
            return Err(Misfit { path: path(), reason: "the key appears twice".to_owned() });
        }
    }
    out.push('}');
    Ok(())
}

/// Keys (as JSON literals) and values.
fn map_entries(raw: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Misfit> {
    if raw.get().starts_with('{') {
        let Entries(entries) = parse(raw).map_err(|error| error.to_string())?;
        let quoted = |key: Cow<'_, str>| serde_json::Value::from(key.as_ref()).to_string();
        return Ok(entries.into_iter().map(|(key, value)| (Cow::Owned(quoted(key)), value)).collect());
    }
    let refuse = || format!("{} is neither an object nor an array of {{\"key\", \"value\"}}", shown(raw));
    let pairs: Vec<&RawValue> = parse(raw).map_err(|_| refuse())?;
    let pair = |pair| {
        let Entries(parts) = parse(pair).map_err(|_| refuse())?;
        match parts.as_slice() {
            [(k, key), (v, value)] if k == "key" && v == "value" => Ok((Cow::Borrowed(key.get()), *value)),
            _ => Err(Misfit::from(refuse())),
        }
    };
    pairs.into_iter().map(pair).collect()
}

fn scalar(data_type: &DataType, raw: &RawValue, out: &mut String) -> Result<(), Misfit> {
    match data_type {
        DataType::Json => {
            json_text::check(raw.get())?;
            out.push_str(raw.get());
        }
        DataType::Variant => {
            return Err("a VARIANT inside another type can't be written as JSON; send Parquet".to_owned().into());
        }
        DataType::Boolean | DataType::TinyInt | DataType::SmallInt | DataType::Integer => {
            // Small enough for a double: bare, as the reader of a JSON column would expect it.
            out.push_str(leaf_text(data_type, raw)?.as_deref().unwrap_or("null"));
        }
        leaf => match leaf_text(leaf, raw)? {
            Some(text) => push_string(&text, out),
            None => out.push_str("null"),
        },
    }
    Ok(())
}

/// The checked text of a scalar. The engine's cast takes the text of a nested BLOB as its bytes.
fn leaf_text(data_type: &DataType, raw: &RawValue) -> Result<Option<String>, Misfit> {
    match from_json(data_type, raw)? {
        None => Ok(None),
        Some(Cell::Text(text)) => Ok(Some(text.into_owned())),
        Some(Cell::Bytes(bytes)) => match String::from_utf8(bytes.into_owned()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err("a BLOB inside another type must hold UTF-8 here; send Parquet".to_owned().into()),
        },
    }
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn parse<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

/// An object's entries in order, with those that appear twice.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    entries.push((Cow::Owned(entry.0), entry.1));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(data_type: &str, json: &str) -> Result<String, Misfit> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let mut out = String::new();
        canonical(&DataType::parse(data_type).unwrap(), &raw, &mut out)?;
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        Ok(out)
    }

    #[test]
    fn fields_come_in_the_types_order_and_none_is_missing() {
        let json = r#"{"B": 1.0, "a": "x\"y"}"#;
        let expected = r#"{"a":"x\"y","b":1,"c":null}"#;
        assert_eq!(rewritten("STRUCT(a VARCHAR, b INTEGER, c DATE)", json).as_deref(), Ok(expected));
    }

    #[test]
    fn digits_survive() {
        assert_eq!(
            rewritten("DECIMAL(38,2)[]", "[12345678901234567890.12, null]").as_deref(),
            Ok(r#"["12345678901234567890.12",null]"#)
        );
        assert_eq!(
            rewritten("STRUCT(a BIGINT)", r#"{"a":9007199254740993}"#).as_deref(),
            Ok(r#"{"a":"9007199254740993"}"#)
        );
    }

    #[test]
    fn misfits_name_their_path() {
        let misfit =
            rewritten("STRUCT(address STRUCT(zip INTEGER)[])", r#"{"address":[{"zip":1},{"zip":1.5}]}"#).unwrap_err();
        assert_eq!(misfit.path, ".address[1].zip");
        let misfit = rewritten("STRUCT(a INTEGER)", r#"{"a":1,"zip":2}"#).unwrap_err();
        assert_eq!((misfit.path.as_str(), misfit.reason.as_str()), (".zip", "there is no such field"));
        assert!(rewritten("STRUCT(a INTEGER)", r#"{"a":1,"A":2}"#).unwrap_err().reason.contains("twice"));
        assert!(rewritten("INTEGER[]", "{}").is_err() && rewritten("STRUCT(a INTEGER)", "[1]").is_err());
    }

    #[test]
    fn maps_become_objects() {
        assert_eq!(
            rewritten("MAP(INTEGER, VARCHAR)", r#"{"01":"x","2":null}"#).as_deref(),
            Ok(r#"{"1":"x","2":null}"#)
        );
        let pairs = r#"[{"key":1,"value":"x"}]"#;
        assert_eq!(rewritten("MAP(INTEGER, VARCHAR)", pairs).as_deref(), Ok(r#"{"1":"x"}"#));
        for bad in [r#"{"1":"x","1.0":"y"}"#, r#"{"a":"x"}"#, r#"[{"key":null,"value":"x"}]"#, "[1]", "5"] {
            assert!(rewritten("MAP(INTEGER, VARCHAR)", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_inside() {
        assert_eq!(rewritten("BLOB[]", r#"["YWI="]"#).as_deref(), Ok(r#"["ab"]"#));
        assert!(rewritten("BLOB[]", r#"["qgA="]"#).unwrap_err().reason.contains("UTF-8"));
        assert_eq!(rewritten("STRUCT(j JSON)", r#"{"j":{"a":[1.0]}}"#).as_deref(), Ok(r#"{"j":{"a":[1.0]}}"#));
    }
}
