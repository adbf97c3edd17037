//! Datasets: areas for files in a project. A dataset has objects, an object has a name, a type and bytes.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::names::NameError;

pub use crate::names::DatasetName;

/// Longest name of an object, in bytes.
pub const MAX_OBJECT_NAME: usize = 1024;
/// Longest part of an object's name between slashes, in bytes: what file systems take.
pub const MAX_SEGMENT: usize = 255;
/// Longest media type that is kept.
const MAX_CONTENT_TYPE: usize = 255;
/// Longest entity tag that is compared.
const MAX_TAG: usize = 256;

/// The name of an object within its dataset: segments of any text, with slashes between.
///
/// Case counts. Every name can be a path below a folder and stays below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ObjectName(String);

impl ObjectName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |rule| Err(NameError::new("object", text, rule));
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_OBJECT_NAME {
            return refuse("it is longer than 1024 bytes");
        }
        if text.contains('\\') || text.chars().any(char::is_control) {
            return refuse("leave out backslashes and control characters");
        }
        for segment in text.split('/') {
            match segment {
                "" => return refuse("it has an empty part: no slash at either end, and no two in a row"),
                "." | ".." => return refuse("no part of it may be . or .."),
                _ if segment.len() > MAX_SEGMENT => return refuse("a part between slashes is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts between slashes; there is at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder-like part before the last slash (empty without one), and the part after it.
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no media type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the content type is not type/subtype (with parameters, perhaps) in at most 255 characters of ASCII")]
pub struct ContentTypeError;

impl Classify for ContentTypeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_content_type"
    }
}

/// A media type with its parameters, fit for a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ContentType(String);

impl ContentType {
    /// Parses a media type: `type/subtype`, perhaps with parameters.
    pub fn parse(text: &str) -> Result<Self, ContentTypeError> {
        let text = text.trim_matches([' ', '\t']);
        let essence = text.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let legal = essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
        let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if !legal || !printable || text.len() > MAX_CONTENT_TYPE {
            return Err(ContentTypeError);
        }
        Ok(Self(text.to_owned()))
    }

    /// What an object of that name most likely is.
    pub fn guess(name: &ObjectName) -> Self {
        let (_, file) = name.split();
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        Self(of_extension(&extension).to_owned())
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn of_extension(extension: &str) -> &'static str {
    match extension {
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "xml" => "application/xml",
        "json" => "application/json",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "yaml" | "yml" => "application/yaml",
        "parquet" => "application/vnd.apache.parquet",
        "arrow" | "feather" => "application/vnd.apache.arrow.file",
        "arrows" => "application/vnd.apache.arrow.stream",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}

/// Names one version of an object's bytes: another put has another tag, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EntityTag(String);

impl EntityTag {
    /// Takes a tag without its quotes; `None` when it isn't fit for a header.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_TAG).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        fits.then(|| Self(text.to_owned()))
    }

    /// The tag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Bytes.
    pub size: u64,
    /// What it says it is.
    pub content_type: ContentType,
    /// Which version of it this is.
    pub etag: EntityTag,
    /// When it was put.
    pub last_modified: DateTime<Utc>,
}

/// Versions that a request speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// Whichever there is.
    Any,
    /// One of these.
    OneOf(Vec<EntityTag>),
}

impl Tags {
    /// Whether the current version (none: there is no object) is among them.
    pub fn include(&self, current: Option<&EntityTag>) -> bool {
        match self {
            Self::Any => current.is_some(),
            Self::OneOf(tags) => current.is_some_and(|tag| tags.contains(tag)),
        }
    }
}

/// What must hold of an object for a request to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Precondition {
    /// The current version must be among these.
    pub if_match: Option<Tags>,
    /// The current version must not be among these.
    pub if_none_match: Option<Tags>,
}

impl Precondition {
    /// Whether it holds of the current version.
    pub fn holds(&self, current: Option<&EntityTag>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.include(current))
            && self.if_none_match.as_ref().is_none_or(|tags| !tags.include(current))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName::parse(text).unwrap()
    }

    #[test]
    fn ordinary_names_are_kept_as_they_are() {
        let long = format!("{}/{}", "x".repeat(255), "y".repeat(255));
        for text in ["a", "a/b/c.csv", "year=2024/x y.parquet", "é/🦆", "a%2Fb", "x#1", "...", "'\"*?[", ".hid", &long]
        {
            assert_eq!(name(text).as_str(), text);
        }
    }

    #[test]
    fn hostile_names_are_refused_with_a_short_error() {
        let (long, segment) = ("x/".repeat(600) + "x", "x".repeat(256));
        let bad = ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\\b", "a\0b", "a\nb", "\u{7f}"];
        for text in bad.into_iter().chain(["\u{85}", &long, &segment]) {
            let error = ObjectName::parse(text).unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_type_is_guessed_by_the_last_extension() {
        let guess = |text: &str| ContentType::guess(&name(text)).as_str().to_owned();
        assert_eq!(guess("a/x.CSV"), "text/csv");
        assert_eq!(guess("x.csv.gz"), "application/gzip");
        for unknown in ["x", "a.csv/x", "x.", "x.zzz"] {
            assert_eq!(guess(unknown), "application/octet-stream", "{unknown}");
        }
    }

    #[test]
    fn a_content_type_is_fit_for_a_header() {
        for text in ["text/plain", "text/csv; charset=utf-8", " image/svg+xml ", "a/b;x=\"y z\""] {
            assert_eq!(ContentType::parse(text).unwrap().as_str(), text.trim());
        }
        let long = format!("a/{}", "b".repeat(300));
        for text in ["", "text", "/", "text/", "a b/c", "text/plain\r\nX: y", "text/é", "a/b;\u{1}", &long] {
            assert!(ContentType::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn preconditions_speak_of_the_current_version() {
        let tag = |text: &str| EntityTag::parse(text).unwrap();
        let (one, two) = (tag("1"), tag("2"));
        let absent = Precondition { if_match: None, if_none_match: Some(Tags::Any) };
        assert!(absent.holds(None) && !absent.holds(Some(&one)));
        let same = Precondition { if_match: Some(Tags::OneOf(vec![one.clone()])), if_none_match: None };
        assert!(same.holds(Some(&one)) && !same.holds(Some(&two)) && !same.holds(None));
        let present = Precondition { if_match: Some(Tags::Any), if_none_match: None };
        assert!(present.holds(Some(&two)) && !present.holds(None));
        assert!(Precondition::default().holds(None));
    }

    proptest! {
        #[test]
        fn a_parsed_name_stays_below_its_folder(text in "([a./\\\\\u{0}\u{e9}]|\\PC){0,20}") {
            if let Ok(parsed) = ObjectName::parse(&text) {
                prop_assert_eq!(parsed.as_str(), &text);
                let path = std::path::Path::new("/root").join(parsed.as_str());
                let normal = path.strip_prefix("/root").unwrap().components();
                let parts: Vec<_> = normal.map(|part| match part {
                    std::path::Component::Normal(part) => part.to_str().unwrap().to_owned(),
                    other => format!("{other:?} is not a plain part"),
                }).collect();
                prop_assert_eq!(parts.join("/"), text);
            }
        }

        #[test]
        fn a_parsed_type_can_be_parsed_again(text in "[a-z/; =\\-\"]{0,20}") {
            if let Ok(parsed) = ContentType::parse(&text) {
                prop_assert_eq!(ContentType::parse(parsed.as_str()).unwrap(), parsed);
            }
        }
    }
}
