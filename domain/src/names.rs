//! Names that users choose: parsed once, compared without regard to case.

use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use crate::error::{Classify, ErrorKind};

/// Longest name of a project, bucket or table, in characters.
pub const MAX_NAME: usize = 64;
/// Longest column name, in characters.
pub const MAX_COLUMN_NAME: usize = 128;

/// Why a text is not a legal name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not a legal {what} name: {rule}")]
pub struct NameError {
    what: &'static str,
    given: String,
    rule: &'static str,
}

impl NameError {
    pub(crate) fn new(what: &'static str, given: &str, rule: &'static str) -> Self {
        // A hostile name may be a megabyte long; the error must not be.
        let mut shown: String = given.chars().take(40).collect();
        if shown.len() < given.len() {
            shown.push('…');
        }
        Self { what, given: shown, rule }
    }
}

impl Classify for NameError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_name"
    }
}

/// The grammar shared by projects, buckets and tables: `[A-Za-z0-9_-]{1,64}`.
///
/// Stricter than some services it replaces: no dot, so that `bucket.table` has one reading.
fn parse_plain(what: &'static str, text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::new(what, text, "it is empty; use 1 to 64 of A-Z a-z 0-9 _ -"));
    }
    if text.len() > MAX_NAME {
        return Err(NameError::new(what, text, "it is longer than 64 characters"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err(NameError::new(what, text, "use only the characters A-Z a-z 0-9 _ -"));
    }
    Ok(text.to_owned())
}

/// Names that the engine uses itself; a bucket or table of that name would hide or be hidden.
fn refuse_reserved(what: &'static str, text: &str, reserved: &[&str]) -> Result<(), NameError> {
    let taken = reserved.iter().any(|word| text.eq_ignore_ascii_case(word));
    let engine_prefix = text.len() >= 9 && text.is_char_boundary(9) && text[..9].eq_ignore_ascii_case("ducklake_");
    if taken || engine_prefix || text.starts_with("__") {
        return Err(NameError::new(what, text, "that word is reserved for the engine"));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        ///
        /// Keeps the case it was given in; two names that differ only in (ASCII) case are equal.
        #[derive(Clone)]
        pub struct $name(String);

        impl $name {
            /// Parses a name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let parse: fn(&str) -> Result<String, NameError> = $parse;
                parse(text).map(Self)
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form in which names are compared: ASCII lower case.
            pub fn folded(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.folded().hash(state);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.folded().cmp(&other.folded())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(
    /// The public id of a project, chosen by whoever creates it.
    ProjectId,
    |text| parse_plain("project", text)
);

name_type!(
    /// The name of a bucket within its project.
    BucketName,
    |text| {
        let name = parse_plain("bucket", text)?;
        refuse_reserved("bucket", text, &["information_schema", "pg_catalog", "system", "temp", "memory"])?;
        Ok(name)
    }
);

name_type!(
    /// The name of a dataset bucket: an area for files, apart from the buckets of tables.
    DatasetName,
    |text| {
        let name = parse_plain("dataset", text)?;
        refuse_reserved("dataset", text, &["information_schema", "pg_catalog", "system", "temp", "memory"])?;
        Ok(name)
    }
);

name_type!(
    /// The name of a table within its bucket.
    TableName,
    |text| {
        let name = parse_plain("table", text)?;
        refuse_reserved("table", text, &[])?;
        Ok(name)
    }
);

name_type!(
    /// The name of a snapshot, chosen by whoever wants it kept.
    TagName,
    |text| parse_plain("tag", text)
);

name_type!(
    /// The name of somebody who follows the changes of a table.
    ConsumerName,
    |text| parse_plain("consumer", text)
);

name_type!(
    /// The name of a column, or of a field in a `STRUCT`.
    ///
    /// Data comes with headings such as `US Gross` or `Größe (m²)`, so letters and digits of any
    /// script, inner spaces and `_ - . / % # & + : $ @ ( ) [ ] ' °` are allowed. Commas, semicolons,
    /// double quotes, backslashes and control characters are not.
    ColumnName,
    parse_column
);

fn parse_column(text: &str) -> Result<String, NameError> {
    let illegal = |c: char| !(c.is_alphanumeric() || " _-./%#&+:$@()[]'°".contains(c));
    if text.is_empty() {
        return Err(NameError::new("column", text, "it is empty"));
    }
    if text.chars().count() > MAX_COLUMN_NAME {
        return Err(NameError::new("column", text, "it is longer than 128 characters"));
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(NameError::new("column", text, "it starts or ends with a space"));
    }
    if text.chars().any(illegal) {
        return Err(NameError::new(
            "column",
            text,
            "use letters, digits, inner spaces and _ - . / % # & + : $ @ ( ) [ ] ' °",
        ));
    }
    if refuse_reserved("column", text, &["rowid"]).is_err() {
        return Err(NameError::new("column", text, "that word is reserved for the engine"));
    }
    Ok(text.to_owned())
}

impl BucketName {
    /// The bucket that every project has; tables named without a bucket live here.
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Whether this is the bucket that every project has.
    pub fn is_main(&self) -> bool {
        self.0.eq_ignore_ascii_case("main")
    }
}

impl ProjectId {
    /// The project that is created at first start and used where none is named.
    pub fn default_project() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_parse_and_keep_their_case() {
        for text in ["a", "in_c_Sales", "out-c-reports", "2024", "select", &"x".repeat(64)] {
            assert_eq!(BucketName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn hostile_names_are_refused_with_a_short_error() {
        let long = "x".repeat(10_000);
        for text in ["", "../evil", "a.b", "a b", "a'b", "a\"b", "a;b", "a\0b", "🦆", "é", &long] {
            let err = TableName::parse(text).unwrap_err().to_string();
            assert!(err.len() < 300, "{err}");
        }
    }

    #[test]
    fn names_the_engine_uses_are_reserved() {
        for text in ["information_schema", "PG_CATALOG", "temp", "ducklake_x", "__x"] {
            assert!(BucketName::parse(text).is_err(), "{text}");
        }
        assert!(BucketName::parse("main").unwrap().is_main());
    }

    #[test]
    fn names_are_unique_without_regard_to_case() {
        let names: HashSet<_> = ["Sales", "SALES", "sales"].map(|n| BucketName::parse(n).unwrap()).into();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn columns_may_carry_real_headings_but_no_sql() {
        for text in ["US Gross", "Größe (m²)", "temp_max", "a.b", "select", "Rotten Tomatoes %"] {
            assert!(ColumnName::parse(text).is_ok(), "{text}");
        }
        for text in ["id INTEGER, x", "a\"b", "a;b", " a", "a ", "", "a\nb", "a\0", "rowid", "🦆", "a\\b"] {
            assert!(ColumnName::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_name_is_safe_in_paths_and_sql(text in ".{0,80}") {
            if let Ok(name) = TableName::parse(&text) {
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            }
            if let Ok(name) = ColumnName::parse(&text) {
                prop_assert!(!name.as_str().contains(['"', ';', ',', '\0', '\n']));
            }
        }
    }
}
