//! `INSERT`.

use crate::gate::error::GateError;
use crate::gate::tokens::Kind;

use super::ast::{Conflict, Insert, Part, Statement};
use super::cursor::Cursor;
use super::update::assignments;

const FORM: &str = "write INSERT [OR REPLACE | OR IGNORE] INTO table [AS alias] [BY NAME] [(column, …)] query \
                    [ON CONFLICT [(column, …)] DO NOTHING | DO UPDATE SET column = expression, … [WHERE …]]";

pub(super) fn read(cursor: &mut Cursor<'_, '_>, with: Option<Part>) -> Result<Statement, GateError> {
    cursor.form(FORM);
    let or = match () {
        () if cursor.eat_all("OR REPLACE") => Some(Conflict::Replace),
        () if cursor.eat_all("OR IGNORE") => Some(Conflict::Ignore { key: Vec::new() }),
        () => None,
    };
    cursor.expect("INTO")?;
    let name = cursor.name()?;
    let alias = if cursor.eat("AS") { Some(cursor.identifier()?) } else { None };
    let by_name = cursor.eat_all("BY NAME");
    if !by_name {
        cursor.eat_all("BY POSITION");
    }
    let columns = if cursor.is_group() { cursor.try_name_list().unwrap_or_default() } else { Vec::new() };
    if by_name && !columns.is_empty() {
        return Err(GateError::unsupported("BY NAME beside a list of columns", "keep one of them"));
    }
    let (mut before, behind) = rows_and_conflict(cursor)?;
    cursor.at = cursor.end();
    let rows = rows(&mut before, with, columns.is_empty() && !by_name)?;
    let conflict = match (or, behind) {
        (None, Some(mut clause)) => on_conflict(&mut clause)?,
        (Some(_), Some(clause)) => {
            return Err(clause.refuse("keep one of OR REPLACE or OR IGNORE, and ON CONFLICT"));
        }
        (or, None) => or.unwrap_or(Conflict::Refuse),
    };
    Ok(Statement::Insert(Insert { name, alias, columns, by_name, rows, conflict }))
}

/// What comes before `ON CONFLICT`, and what comes behind it. No query holds DO outside of brackets, but a join could
/// be on a column called `conflict`.
fn rows_and_conflict<'s, 'a>(cursor: &Cursor<'s, 'a>) -> Result<(Cursor<'s, 'a>, Option<Cursor<'s, 'a>>), GateError> {
    let (start, end) = (cursor.at, cursor.end());
    let mut search = cursor.within(start..end);
    let found = search.until(&["DO", "RETURNING"]).end;
    if search.is_at("RETURNING") {
        return Err(search.returning());
    }
    if search.is_done() {
        return Ok((cursor.within(start..end), None));
    }
    let tokens = &cursor.source.tokens;
    let before = |at: usize| at.checked_sub(1).filter(|at| *at >= start);
    let mut at = before(found);
    if at.is_some_and(|at| tokens[at].kind == Kind::Close) {
        at = (start..found).rev().find(|at| cursor.source.behind(*at) == found && tokens[*at].kind == Kind::Open);
        at = at.and_then(before);
    }
    let on = at.filter(|at| tokens[*at].is("CONFLICT")).and_then(before).filter(|at| tokens[*at].is("ON"));
    let Some(on) = on.filter(|at| cursor.source.is_keyword(*at)) else {
        return Err(search.refuse(FORM));
    };
    Ok((cursor.within(start..on), Some(cursor.within(on..end))))
}

/// A leading WITH belongs to the query.
fn rows(cursor: &mut Cursor<'_, '_>, with: Option<Part>, defaults: bool) -> Result<Option<Part>, GateError> {
    if defaults && with.is_none() && cursor.eat_all("DEFAULT VALUES") {
        cursor.finish()?;
        return Ok(None);
    }
    if with.is_some() && !["SELECT", "FROM", "VALUES", "TABLE"].iter().any(|word| cursor.is_at(word)) {
        return Err(cursor.refuse("behind WITH … INSERT INTO table write SELECT, FROM, VALUES or TABLE"));
    }
    let query = cursor.query_to_end()?;
    Ok(Some(match with {
        Some(with) => Part(format!("{} {}", with.0, query.0)),
        None => query,
    }))
}

fn on_conflict(cursor: &mut Cursor<'_, '_>) -> Result<Conflict, GateError> {
    cursor.expect("ON CONFLICT")?;
    let key = if cursor.is_group() { cursor.name_list()? } else { Vec::new() };
    cursor.expect("DO")?;
    if cursor.eat("NOTHING") {
        cursor.finish()?;
        return Ok(Conflict::Ignore { key });
    }
    cursor.expect("UPDATE SET")?;
    let list = cursor.until(&["WHERE", "RETURNING"]);
    let set = assignments(&mut cursor.within(list))?;
    let filter = if cursor.eat("WHERE") { Some(cursor.expression()?) } else { None };
    cursor.finish()?;
    Ok(Conflict::Update { key, set, filter })
}
