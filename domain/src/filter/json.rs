//! JSON read level by level, so that numbers keep the text they came as.

use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One level of a document; what is below is text still.
#[derive(Debug)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As it was written: no digit is lost.
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    Object(Members<'a>),
}

impl<'a> Json<'a> {
    /// Reads the outermost level.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let text = text.trim_matches([' ', '\n', '\r', '\t']);
        let told = |error: serde_json::Error| {
            let what = error.to_string();
            format!("it can't be read as JSON: {}", what.chars().take(120).collect::<String>())
        };
        match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b't' | b'f') => serde_json::from_str(text).map(Self::Bool),
            Some(b'-' | b'0'..=b'9') => {
                serde_json::from_str::<&RawValue>(text).map(|number| Self::Number(number.get()))
            }
            _ => serde_json::from_str::<()>(text).map(|()| Self::Null),
        }
        .map_err(told)
    }
}

/// The members of an object, as they came. None comes twice.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }
}

/// Most members of an object: a table has no more columns, a condition three.
const MAX_MEMBERS: usize = crate::schema::MAX_COLUMNS;

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format_args!("an object has at most {MAX_MEMBERS} members here")));
                    }
                    if !seen.insert(name.clone()) {
                        let shown: String = name.chars().take(40).collect();
                        return Err(A::Error::custom(format_args!("{shown:?} is there twice")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
