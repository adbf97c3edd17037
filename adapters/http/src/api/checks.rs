//! The checks of a column as clients write and see them.

use gadwall_domain::check::{Bound, Checks};
use gadwall_domain::filter::Literal;
use poem_openapi::Object;
use poem_openapi::types::{Any, Example};
use serde_json::Value;

use crate::problem::{ApiError, ApiResult};

/// What a column's values are held to beside their type. NULL breaks none of it.
#[derive(Debug, Clone, Default, Object)]
#[oai(rename = "Checks", example)]
pub(crate) struct ChecksBody {
    /// The only values there are.
    #[oai(skip_serializing_if_is_none)]
    one_of: Option<Vec<Any<Value>>>,
    /// A regular expression (RE2) that a part of the text matches; `^` and `$` tie it to the ends.
    #[oai(skip_serializing_if_is_none)]
    pattern: Option<String>,
    /// Fewest characters.
    #[oai(skip_serializing_if_is_none)]
    min_length: Option<u32>,
    /// The least value.
    #[oai(skip_serializing_if_is_none)]
    minimum: Option<Any<Value>>,
    /// A value that is too small already.
    #[oai(skip_serializing_if_is_none)]
    exclusive_minimum: Option<Any<Value>>,
    /// The greatest value.
    #[oai(skip_serializing_if_is_none)]
    maximum: Option<Any<Value>>,
    /// A value that is too great already.
    #[oai(skip_serializing_if_is_none)]
    exclusive_maximum: Option<Any<Value>>,
}

impl Example for ChecksBody {
    fn example() -> Self {
        Self { minimum: Some(Any(0.into())), exclusive_maximum: Some(Any(100.into())), ..Self::default() }
    }
}

impl ChecksBody {
    pub(crate) fn parse(&self) -> ApiResult<Checks> {
        let one_of = self.one_of.iter().flatten().map(|value| literal("one_of", value)).collect::<ApiResult<_>>()?;
        Ok(Checks {
            one_of,
            pattern: self.pattern.clone(),
            min_length: self.min_length,
            minimum: bound("minimum", self.minimum.as_ref(), self.exclusive_minimum.as_ref())?,
            maximum: bound("maximum", self.maximum.as_ref(), self.exclusive_maximum.as_ref())?,
        })
    }

    /// The checks as they are shown; none where there are none.
    pub(crate) fn of(checks: &Checks) -> Option<Self> {
        if checks.is_empty() {
            return None;
        }
        let shown = |value: &Literal| Any(Value::from(value.as_str()));
        let end = |bound: &Option<Bound>, exclusive| {
            bound.as_ref().filter(|bound| bound.exclusive == exclusive).map(|bound| shown(&bound.value))
        };
        Some(Self {
            one_of: (!checks.one_of.is_empty()).then(|| checks.one_of.iter().map(shown).collect()),
            pattern: checks.pattern.clone(),
            min_length: checks.min_length,
            minimum: end(&checks.minimum, false),
            exclusive_minimum: end(&checks.minimum, true),
            maximum: end(&checks.maximum, false),
            exclusive_maximum: end(&checks.maximum, true),
        })
    }
}

fn bound(name: &str, least: Option<&Any<Value>>, exclusive: Option<&Any<Value>>) -> ApiResult<Option<Bound>> {
    match (least, exclusive) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(Bound { value: literal(name, value)?, exclusive: false })),
        (None, Some(value)) => Ok(Some(Bound { value: literal(name, value)?, exclusive: true })),
        (Some(_), Some(_)) => Err(ApiError::out_of_range(format!("give either {name} or exclusive_{name}"))),
    }
}

fn literal(name: &str, value: &Any<Value>) -> ApiResult<Literal> {
    match &value.0 {
        Value::String(text) => Ok(Literal::new(text.as_str())),
        Value::Number(number) => Ok(Literal::new(number.to_string())),
        Value::Bool(truth) => Ok(Literal::new(truth.to_string())),
        _ => Err(ApiError::out_of_range(format!("{name} takes texts, numbers, true and false"))),
    }
}
