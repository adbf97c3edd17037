//! Constants: what they may hold, and those the engine's printer would change.

use super::super::error::GateError;
use super::super::json::{Json, Members, get, set, text_of};
use super::{Walk, malformed};

impl Walk<'_> {
    /// Turns a constant that prints as one of another type into a cast of its text: `1e3` prints as `1000.0`, which is
    /// a DECIMAL, and `1.` as `1`.
    pub(super) fn constant(&mut self, members: &mut Members<'_>) {
        let Some((text, cast_type)) = get(members, "value").and_then(changed) else {
            return;
        };
        let alias = Json::text(text_of(members, "alias").to_owned());
        let varchar = Json::Object(vec![("id".into(), Json::text("VARCHAR")), ("type_info".into(), Json::Null)]);
        let value = Json::Object(vec![
            ("type".into(), varchar),
            ("is_null".into(), Json::Bool(false)),
            ("value".into(), Json::text(text)),
        ]);
        let child = Json::Object(vec![
            ("class".into(), Json::text("CONSTANT")),
            ("type".into(), Json::text("VALUE_CONSTANT")),
            ("alias".into(), Json::text("")),
            ("value".into(), value),
        ]);
        members.clear();
        for (key, value) in [
            ("class", Json::text("CAST")),
            ("type", Json::text("OPERATOR_CAST")),
            ("alias", alias),
            ("child", child),
            ("cast_type", cast_type),
            ("try_cast", Json::Bool(false)),
        ] {
            set(members, key, value);
        }
        self.visited.expressions += 1;
    }
}

/// The text and type of such a constant.
fn changed<'a>(value: &Json<'a>) -> Option<(String, Json<'a>)> {
    let own_type = value.get("type")?;
    let text = match (own_type.get("id")?.as_str()?, value.get("value")?) {
        ("DOUBLE" | "FLOAT", Json::Number(number)) => number.to_string(),
        ("DECIMAL", number) => {
            let part = |key| match own_type.get("type_info")?.get(key)? {
                Json::Number(number) => number.parse::<usize>().ok(),
                _ => None,
            };
            let (width, scale) = (part("width")?, part("scale")?);
            let (text, digits) = decimal(integer(number)?, scale);
            // The printer writes a leading zero if the type has room for it, and nothing else that shows its width.
            if scale > 0 && width == scale + digits.max(usize::from(width > scale)) {
                return None;
            }
            text
        }
        _ => return None,
    };
    Some((text, own_type.clone()))
}

/// A decimal number as text, and how many digits stand before its point.
fn decimal(unscaled: i128, scale: usize) -> (String, usize) {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>scale$}", unscaled.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    let whole = if whole == "0" { "" } else { whole };
    let point = if scale > 0 { "." } else { "" };
    let zero = if whole.is_empty() { "0" } else { whole };
    (format!("{sign}{zero}{point}{fraction}"), whole.len())
}

/// An integer of up to 128 bits, as the engine writes them.
fn integer(value: &Json<'_>) -> Option<i128> {
    if let Json::Number(number) = value {
        return number.parse().ok();
    }
    let (Json::Number(upper), Json::Number(lower)) = (value.get("upper")?, value.get("lower")?) else {
        return None;
    };
    let (upper, lower) = (upper.parse::<i64>().ok()?, lower.parse::<u64>().ok()?);
    Some((i128::from(upper) << 64) | i128::from(lower))
}

/// A constant: what it holds is a scalar, or one of the few objects the engine writes for wide numbers, intervals and
/// nested values.
pub(super) fn valid(value: &Json<'_>) -> Result<(), GateError> {
    let Json::Object(members) = value else {
        return Err(malformed());
    };
    for (key, value) in members {
        match (&**key, value) {
            ("value", Json::Object(inner)) => held(inner)?,
            ("value", Json::Array(_)) => return Err(malformed()),
            ("value" | "type", _) | ("is_null", Json::Bool(_)) => {}
            _ => return Err(malformed()),
        }
    }
    Ok(())
}

fn held(members: &Members<'_>) -> Result<(), GateError> {
    for (key, value) in members {
        match (&**key, value) {
            ("upper" | "lower" | "months" | "days" | "micros", Json::Number(_)) => {}
            ("children", Json::Array(children)) => children.iter().try_for_each(valid)?,
            _ => return Err(malformed()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_decimal_is_written_out() {
        assert_eq!(decimal(42, 0), ("42".into(), 2));
        assert_eq!(decimal(0, 0), ("0".into(), 0));
        assert_eq!(decimal(-5, 1), ("-0.5".into(), 0));
        assert_eq!(decimal(5, 3), ("0.005".into(), 0));
        assert_eq!(decimal(1250, 2), ("12.50".into(), 2));
        assert_eq!(decimal(i128::MIN, 38).0, "-1.70141183460469231731687303715884105728");
    }
}
