//! Conditions as clients write them: JSON, checked against a table's columns.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{Assignment, Comparison, Filter, Literal};
use crate::error::{Classify, ErrorKind};
use crate::names::ColumnName;
use crate::schema::Column;
use crate::types::DataType;

/// Deepest nesting of a condition.
const MAX_DEPTH: usize = 32;
/// Most parts of a condition.
const MAX_PARTS: usize = 1_000;
/// Most values in a condition's lists.
const MAX_VALUES: usize = 10_000;

/// Why a document is no condition on a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{at}: {reason}")]
pub struct FilterError {
    /// Which part, such as `filter.and[2].value`.
    at: String,
    reason: String,
}

impl Classify for FilterError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        "invalid_filter"
    }
}

impl Filter {
    /// Reads a condition: `{"column", "op", "value"}`, or `and`, `or` with a list, or `not` with one.
    pub fn parse(document: &Value, columns: &[Column]) -> Result<Self, FilterError> {
        Parser { columns, parts: 0, values: 0 }.filter(document, &mut Place::new("filter"))
    }
}

impl Assignment {
    /// Reads new values: an object of column to value, at least one.
    pub fn parse_all(document: &Map<String, Value>, columns: &[Column]) -> Result<Vec<Self>, FilterError> {
        let mut parser = Parser { columns, parts: 0, values: 0 };
        let mut place = Place::new("set");
        if document.is_empty() {
            return Err(place.refuse("it is empty; name at least one column and its new value"));
        }
        let assignment = |(name, value): (&String, &Value)| {
            place.enter(name, |place| {
                let column = parser.column(name, place)?;
                let value = match value {
                    Value::Null => None,
                    value if is_document(&column.data_type) => Some(Literal::new(value.to_string())),
                    value => Some(parser.literal(value, column, place)?),
                };
                Ok(Self { column: column.name.clone(), value })
            })
        };
        let all: Vec<Self> = document.iter().map(assignment).collect::<Result<_, _>>()?;
        let twice =
            all.iter().enumerate().find(|(index, one)| all[..*index].iter().any(|two| two.column == one.column));
        match twice {
            Some((_, one)) => Err(Place::new("set").refuse(format!("column {} appears twice", one.column))),
            None => Ok(all),
        }
    }
}

/// Types whose values are given as JSON.
fn is_document(of: &DataType) -> bool {
    of.is_nested() || matches!(of, DataType::Json | DataType::Variant)
}

/// Where in the document a part stands.
struct Place(String);

impl Place {
    fn new(root: &str) -> Self {
        Self(root.to_owned())
    }

    fn enter<T>(&mut self, member: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.0.len();
        let shown: String = member.chars().take(40).collect();
        self.0.push('.');
        self.0.push_str(&shown);
        let done = work(self);
        self.0.truncate(before);
        done
    }

    fn item<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.0.len();
        let _ = write!(self.0, "[{index}]");
        let done = work(self);
        self.0.truncate(before);
        done
    }

    fn refuse(&self, reason: impl Into<String>) -> FilterError {
        FilterError { at: self.0.clone(), reason: reason.into() }
    }
}

struct Parser<'a> {
    columns: &'a [Column],
    parts: usize,
    values: usize,
}

const OPERATORS: &str = "eq, ne, lt, le, gt, ge, in, not_in, like, not_like, between, is_null, is_not_null";

impl<'a> Parser<'a> {
    fn filter(&mut self, document: &Value, place: &mut Place) -> Result<Filter, FilterError> {
        self.nested(document, place, 0)
    }

    fn nested(&mut self, document: &Value, place: &mut Place, depth: usize) -> Result<Filter, FilterError> {
        self.parts += 1;
        if depth > MAX_DEPTH {
            return Err(place.refuse(format!("a condition is nested at most {MAX_DEPTH} deep")));
        }
        if self.parts > MAX_PARTS {
            return Err(place.refuse(format!("a condition has at most {MAX_PARTS} parts")));
        }
        let members = document
            .as_object()
            .ok_or_else(|| place.refuse("a condition is an object with column, op and value, or with and, or, not"))?;
        let only = members.iter().next().filter(|_| members.len() == 1);
        match only.map(|(name, inner)| (name.as_str(), inner)) {
            Some(("and", list)) => Ok(Filter::All(self.list("and", list, place, depth)?)),
            Some(("or", list)) => Ok(Filter::Any(self.list("or", list, place, depth)?)),
            Some(("not", inner)) => {
                let inner = place.enter("not", |place| self.nested(inner, place, depth + 1))?;
                Ok(Filter::Not(Box::new(inner)))
            }
            _ => self.leaf(members, place),
        }
    }

