//! Calls of functions: in an expression, over a window, and in FROM.

use super::super::error::GateError;
use super::super::functions::{self, Place as CalledIn};
use super::super::json::{Json, Members, get, set, text_of};
use super::super::names::written;
use super::super::spec;
use super::{Place, Walk, malformed, members, only};

/// The schema the parser itself writes before a function when it rewrites syntax, such as `[1, 2]`.
const OWN_SCHEMA: &str = "main";

/// Where the engine keeps functions, and so what a qualified call may mean by its first part.
const QUALIFIERS: [&str; 6] = ["system", "memory", "temp", "pg_catalog", "information_schema", OWN_SCHEMA];

impl Walk<'_> {
    /// A call in an expression. `column.function(…)` becomes `function(column, …)`, as the engine would read it if no
    /// schema were called like the column.
    pub(super) fn call(&mut self, members: &mut Members<'_>) -> Result<(), GateError> {
        self.visited.calls += 1;
        if get(members, "export_state") == Some(&Json::Bool(true)) {
            return Err(GateError::unsupported("EXPORT_STATE", "query the aggregate's result"));
        }
        if let Some(receiver) = receiver(members)? {
            let Some((_, Json::Array(arguments))) = members.iter_mut().find(|(key, _)| key == "children") else {
                return Err(malformed());
            };
            arguments.insert(0, receiver);
            set(members, "schema", Json::text(""));
            set(members, "catalog", Json::text(""));
        }
        let name = text_of(members, "function_name");
        // An operator is printed between its arguments as it is: it must not be a word.
        if get(members, "is_operator") == Some(&Json::Bool(true)) && !functions::is_operator(name) {
            return Err(GateError::unsupported(format!("the operator {name}"), "call it as a function"));
        }
        self.checked(members, CalledIn::Expression)
    }

    /// A call over a window.
    pub(super) fn window(&mut self, members: &Members<'_>) -> Result<(), GateError> {
        self.visited.calls += 1;
        unqualified(members)?;
        if let Some(Json::Array(arguments)) = get(members, "children")
            && let Some(name) =
                arguments.iter().filter_map(|argument| argument.get("alias")?.as_str()).find(|name| !name.is_empty())
        {
            // The engine's printer forgets it, and takes the arguments by their places.
            return Err(GateError::unsupported(
                format!("{name} := in a window function"),
                "give its arguments in order, without names",
            ));
        }
        self.checked(members, CalledIn::Expression)
    }

    /// A call in FROM.
    pub(super) fn call_in_from(&mut self, members: &mut Members<'_>, place: Place) -> Result<u64, GateError> {
        let (_, own) = spec::table("TABLE_FUNCTION").ok_or_else(malformed)?;
        for (name, is) in own {
            let Some((_, value)) = members.iter_mut().find(|(key, _)| key == name) else {
                continue;
            };
            if *name == "function" {
                self.function_in_from(value, place)?;
            } else {
                self.field(value, *is, place)?;
            }
        }
        self.spend(1)?;
        Ok(4)
    }

    fn function_in_from(&mut self, value: &mut Json<'_>, place: Place) -> Result<(), GateError> {
        let members = members(value)?;
        if text_of(members, "class") != "FUNCTION" || text_of(members, "type") != "FUNCTION" {
            return Err(malformed());
        }
        let (common, own) = spec::expression("FUNCTION").ok_or_else(malformed)?;
        only(members, &[common, own])?;
        self.visited.expressions += 1;
        self.visited.calls += 1;
        unqualified(members)?;
        if self.reads_located(members) {
            // Files change without a commit.
            self.deterministic = false;
        } else {
            self.checked(members, CalledIn::From)?;
        }
        self.members(members, common, place)?;
        self.members(members, own, place).map(|_| ())
    }

    fn checked(&mut self, members: &Members<'_>, place: CalledIn) -> Result<(), GateError> {
        let arguments = match get(members, "children") {
            Some(Json::Array(arguments)) => arguments.len(),
            _ => 0,
        };
        if functions::check(text_of(members, "function_name"), place, arguments)? {
            self.deterministic = false;
        }
        Ok(())
    }
}

/// The column a call is written behind, if it is.
fn receiver<'a>(members: &Members<'a>) -> Result<Option<Json<'a>>, GateError> {
    let (catalog, schema) = (text_of(members, "catalog"), text_of(members, "schema"));
    if catalog.is_empty() && (schema.is_empty() || schema.eq_ignore_ascii_case(OWN_SCHEMA)) {
        return Ok(None);
    }
    let first = if catalog.is_empty() { schema } else { catalog };
    if schema.is_empty() || QUALIFIERS.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return unqualified(members).map(|()| None);
    }
    let names = [catalog, schema].into_iter().filter(|part| !part.is_empty()).map(|part| Json::text(part.to_owned()));
    Ok(Some(Json::Object(vec![
        ("class".into(), Json::text("COLUMN_REF")),
        ("type".into(), Json::text("COLUMN_REF")),
        ("alias".into(), Json::text("")),
        ("column_names".into(), Json::Array(names.collect())),
    ])))
}

/// Refuses a function named with a schema or a catalog.
fn unqualified(members: &Members<'_>) -> Result<(), GateError> {
    let (catalog, schema) = (text_of(members, "catalog"), text_of(members, "schema"));
    if catalog.is_empty() && (schema.is_empty() || schema.eq_ignore_ascii_case(OWN_SCHEMA)) {
        return Ok(());
    }
    let name = written(catalog, schema, text_of(members, "function_name"));
    Err(GateError::forbidden(format!("calling {name}()"), "write the function's name alone"))
}
