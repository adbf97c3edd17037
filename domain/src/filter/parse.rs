//! Conditions as clients write them: JSON, checked against a table's columns.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::json::{Json, Members};
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
/// Longest text of a condition, in bytes: each level reads what is below once more.
const MAX_TEXT: usize = 1024 * 1024;

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
    /// Reads a condition's JSON text: `{"column", "op", "value"}`, or `and`, `or` with a list, or `not` with one.
    pub fn parse(json: &str, columns: &[Column]) -> Result<Self, FilterError> {
        let mut place = Place::new("filter");
        if json.len() > MAX_TEXT {
            return Err(place.refuse(format!("a condition has at most {MAX_TEXT} bytes of text")));
        }
        Parser { columns, parts: 0, values: 0 }.nested(json, &mut place, 0)
    }
}

impl Assignment {
    /// Reads new values' JSON text: an object of column to value, at least one.
    pub fn parse_all(json: &str, columns: &[Column]) -> Result<Vec<Self>, FilterError> {
        let mut parser = Parser { columns, parts: 0, values: 0 };
        let mut place = Place::new("set");
        let Json::Object(Members(members)) = place.read(json)? else {
            return Err(place.refuse("it is an object of columns and their new values"));
        };
        if members.is_empty() {
            return Err(place.refuse("it is empty; name at least one column and its new value"));
        }
        let mut seen = HashSet::new();
        let mut all = Vec::with_capacity(members.len().min(columns.len()));
        for (name, value) in &members {
            let assignment = place.enter(name, |place| parser.assignment(name, value.get(), place))?;
            if !seen.insert(assignment.column.clone()) {
                return Err(place.refuse(format!("column {} appears twice", assignment.column)));
            }
            all.push(assignment);
        }
        Ok(all)
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

    fn read<'j>(&self, json: &'j str) -> Result<Json<'j>, FilterError> {
        Json::read(json).map_err(|reason| self.refuse(reason))
    }

    fn refuse(&self, reason: impl Into<String>) -> FilterError {
        FilterError { at: self.0.clone(), reason: reason.into() }
    }
}

/// The items of a list that isn't empty.
fn items<'j>(json: &'j str, place: &Place, of: &str) -> Result<Vec<&'j RawValue>, FilterError> {
    match place.read(json)? {
        Json::List(list) if !list.is_empty() => Ok(list),
        _ => Err(place.refuse(format!("it is a list of at least one {of}"))),
    }
}

/// A JSON value by its text. What the engine's parser would refuse (half surrogate pairs, endless numbers or nesting) is
/// refused here.
fn document(json: &str, place: &Place) -> Result<Literal, FilterError> {
    match serde_json::from_str::<Value>(json) {
        Ok(_) => Ok(Literal::new(json)),
        Err(error) => Err(place.refuse(format!("it can't be stored as JSON: {error}"))),
    }
}

fn refuse_nul(text: &str, place: &Place) -> Result<(), FilterError> {
    if text.contains('\0') { Err(place.refuse("a value has no NUL character")) } else { Ok(()) }
}

struct Parser<'a> {
    columns: &'a [Column],
    parts: usize,
    values: usize,
}

const OPERATORS: &str = "eq, ne, lt, le, gt, ge, in, not_in, like, not_like, between, is_null, is_not_null";

impl<'a> Parser<'a> {
    fn nested(&mut self, json: &str, place: &mut Place, depth: usize) -> Result<Filter, FilterError> {
        self.parts += 1;
        if depth > MAX_DEPTH {
            return Err(place.refuse(format!("a condition is nested at most {MAX_DEPTH} deep")));
        }
        if self.parts > MAX_PARTS {
            return Err(place.refuse(format!("a condition has at most {MAX_PARTS} parts")));
        }
        let Json::Object(members) = place.read(json)? else {
            return Err(place.refuse("a condition is an object with column, op and value, or with and, or, not"));
        };
        let [(name, inner)] = members.0.as_slice() else { return self.leaf(&members, place) };
        let inner = inner.get();
        match name.as_str() {
            "and" => Ok(Filter::All(self.list("and", inner, place, depth)?)),
            "or" => Ok(Filter::Any(self.list("or", inner, place, depth)?)),
            "not" => {
                let inner = place.enter("not", |place| self.nested(inner, place, depth + 1))?;
                Ok(Filter::Not(Box::new(inner)))
            }
            _ => self.leaf(&members, place),
        }
    }