    fn list(&mut self, word: &str, list: &Value, place: &mut Place, depth: usize) -> Result<Vec<Filter>, FilterError> {
        place.enter(word, |place| {
            let list = list.as_array().filter(|list| !list.is_empty());
            let list = list.ok_or_else(|| place.refuse("it is a list of at least one condition"))?;
            let part =
                |(index, inner): (usize, &Value)| place.item(index, |place| self.nested(inner, place, depth + 1));
            list.iter().enumerate().map(part).collect()
        })
    }

    fn leaf(&mut self, members: &Map<String, Value>, place: &mut Place) -> Result<Filter, FilterError> {
        let unknown = members.keys().find(|name| !matches!(name.as_str(), "column" | "op" | "value"));
        if let Some(name) = unknown {
            let shown: String = name.chars().take(40).collect();
            return Err(place.refuse(format!("{shown:?} is not a member of a condition; use column, op and value")));
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let named = text("column").ok_or_else(|| place.refuse("column is missing, or not text"))?;
        let column = place.enter("column", |place| self.column(named, place))?;
        let operator = text("op").ok_or_else(|| place.refuse(format!("op is missing; it is one of {OPERATORS}")))?;
        let value = members.get("value");
        if matches!(operator, "is_null" | "is_not_null") {
            if value.is_some_and(|value| !value.is_null()) {
                return Err(place.refuse(format!("{operator} takes no value")));
            }
            let is_null = Filter::IsNull { column: column.name.clone() };
            return Ok(if operator == "is_null" { is_null } else { Filter::Not(Box::new(is_null)) });
        }
        if is_document(&column.data_type) || column.data_type == DataType::Geometry {
            let of = column.data_type.spelling();
            return Err(
                place.refuse(format!("column {} is of type {of}, which can only be tested for null", column.name))
            );
        }
        let value = value.ok_or_else(|| place.refuse("value is missing"))?;
        place.enter("value", |place| self.comparison(column, operator, value, place))
    }

    fn comparison(
        &mut self,
        column: &Column,
        operator: &str,
        value: &Value,
        place: &mut Place,
    ) -> Result<Filter, FilterError> {
        let name = column.name.clone();
        let compare = |operator, value| Filter::Compare { column: column.name.clone(), operator, value };
        let symbol = match operator {
            "eq" => Comparison::Eq,
            "ne" => Comparison::Ne,
            "lt" => Comparison::Lt,
            "le" => Comparison::Le,
            "gt" => Comparison::Gt,
            "ge" => Comparison::Ge,
            "in" => return Ok(Filter::In { column: name, values: self.literals(value, column, place)? }),
            "not_in" => {
                let within = Filter::In { column: name, values: self.literals(value, column, place)? };
                return Ok(Filter::Not(Box::new(within)));
            }
            "between" => {
                let bounds = self.literals(value, column, place)?;
                let [low, high] = <[Literal; 2]>::try_from(bounds)
                    .map_err(|_| place.refuse("between takes a list of two values: the least and the greatest"))?;
                return Ok(Filter::All(vec![compare(Comparison::Ge, low), compare(Comparison::Le, high)]));
            }
            "like" | "not_like" => {
                if column.data_type.without_lengths() != DataType::Varchar(None) {
                    return Err(place.refuse(format!("column {name} is not text; like is for VARCHAR columns")));
                }
                let pattern = value.as_str().ok_or_else(|| place.refuse("a pattern is text with % and _"))?;
                let like = Filter::Like { column: name, pattern: pattern.to_owned() };
                return Ok(if operator == "like" { like } else { Filter::Not(Box::new(like)) });
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(place.refuse(format!("{shown:?} is not an operator; use one of {OPERATORS}")));
            }
        };
        Ok(compare(symbol, self.literal(value, column, place)?))
    }

    fn literals(&mut self, value: &Value, column: &Column, place: &mut Place) -> Result<Vec<Literal>, FilterError> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| place.refuse("it is a list of at least one value"))?;
        let item = |(index, value): (usize, &Value)| place.item(index, |place| self.literal(value, column, place));
        list.iter().enumerate().map(item).collect()
    }

    fn literal(&mut self, value: &Value, column: &Column, place: &mut Place) -> Result<Literal, FilterError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(place.refuse(format!("a condition has at most {MAX_VALUES} values")));
        }
        let text = match value {
            Value::String(text) if text.contains('\0') => return Err(place.refuse("a value has no NUL character")),
            Value::String(text) => text.clone(),
            Value::Number(number) if !matches!(column.data_type, DataType::Boolean) => number.to_string(),
            Value::Bool(truth) if matches!(column.data_type, DataType::Boolean | DataType::Varchar(_)) => {
                truth.to_string()
            }
            Value::Null => return Err(place.refuse("NULL is neither equal nor unequal to anything; use is_null")),
            _ => {
                let of = column.data_type.spelling();
                return Err(place.refuse(format!("it doesn't fit column {}, which is of type {of}", column.name)));
            }
        };
        Ok(Literal::new(text))
    }

    fn column(&self, name: &str, place: &Place) -> Result<&'a Column, FilterError> {
        let found =
            ColumnName::parse(name).ok().and_then(|name| self.columns.iter().find(|column| column.name == name));
        found.ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            let known: Vec<&str> = self.columns.iter().take(50).map(|column| column.name.as_str()).collect();
            place.refuse(format!("the table has no column {shown:?}; its columns are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, data_type: &str| Column {
            name: ColumnName::parse(name).unwrap(),
            data_type: DataType::parse(data_type).unwrap(),
            nullable: true,
            default: None,
        };
        vec![column("id", "BIGINT"), column("US Gross", "VARCHAR"), column("ok", "BOOLEAN"), column("j", "JSON")]
    }

    fn parse(document: &Value) -> Result<Filter, String> {
        Filter::parse(document, &columns()).map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_are_read_with_their_exact_numbers() {
        let literal = |text: &str| Literal::new(text);
        let id = || ColumnName::parse("id").unwrap();
        let document = json!({"and": [
            {"column": "ID", "op": "ge", "value": 9_007_199_254_740_993_i64},
            {"not": {"column": "US Gross", "op": "like", "value": "a%"}},
            {"or": [{"column": "id", "op": "in", "value": [1, "2"]}, {"column": "j", "op": "is_null"}]},
        ]});
        let Ok(Filter::All(parts)) = parse(&document) else { panic!() };
        let big = Filter::Compare { column: id(), operator: Comparison::Ge, value: literal("9007199254740993") };
        assert_eq!(parts[0], big);
        let Filter::Any(either) = &parts[2] else { panic!() };
        assert_eq!(either[0], Filter::In { column: id(), values: vec![literal("1"), literal("2")] });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases = [
            (json!(3), "filter: a condition is an object"),
            (json!({}), "filter: column is missing"),
            (json!({"and": []}), "filter.and: it is a list"),
            (
                json!({"and": [{"column": "no", "op": "eq", "value": 1}]}),
                "filter.and[0].column: the table has no column",
            ),
            (json!({"column": "id", "op": "is", "value": 1}), "filter.value: \"is\" is not an operator"),
            (json!({"column": "id", "op": "eq", "value": null}), "filter.value: NULL is neither"),
            (json!({"column": "id", "op": "eq"}), "filter: value is missing"),
            (json!({"column": "id", "op": "eq", "value": true}), "filter.value: it doesn't fit column id"),
            (json!({"column": "id", "op": "like", "value": "1"}), "filter.value: column id is not text"),
            (json!({"column": "j", "op": "eq", "value": "1"}), "filter: column j is of type JSON"),
            (json!({"column": "id", "op": "eq", "value": 1, "x": 1}), "filter: \"x\" is not a member"),
            (json!({"column": "id", "op": "between", "value": [1]}), "filter.value: between takes"),
        ];
        for (document, expected) in cases {
            let error = parse(&document).unwrap_err();
            assert!(error.starts_with(expected), "{document}: {error}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let mut deep = json!({"column": "id", "op": "eq", "value": 1});
        for _ in 0..100 {
            deep = json!({ "not": deep });
        }
        assert!(parse(&deep).unwrap_err().contains("deep"));
        let wide: Vec<Value> = (0..2_000).map(|id| json!({"column": "id", "op": "eq", "value": id})).collect();
        assert!(parse(&json!({ "or": wide })).unwrap_err().contains("parts"));
        let many: Vec<Value> = (0..20_000).map(Value::from).collect();
        assert!(parse(&json!({"column": "id", "op": "in", "value": many})).unwrap_err().contains("values"));
    }

    #[test]
    fn new_values_are_read_by_column() {
        let set = json!({"id": 3, "US Gross": null, "j": {"a": [1]}});
        let all = Assignment::parse_all(set.as_object().unwrap(), &columns()).unwrap();
        let values: Vec<_> = all.iter().map(|one| one.value.as_ref().map(Literal::as_str)).collect();
        assert_eq!(values, [Some("3"), None, Some("{\"a\":[1]}")]);
        for bad in [json!({}), json!({"no": 1}), json!({"id": 1, "ID": 2}), json!({"id": {"a": 1}})] {
            assert!(Assignment::parse_all(bad.as_object().unwrap(), &columns()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused_with_a_short_error(
            op in "[a-z_]{0,12}", column in ".{0,60}", value in ".{0,60}", number in any::<i64>()
        ) {
            for value in [json!(value), json!(number), json!([number, value])] {
                let document = json!({"or": [{"column": column, "op": op, "value": value}]});
                if let Err(error) = parse(&document) {
                    prop_assert!(error.len() < 600, "{}", error);
                }
            }
        }
    }
}
