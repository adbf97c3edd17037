//! Paths of files in datasets: `/dataset/folder/name.csv`, and patterns of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dataset::{DatasetName, MAX_OBJECT_NAME, ObjectName};
use crate::error::{Classify, ErrorKind};
use crate::names::NameError;

/// Most parts between slashes that a pattern has; with [`MAX_DEEP`], what matching a name may cost.
const MAX_PARTS: usize = 32;
/// Most `**` in a pattern.
const MAX_DEEP: usize = 4;

/// A text that names no files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It isn't `/dataset/object`.
    #[error("{given:?} is not the path of a file: use /<dataset>/<object>{hint}")]
    Form {
        /// The text, shortened.
        given: String,
        /// What else it may be.
        hint: &'static str,
    },
    /// The pattern has too many parts.
    #[error("the pattern is too deep: at most {MAX_PARTS} parts between slashes, and ** at most {MAX_DEEP} times")]
    TooDeep,
    /// The dataset's or the object's name is not legal.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Classify for PatternError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Name(error) => error.code(),
            _ => "invalid_path",
        }
    }
}

fn parts<'a>(text: &'a str, hint: &'static str) -> Result<(&'a str, &'a str), PatternError> {
    let split = text.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    split.ok_or_else(|| PatternError::Form { given: text.chars().take(80).collect(), hint })
}

/// One object: `/dataset/object`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectPath {
    /// In which dataset.
    pub dataset: DatasetName,
    /// Its name there.
    pub object: ObjectName,
}

impl ObjectPath {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (dataset, object) = parts(text, "")?;
        Ok(Self { dataset: DatasetName::parse(dataset)?, object: ObjectName::parse(object)? })
    }
}

impl TryFrom<String> for ObjectPath {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<ObjectPath> for String {
    fn from(path: ObjectPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.dataset, self.object)
    }
}

/// Objects of one dataset: `*` is any text within a part, `?` any one character, `**` any parts. All else is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    dataset: DatasetName,
    parts: Vec<String>,
    text: ObjectName,
}

impl FilePattern {
    /// Parses a pattern. The dataset is always named.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (dataset, objects) = parts(text, "; *, ? and ** stand for parts of the object's name")?;
        // A pattern is as legal as the names it finds.
        let name = ObjectName::parse(objects)?;
        let mut parts: Vec<String> = name.segments().map(str::to_owned).collect();
        parts.dedup_by(|later, earlier| later == "**" && earlier == "**");
        if parts.len() > MAX_PARTS || parts.iter().filter(|part| *part == "**").count() > MAX_DEEP {
            return Err(PatternError::TooDeep);
        }
        Ok(Self { dataset: DatasetName::parse(dataset)?, parts, text: name })
    }

    /// The dataset.
    pub fn dataset(&self) -> &DatasetName {
        &self.dataset
    }

    /// The pattern without its dataset. Its extension is that of all it finds.
    pub fn name(&self) -> &ObjectName {
        &self.text
    }

    /// The one object it means, if it has nothing to match.
    pub fn literal(&self) -> Option<&ObjectName> {
        (!self.text.as_str().contains(['*', '?'])).then_some(&self.text)
    }

    /// What all its objects' names start with.
    pub fn prefix(&self) -> &str {
        let text = self.text.as_str();
        &text[..text.find(['*', '?']).unwrap_or(text.len())]
    }

    /// Whether an object is one of them.
    pub fn matches(&self, name: &ObjectName) -> bool {
        if name.as_str().len() > MAX_OBJECT_NAME {
            return false;
        }
        let segments: Vec<&str> = name.segments().collect();
        // Which beginnings of the name the parts so far can stand for: each part is compared with each segment once.
        let mut reached = vec![false; segments.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; segments.len() + 1];
            if part == "**" {
                let mut seen = false;
                for (to, from) in next.iter_mut().zip(&reached) {
                    seen |= from;
                    *to = seen;
                }
            } else {
                for (index, segment) in segments.iter().enumerate() {
                    next[index + 1] = reached[index] && within(part, segment);
                }
            }
            reached = next;
        }
        reached[segments.len()]
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.dataset, self.text)
    }
}

/// Whether a part of a pattern matches a segment. Goes back to the last star only, so it costs at most their product.
fn within(part: &str, segment: &str) -> bool {
    let (part, segment): (Vec<char>, Vec<char>) = (part.chars().collect(), segment.chars().collect());
    let (mut p, mut s, mut star) = (0, 0, None);
    while s < segment.len() {
        match part.get(p) {
            Some('*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == segment[s] => {
                p += 1;
                s += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                s = from + 1;
            }
        }
    }
    part[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        FilePattern::parse(&format!("/d/{pattern}")).unwrap().matches(&ObjectName::parse(name).unwrap())
    }

    #[test]
    fn stars_stay_within_a_part_and_two_of_them_do_not() {
        for (pattern, name) in [
            ("*.csv", "a.csv"),
            ("a/*/c", "a/b/c"),
            ("**/x", "x"),
            ("**/x", "a/b/x"),
            ("a/**", "a/b/c"),
            ("a/**/**/c", "a/c"),
            ("?.csv", "é.csv"),
            ("a*b*c", "aXbYbZc"),
            ("x[1].csv", "x[1].csv"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.csv", "a/b.csv"),
            ("?", "ab"),
            ("a/**/c", "a/b"),
            ("*.csv", "a.csv.gz"),
            ("x[1].csv", "x1.csv"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn hostile_patterns_are_refused() {
        let deep = "/d/".to_owned() + &"a/".repeat(40) + "b";
        let stars = "/d/".to_owned() + &"**/a/".repeat(5) + "b";
        for text in [
            "",
            "/",
            "/d",
            "/d/",
            "d/x",
            "/d/../e/x",
            "/../x",
            "/*/x",
            "//x",
            "/d/a//b",
            "/d/\0",
            "/d/a\\b",
            &deep,
            &stars,
        ] {
            assert!(FilePattern::parse(text).is_err(), "{text:?}");
        }
        assert!(ObjectPath::parse("/d/../../x").is_err() && ObjectPath::parse("x").is_err());
    }

    #[test]
    fn a_costly_pattern_ends_soon() {
        let name = "a".repeat(255);
        assert!(!matches(&("*a".repeat(120) + "b"), &name));
        let folders = "a/".repeat(500) + "a";
        assert!(!matches("**/a/**/a/**/a/**/b", &folders));
    }

    proptest! {
        #[test]
        fn a_match_starts_with_the_prefix_and_literals_match_themselves(pattern in "[ab*?]{1,4}(/[ab*?]{1,4}){0,3}", name in "[ab]{1,3}(/[ab]{1,3}){0,3}") {
            let pattern = FilePattern::parse(&format!("/d/{pattern}")).unwrap();
            let name = ObjectName::parse(&name).unwrap();
            if pattern.matches(&name) {
                prop_assert!(name.as_str().starts_with(pattern.prefix()) || pattern.text.as_str().contains("**"));
            }
            let own = FilePattern::parse(&format!("/d/{name}")).unwrap();
            prop_assert!(own.matches(&name));
            prop_assert_eq!(own.literal(), Some(&name));
        }
    }
}
