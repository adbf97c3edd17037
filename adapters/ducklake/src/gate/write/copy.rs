//! `COPY`.

use std::collections::HashSet;

use crate::gate::error::GateError;
use crate::gate::tokens::Kind;
use crate::sql;

use super::ast::{CopyOption, Name, Part, Statement};
use super::cursor::Cursor;
use super::names::unquoted;

pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form("write COPY table [(column, …)] FROM 'path' (option value, …), or COPY table or (query) TO 'path' (…)");
    if cursor.is_at("FROM") {
        return Err(GateError::forbidden("COPY FROM DATABASE", "copy tables one by one"));
    }
    if cursor.is_group() {
        let query = cursor.group()?.query_to_end()?;
        cursor.expect("TO")?;
        return to(cursor, query);
    }
    let name = cursor.name()?;
    let columns = if cursor.is_group() { cursor.name_list()? } else { Vec::new() };
    if cursor.eat("TO") {
        return to(cursor, table(&name, &columns));
    }
    cursor.expect("FROM")?;
    let path = path(cursor)?;
    Ok(Statement::CopyFrom { name, columns, path, options: options(cursor)? })
}

fn to(cursor: &mut Cursor<'_, '_>, query: Part) -> Result<Statement, GateError> {
    let path = path(cursor)?;
    Ok(Statement::CopyTo { query, path, options: options(cursor)? })
}

/// A table as a query of it.
fn table(name: &Name, columns: &[String]) -> Part {
    let parts = [name.catalog.as_ref(), name.schema.as_ref(), Some(&name.table)];
    let quoted = |names: Vec<&String>, between: &str| {
        names.into_iter().map(|name| sql::ident(name)).collect::<Vec<_>>().join(between)
    };
    let from = format!("FROM {}", quoted(parts.into_iter().flatten().collect(), "."));
    Part(if columns.is_empty() { from } else { format!("SELECT {} {from}", quoted(columns.iter().collect(), ", ")) })
}

fn path(cursor: &mut Cursor<'_, '_>) -> Result<String, GateError> {
    if cursor.is_at("PROGRAM") {
        return Err(GateError::forbidden("COPY … PROGRAM", "no program runs for a statement"));
    }
    if cursor.is_at("STDIN") || cursor.is_at("STDOUT") {
        return Err(cursor.refuse("send rows and read results through the API"));
    }
    match cursor.peek().map(|token| token.kind) {
        Some(Kind::Text) => cursor.string(),
        // As the engine takes it, too.
        Some(Kind::Quoted) => cursor.identifier(),
        _ => Err(cursor.refuse("write the path as a string: 'path'")),
    }
}

fn options(cursor: &mut Cursor<'_, '_>) -> Result<Vec<CopyOption>, GateError> {
    let with = cursor.eat("WITH");
    if cursor.is_done() && !with {
        return Ok(Vec::new());
    }
    if !cursor.is_group() {
        return Err(cursor.refuse("write the options in parentheses: (FORMAT csv, HEADER)"));
    }
    let mut list = cursor.group()?;
    let (mut options, mut names) = (Vec::new(), HashSet::new());
    loop {
        let mut item = list.item().ok_or_else(|| list.stuck())?;
        let (at, end) = (item.at, item.end());
        let option = option(&mut item)?;
        if !names.insert(option.name.clone()) {
            return Err(item.within(at..end).refuse("write each option once"));
        }
        options.push(option);
        // A comma must have another option behind it.
        if list.at == end {
            return Ok(options);
        }
    }
}

/// `NAME`, `NAME value`, `NAME (name, …)`.
fn option(item: &mut Cursor<'_, '_>) -> Result<CopyOption, GateError> {
    let name = item.next().filter(|token| token.kind == Kind::Word).map(|token| token.text.to_ascii_uppercase());
    let name = name.ok_or_else(|| item.stuck())?;
    let mut list = Vec::new();
    let value = match item.peek() {
        Some(_) if item.is_group() => {
            list = item.name_list()?;
            None
        }
        Some(token) => Some(value(item, token.kind)?),
        None => None,
    };
    if item.is_done() { Ok(CopyOption { name, value, list }) } else { Err(item.refuse("write the value as a string")) }
}

fn value(item: &mut Cursor<'_, '_>, kind: Kind) -> Result<String, GateError> {
    if kind == Kind::Text {
        return item.string();
    }
    let sign = if item.sign("-") { "-" } else { "" };
    match item.next() {
        Some(token) if token.kind == Kind::Number => Ok(format!("{sign}{}", token.text)),
        Some(token) if sign.is_empty() && matches!(token.kind, Kind::Word | Kind::Quoted) => Ok(unquoted(token)),
        _ => Err(item.refuse("write the value as a string")),
    }
}