    fn list(&mut self, word: &str, json: &str, place: &mut Place, depth: usize) -> Result<Vec<Filter>, FilterError> {
        place.enter(word, |place| {
            let list = items(json, place, "condition")?;
            let part = |(index, inner): (usize, &&RawValue)| {
                place.item(index, |place| self.nested(inner.get(), place, depth + 1))
            };
            list.iter().enumerate().map(part).collect()
        })
    }

    fn leaf(&mut self, members: &Members<'_>, place: &mut Place) -> Result<Filter, FilterError> {
        let unknown = members.0.iter().find(|(name, _)| !matches!(name.as_str(), "column" | "op" | "value"));
        if let Some((name, _)) = unknown {
            let shown: String = name.chars().take(40).collect();
            return Err(place.refuse(format!("{shown:?} is not a member of a condition; use column, op and value")));
        }
        let text = |name: &str| match members.get(name).map(Json::read) {
            Some(Ok(Json::Text(text))) => Some(text),
            _ => None,
        };
        let named = text("column").ok_or_else(|| place.refuse("column is missing, or not text"))?;
        let column = place.enter("column", |place| self.column(&named, place))?;
        let operator = text("op").ok_or_else(|| place.refuse(format!("op is missing; it is one of {OPERATORS}")))?;
        let value = members.get("value");
        if matches!(operator.as_str(), "is_null" | "is_not_null") {
            if value.is_some_and(|value| value != "null") {
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
        if !OPERATORS.split(", ").any(|known| known == operator) {
            let shown: String = operator.chars().take(40).collect();
            let reason = format!("{shown:?} is not an operator; use one of {OPERATORS}");
            return Err(place.enter("op", |place| place.refuse(reason)));
        }
        let value = value.ok_or_else(|| place.refuse("value is missing"))?;
        place.enter("value", |place| self.comparison(column, &operator, value, place))
    }

    fn comparison(
        &mut self,
        column: &Column,
        operator: &str,
        value: &str,
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
            // The operators were told apart from other words before.
            _ => return Self::like(column, operator == "like", value, place),
        };
        Ok(compare(symbol, self.literal(value, column, place)?))
    }

    fn like(column: &Column, wanted: bool, value: &str, place: &Place) -> Result<Filter, FilterError> {
        let name = column.name.clone();
        if column.data_type.without_lengths() != DataType::Varchar(None) {
            return Err(place.refuse(format!("column {name} is not text; like is for VARCHAR columns")));
        }
        let Json::Text(pattern) = place.read(value)? else {
            return Err(place.refuse("a pattern is text with % and _"));
        };
        refuse_nul(&pattern, place)?;
        let like = Filter::Like { column: name, pattern };
        Ok(if wanted { like } else { Filter::Not(Box::new(like)) })
    }

    fn literals(&mut self, json: &str, column: &Column, place: &mut Place) -> Result<Vec<Literal>, FilterError> {
        let list = items(json, place, "value")?;
        let item =
            |(index, value): (usize, &&RawValue)| place.item(index, |place| self.literal(value.get(), column, place));
        list.iter().enumerate().map(item).collect()
    }

    fn literal(&mut self, json: &str, column: &Column, place: &Place) -> Result<Literal, FilterError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(place.refuse(format!("a condition has at most {MAX_VALUES} values")));
        }
        let text = match place.read(json)? {
            Json::Text(text) => {
                refuse_nul(&text, place)?;
                text
            }
            Json::Number(number) if column.data_type != DataType::Boolean => number.to_owned(),
            Json::Bool(truth) if matches!(column.data_type, DataType::Boolean | DataType::Varchar(_)) => {
                truth.to_string()
            }
            Json::Null => return Err(place.refuse("NULL is neither equal nor unequal to anything; use is_null")),
            _ => {
                let of = column.data_type.spelling();
                return Err(place.refuse(format!("it doesn't fit column {}, which is of type {of}", column.name)));
            }
        };
        Ok(Literal::new(text))
    }

    fn assignment(&mut self, name: &str, json: &str, place: &Place) -> Result<Assignment, FilterError> {
        let column = self.column(name, place)?;
        let value = match place.read(json)? {
            Json::Null => None,
            _ if is_document(&column.data_type) => Some(document(json, place)?),
            _ => Some(self.literal(json, column, place)?),
        };
        Ok(Assignment { column: column.name.clone(), value })
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
