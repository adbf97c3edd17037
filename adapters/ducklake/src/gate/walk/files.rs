//! Calls that read files, replaced by queries over files of the caller's datasets.

use super::super::error::GateError;
use super::super::files::{Literal, Reader};
use super::super::json::{Json, Members, get, set, text_of};
use super::super::names::NameError;
use super::listings::{DEPTH, reference};
use super::{Walk, malformed};
use crate::sql;

const PATHS: &str =
    "name files of datasets as '/dataset/folder/name.csv', or as a list of such, without computing them";

impl Walk<'_> {
    /// The query that takes the place of a call, if it reads files. Being a query it has no columns but those of the
    /// files: a call would also tell where they lie.
    pub(super) fn file_call(&mut self, members: &Members<'_>, kind: &str) -> Result<Option<Json<'static>>, GateError> {
        let Some(Json::Object(function)) = get(members, "function").filter(|_| kind == "TABLE_FUNCTION") else {
            return Ok(None);
        };
        let name = text_of(function, "function_name");
        let unqualified = text_of(function, "catalog").is_empty() && matches!(text_of(function, "schema"), "" | "main");
        let Some(reader) = Reader::find(name).filter(|_| unqualified && !self.reads_located(function)) else {
            return Ok(None);
        };
        if text_of(members, "with_ordinality") == "WITH_ORDINALITY" {
            return Err(GateError::unsupported(
                format!("WITH ORDINALITY behind {name}()"),
                "number the rows in the query",
            ));
        }
        let Some(Json::Array(arguments)) = get(function, "children") else { return Err(malformed()) };
        let text = self.call_text(name, reader, arguments)?;
        let tree = self.names.serialize(&format!("SELECT * FROM (SELECT * FROM {text}) AS r")).map_err(unavailable)?;
        let mut reference = reference(&tree, DEPTH).ok_or_else(malformed)?;
        let Json::Object(own) = &mut reference else { return Err(malformed()) };
        let alias = match text_of(members, "alias") {
            "" => name,
            alias => alias,
        };
        set(own, "alias", Json::text(alias.to_owned()));
        for key in ["sample", "column_name_alias"] {
            if let Some(value) = get(members, key) {
                set(own, key, value.clone().into_owned());
            }
        }
        Ok(Some(reference))
    }

    /// Whether a call reads only files that were found before: it was written by the gate.
    pub(super) fn reads_located(&self, function: &Members<'_>) -> bool {
        let Some(Json::Array(arguments)) = get(function, "children") else { return false };
        let Some(paths) = arguments.first().and_then(Literal::of) else { return false };
        let is_reader = Reader::find(text_of(function, "function_name")).is_some();
        let located = |path: &str| if self.ours { true } else { self.names.located(path) };
        is_reader && paths.texts().is_some_and(|paths| paths.into_iter().all(located))
    }

    fn call_text(&mut self, name: &str, reader: Reader, arguments: &[Json<'_>]) -> Result<String, GateError> {
        let refuse = |hint: &str| GateError::forbidden(format!("{name}()"), hint);
        let (first, options) = arguments.split_first().ok_or_else(|| refuse(PATHS))?;
        let literal = Literal::of(first).filter(|_| named(first).is_none());
        let paths = literal.as_ref().and_then(Literal::texts).ok_or_else(|| refuse(PATHS))?;
        let mut located = Vec::new();
        for path in paths {
            match self.names.files(path) {
                Ok(files) => located.extend(files),
                Err(NameError::Unavailable(cause)) => return Err(GateError::Unavailable(cause)),
                Err(NameError::Unknown { .. }) => return Err(refuse(PATHS)),
            }
        }
        let list: Vec<String> = located.iter().map(|location| sql::text(location)).collect();
        let mut text = format!("{}([{}], hive_partitioning=false", name.to_ascii_lowercase(), list.join(", "));
        for option in options {
            let (key, value) = named(option).ok_or_else(|| refuse(PATHS))?;
            let given = Literal::of(value).and_then(|value| reader.option(key, &value));
            let given = given.ok_or_else(|| refuse(&format!("its option {key} cannot be given, or not this value")))?;
            if !given.is_empty() {
                text.push_str(", ");
                text.push_str(&given);
            }
        }
        text.push(')');
        self.files.extend(located);
        Ok(text)
    }
}

/// The name and value of a named argument: `name = value`, `name := value`, `name => value`.
fn named<'j>(argument: &'j Json<'_>) -> Option<(&'j str, &'j Json<'j>)> {
    let alias = argument.get("alias").and_then(Json::as_str).unwrap_or_default();
    if !alias.is_empty() {
        return Some((alias, argument));
    }
    if argument.get("type")?.as_str()? != "COMPARE_EQUAL" {
        return None;
    }
    let Json::Array(names) = argument.get("left")?.get("column_names")? else { return None };
    match names.as_slice() {
        [name] => Some((name.as_str()?, argument.get("right")?)),
        _ => None,
    }
}

fn unavailable(error: NameError) -> GateError {
    match error {
        NameError::Unavailable(cause) => GateError::Unavailable(cause),
        NameError::Unknown { .. } => malformed(),
    }
}
