//! Values as they stand in a source, before anything is known about what they should be.

use std::fmt;

use toml::de::DeValue;

/// Longest piece of a wrong value that an error shows.
const MAX_SHOWN: usize = 80;

/// A value of a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// Text that may stand for anything: the environment has nothing else.
    Word(String),
    Text(String),
    Integer(i128),
    Float(f64),
    Switch(bool),
    List(Vec<Raw>),
    Table(Vec<(String, Raw)>),
    /// Something that no setting takes, and what it is.
    Other(&'static str),
}

impl Raw {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, or a whole number as text.
    pub(super) fn whole_or_text(&self) -> Option<String> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The text, or a number as text.
    pub(super) fn number_or_text(&self) -> Option<String> {
        match self {
            Self::Float(number) => Some(number.to_string()),
            _ => self.whole_or_text(),
        }
    }
}

impl From<&DeValue<'_>> for Raw {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or(Self::Other("a number that is too large"), Self::Integer),
            DeValue::Float(number) => {
                number.as_str().parse().map_or(Self::Other("a number that is too large"), Self::Float)
            }
            DeValue::Boolean(switch) => Self::Switch(*switch),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Array(items) => Self::List(items.iter().map(|item| Self::from(item.get_ref())).collect()),
            DeValue::Table(fields) => {
                let field = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                    let name: &std::borrow::Cow<'_, str> = name.get_ref();
                    (name.to_string(), Self::from(value.get_ref()))
                };
                Self::Table(fields.iter().map(field).collect())
            }
        }
    }
}

/// For errors: short, and without characters that would confuse a terminal.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Text(text) => {
                let short: String = text.chars().take(MAX_SHOWN).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                write!(f, "{short:?}{dots}")
            }
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Switch(switch) => switch.fmt(f),
            Self::List(_) => f.write_str("a list"),
            Self::Table(_) => f.write_str("a table"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_shown_short_and_harmless() {
        assert_eq!(Raw::Word("a\u{1b}[31m".to_owned()).to_string(), r#""a\u{1b}[31m""#);
        let long = Raw::Text("x".repeat(500)).to_string();
        assert!(long.chars().count() < 90 && long.ends_with('…'), "{long}");
        assert_eq!(Raw::List(vec![Raw::Text("swordfish".to_owned())]).to_string(), "a list");
    }
}
