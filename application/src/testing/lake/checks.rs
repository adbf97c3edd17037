//! Values held to the checks of their columns.

use std::cmp::Ordering;

use gadwall_domain::alteration::AlterationError;
use gadwall_domain::check::{Bound, Check};
use gadwall_domain::filter::Literal;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::{Column, SchemaError};
use gadwall_domain::types::DataType;
use regex::Regex;
use serde_json::Value;

use super::values::{compare, parse};

/// The checks that a value of the column breaks.
pub(super) fn broken<'a>(column: &'a Column, value: &'a Value) -> impl Iterator<Item = Check<'a>> {
    column.checks.each().filter(|check| breaks(*check, value, &column.data_type))
}

fn breaks(check: Check<'_>, value: &Value, data_type: &DataType) -> bool {
    let order = |literal: &Literal| compare(value, &parse(literal.as_str(), data_type)?);
    let outside = |bound: &Bound, side: Ordering| match order(&bound.value) {
        Some(Ordering::Equal) => bound.exclusive,
        order => order == Some(side),
    };
    match check {
        Check::OneOf(values) => !value.is_null() && !values.iter().any(|value| order(value) == Some(Ordering::Equal)),
        Check::Pattern(pattern) => {
            value.as_str().is_some_and(|text| Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)))
        }
        Check::MinLength(least) => value.as_str().is_some_and(|text| text.chars().count() < least as usize),
        Check::Minimum(bound) => outside(bound, Ordering::Less),
        Check::Maximum(bound) => outside(bound, Ordering::Greater),
    }
}

/// Fails unless a column's checks can be made of its values, and its default passes them.
pub(super) fn fit(column: &Column) -> Result<(), WriteError> {
    let refuse =
        |reason: String| Err(AlterationError::from(SchemaError::Checks { column: column.name.clone(), reason }).into());
    if let Some(value) = column.checks.values().find(|value| parse(value.as_str(), &column.data_type).is_none()) {
        return refuse(format!("{:?} is not a value of the column's type", value.as_str()));
    }
    if column.checks.pattern.as_deref().is_some_and(|pattern| Regex::new(pattern).is_err()) {
        return refuse("the pattern is not a regular expression (RE2)".to_owned());
    }
    let default = column.default.as_ref().and_then(|default| parse(default.as_str(), &column.data_type));
    match default.as_ref().and_then(|default| broken(column, default).next()) {
        Some(check) => refuse(format!("the default {}", check.reason())),
        None => Ok(()),
    }
}
