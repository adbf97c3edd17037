//! Rules that a column's values are held to beyond their type: SQL's `CHECK`, of a few known kinds.
//!
//! The lake doesn't know them: commits carry them, and every way of writing holds rows to them.

use serde::{Deserialize, Serialize};

use crate::filter::Literal;
use crate::types::DataType;

/// Most values that a rule lists.
pub const MAX_VALUES: usize = 1_000;
/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 1_000;

/// Rules for one column. NULL breaks none of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// The only values there are; empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Literal>,
    /// A regular expression (RE2) that a part of the text matches; `^` and `$` tie it to the ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Fewest characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// Where values begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Bound>,
    /// Where values end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Bound>,
}

/// An end of a range of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The value, read as the column's type.
    pub value: Literal,
    /// Whether the value itself is outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check<'a> {
    /// The value is one of these.
    OneOf(&'a [Literal]),
    /// The text matches.
    Pattern(&'a str),
    /// The text has at least so many characters.
    MinLength(u32),
    /// The value isn't below.
    Minimum(&'a Bound),
    /// The value isn't above.
    Maximum(&'a Bound),
}

impl Checks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// The rules, one by one.
    pub fn each(&self) -> impl Iterator<Item = Check<'_>> {
        let one_of = (!self.one_of.is_empty()).then_some(Check::OneOf(&self.one_of));
        one_of
            .into_iter()
            .chain(self.pattern.as_deref().map(Check::Pattern))
            .chain(self.min_length.map(Check::MinLength))
            .chain(self.minimum.as_ref().map(Check::Minimum))
            .chain(self.maximum.as_ref().map(Check::Maximum))
    }

    /// The values that the rules name: each must be one of the column's type.
    pub fn values(&self) -> impl Iterator<Item = &Literal> {
        self.one_of.iter().chain(self.minimum.iter().chain(&self.maximum).map(|bound| &bound.value))
    }

    /// Fails with what is wrong unless values of that type can be held to these rules.
    pub fn fit(&self, data_type: &DataType) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        let spelled = data_type.spelling();
        let is_text = matches!(data_type, DataType::Varchar(_) | DataType::Char(_));
        if data_type.is_nested()
            || matches!(
                data_type,
                DataType::Json | DataType::Variant | DataType::Geometry | DataType::Blob | DataType::Interval
            )
        {
            return Err(format!("values of {spelled} can't be held to checks"));
        }
        if !is_text && (self.pattern.is_some() || self.min_length.is_some()) {
            return Err(format!("pattern and min_length are for text, not for {spelled}"));
        }
        if self.one_of.len() > MAX_VALUES {
            return Err(format!("one_of lists {} values; {MAX_VALUES} are allowed", self.one_of.len()));
        }
        if self.pattern.as_ref().is_some_and(|pattern| pattern.len() > MAX_PATTERN || pattern.contains('\0')) {
            return Err(format!("the pattern has a NUL or more than {MAX_PATTERN} bytes"));
        }
        if let Some((min, max)) = self.min_length.zip(data_type.max_chars()).filter(|(min, max)| min > max) {
            return Err(format!("min_length {min} is more than {spelled} allows: {max}"));
        }
        Ok(())
    }
}

impl Check<'_> {
    /// What is wrong with a value that breaks it.
    pub fn reason(self) -> String {
        match self {
            Self::OneOf(values) => {
                let shown: Vec<&str> = values.iter().take(10).map(Literal::as_str).collect();
                let more = if values.len() > shown.len() { ", …" } else { "" };
                format!("is not one of {}{more}", shown.join(", "))
            }
            Self::Pattern(pattern) => format!("does not match the pattern {pattern}"),
            Self::MinLength(least) => format!("is shorter than {least} characters"),
            Self::Minimum(Bound { value, exclusive }) => {
                format!("is less than {}{}", if *exclusive { "or equal to " } else { "" }, value.as_str())
            }
            Self::Maximum(Bound { value, exclusive }) => {
                format!("is more than {}{}", if *exclusive { "or equal to " } else { "" }, value.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(json: &str) -> Checks {
        serde_json::from_str(json).unwrap()
    }

    fn fit(json: &str, data_type: &str) -> Result<(), String> {
        checks(json).fit(&DataType::parse(data_type).unwrap())
    }

    #[test]
    fn the_stored_form_names_only_what_is_ruled() {
        let text = r#"{"one_of":["A","B"],"minimum":{"value":"0","exclusive":true}}"#;
        assert_eq!(serde_json::to_string(&checks(text)).unwrap(), text);
        assert_eq!(serde_json::to_string(&Checks::default()).unwrap(), "{}");
        assert!(Checks::default().is_empty());
        assert!(serde_json::from_str::<Checks>(r#"{"one_off":["A"]}"#).is_err());
    }

    #[test]
    fn rules_are_for_types_that_can_be_held_to_them() {
        for (json, data_type) in [
            (r#"{"pattern":"^a"}"#, "VARCHAR"),
            (r#"{"min_length":3}"#, "CHAR(3)"),
            (r#"{"minimum":{"value":"0"}}"#, "DECIMAL(5,2)"),
            (r#"{"maximum":{"value":"2026-01-01"}}"#, "DATE"),
            ("{}", "INTEGER[]"),
        ] {
            assert_eq!(fit(json, data_type), Ok(()), "{json} {data_type}");
        }
        for (json, data_type) in [
            (r#"{"pattern":"^a"}"#, "INTEGER"),
            (r#"{"min_length":4}"#, "CHAR(3)"),
            (r#"{"one_of":["[1]"]}"#, "INTEGER[]"),
            (r#"{"minimum":{"value":"0"}}"#, "JSON"),
        ] {
            assert!(fit(json, data_type).is_err(), "{json} {data_type}");
        }
        let many = Checks { one_of: vec![Literal::new("x"); MAX_VALUES + 1], ..Checks::default() };
        assert!(many.fit(&DataType::Varchar(None)).is_err());
        let long = Checks { pattern: Some("a".repeat(MAX_PATTERN + 1)), ..Checks::default() };
        assert!(long.fit(&DataType::Varchar(None)).is_err());
    }

    #[test]
    fn a_broken_rule_is_told_in_words() {
        let rules = checks(r#"{"one_of":["A","B"],"maximum":{"value":"9","exclusive":true}}"#);
        let told: Vec<String> = rules.each().map(Check::reason).collect();
        assert_eq!(told, ["is not one of A, B", "is more than or equal to 9"]);
    }
}
