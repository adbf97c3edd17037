//! Whether two answers are the same, value by value.
//!
//! The two sides write JSON each in its own way (`2001-01-01T00:00:00` or with a space; a DECIMAL as a number or as
//! text), so values are compared by what they mean. Only floating-point numbers have some play: their sums depend on
//! the order of the additions.

use serde_json::Value;

use super::direct::Answer;

/// Largest relative difference of two floating-point numbers that are taken for the same.
const PLAY: f64 = 1e-9;

/// The first difference between an answer of the API and the right one.
pub(super) fn difference(given: &Value, expected: &Answer) -> Option<String> {
    let Some(columns) = given.get("columns").and_then(Value::as_array) else {
        return Some("the answer has no columns".to_owned());
    };
    let names: Vec<&str> = columns.iter().filter_map(|column| column.get("name")?.as_str()).collect();
    if names != expected.columns {
        return Some(format!("the columns are {names:?}, not {:?}", expected.columns));
    }
    let Some(rows) = given.get("rows").and_then(Value::as_array) else {
        return Some("the answer has no rows".to_owned());
    };
    if rows.len() != expected.rows.len() {
        return Some(format!("{} rows, not {}", rows.len(), expected.rows.len()));
    }
    if given.get("row_count").and_then(Value::as_u64) != u64::try_from(rows.len()).ok() {
        return Some(format!("row_count is {:?}, but there are {} rows", given.get("row_count"), rows.len()));
    }
    let types: Vec<&str> = columns.iter().map(|column| column["type"].as_str().unwrap_or("")).collect();
    for (number, (row, right)) in rows.iter().zip(&expected.rows).enumerate() {
        let Some(values) = row.as_array().filter(|values| values.len() == names.len()) else {
            return Some(format!("row {} is not an array of {} values", number + 1, names.len()));
        };
        for (column, (value, right)) in values.iter().zip(right).enumerate() {
            if !same(value, right, types[column]) {
                return Some(format!("row {}, {}: {value}, not {right}", number + 1, names[column]));
            }
        }
    }
    None
}

/// Whether two values mean the same in a column of this type.
fn same(given: &Value, right: &Value, data_type: &str) -> bool {
    match (given, right) {
        (Value::Array(given), Value::Array(right)) => {
            given.len() == right.len() && given.iter().zip(right).all(|(given, right)| same(given, right, data_type))
        }
        (Value::Object(given), Value::Object(right)) => {
            given.len() == right.len()
                && right.iter().all(|(name, right)| given.get(name).is_some_and(|given| same(given, right, data_type)))
        }
        (Value::Number(given), Value::Number(right)) => {
            let (given, right) = (given.to_string(), right.to_string());
            same_number(&given, &right) || (data_type.contains("FLOAT") && same_single(&given, &right))
        }
        (Value::String(text), Value::Number(number)) | (Value::Number(number), Value::String(text)) => {
            exact(data_type) && same_number(text, &number.to_string())
        }
        (Value::String(given), Value::String(right)) => {
            given == right
                || (data_type.contains("TIMESTAMP") && instant(given) == instant(right))
                || (exact(data_type) && same_number(given, right))
        }
        (given, right) => given == right,
    }
}

/// Whether values of the type may be written as text, to keep all their digits.
fn exact(data_type: &str) -> bool {
    ["DECIMAL", "HUGEINT", "BIGINT"].iter().any(|name| data_type.contains(name))
}

fn same_number(given: &str, right: &str) -> bool {
    if plain(given) == plain(right) {
        return true;
    }
    let whole = |text: &str| text.parse::<i128>().is_ok();
    let (Ok(a), Ok(b)) = (given.parse::<f64>(), right.parse::<f64>()) else {
        return false;
    };
    // Whole numbers have no play.
    !(whole(given) && whole(right)) && (a - b).abs() <= PLAY * a.abs().max(b.abs())
}

/// Whether two spellings name the same number of single precision: one side writes its shortest digits, the other all
/// that it has in double precision.
fn same_single(given: &str, right: &str) -> bool {
    matches!((given.parse::<f32>(), right.parse::<f32>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits())
}

/// A number without what doesn't count: zeros after the point.
fn plain(text: &str) -> &str {
    let cut = if text.contains('.') && !text.contains(['e', 'E']) {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    };
    if cut == "-0" { "0" } else { cut }
}

/// A point in time, however it is written.
fn instant(text: &str) -> String {
    let text = text.replacen(' ', "T", 1);
    let utc = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).or_else(|| text.strip_suffix("+00"));
    let (time, zone) = utc.map_or((text.as_str(), ""), |time| (time, "Z"));
    let time = if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.') } else { time };
    format!("{time}{zone}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_value_may_be_written_in_two_ways() {
        let cases = [
            (json!("2001-01-01T00:00:00Z"), json!("2001-01-01 00:00:00+00"), "TIMESTAMP WITH TIME ZONE"),
            (json!("2001-01-01T00:00:00.500"), json!("2001-01-01 00:00:00.5"), "TIMESTAMP"),
            (json!("12.50"), json!(12.5), "DECIMAL(10,2)"),
            (json!(0.1 + 0.2), json!(0.3), "DOUBLE"),
            (json!("3"), json!(3), "HUGEINT"),
            (json!(23.983_334), json!(23.983_333_587_646_484), "FLOAT"),
            (json!({"b": [1, null], "a": "x"}), json!({"a": "x", "b": [1, null]}), "STRUCT(a VARCHAR, b INTEGER[])"),
        ];
        for (given, right, data_type) in cases {
            assert!(same(&given, &right, data_type), "{given} {right}");
        }
    }

    #[test]
    fn another_value_is_another_value() {
        let cases = [
            (json!("00501"), json!(501), "VARCHAR"),
            (json!("501"), json!("501.0"), "VARCHAR"),
            (json!("2001-01-01"), json!("2001-01-02"), "DATE"),
            (json!(10_000_000_001_i64), json!(10_000_000_002_i64), "BIGINT"),
            (json!(1.5), json!(1.500_001), "DOUBLE"),
            (json!(1.5), json!(1.500_001), "FLOAT"),
            (json!(null), json!(0), "INTEGER"),
            (json!(""), json!(null), "VARCHAR"),
            (json!([1, 2]), json!([2, 1]), "INTEGER[]"),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), "STRUCT(a INTEGER)"),
        ];
        for (given, right, data_type) in cases {
            assert!(!same(&given, &right, data_type), "{given} {right}");
        }
    }

    #[test]
    fn the_first_difference_is_told() {
        let rows = vec![vec![json!(1)], vec![json!(2)]];
        let expected = Answer { columns: vec!["n".to_owned()], rows, elapsed: Duration::ZERO };
        let answer = |rows: Value, count: u64| json!({ "columns": [{"name": "n", "type": "INTEGER"}], "rows": rows, "row_count": count });
        assert_eq!(difference(&answer(json!([[1], [2]]), 2), &expected), None);
        assert_eq!(difference(&answer(json!([[1], [3]]), 2), &expected).unwrap(), "row 2, n: 3, not 2");
        assert!(difference(&answer(json!([[1], [2]]), 1), &expected).is_some());
        assert!(difference(&answer(json!([[1]]), 1), &expected).is_some());
        assert!(difference(&json!({}), &expected).is_some());
    }
}
