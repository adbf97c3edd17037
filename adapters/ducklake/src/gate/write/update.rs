//! `UPDATE`, and lists of assignments.

use std::collections::HashSet;

use crate::gate::error::GateError;

use super::ast::{Part, Statement, Update};
use super::cursor::Cursor;
use super::parts;

pub(super) fn read(cursor: &mut Cursor<'_, '_>, with: Option<Part>) -> Result<Statement, GateError> {
    cursor.form("write UPDATE table [AS alias] SET column = expression, … [FROM …] [WHERE …]");
    let name = cursor.name()?;
    let alias = cursor.alias(&["SET"])?;
    cursor.expect("SET")?;
    let list = cursor.until(&["FROM", "WHERE", "RETURNING"]);
    let set = assignments(&mut cursor.within(list))?;
    let from = tables(cursor, "FROM")?;
    let filter = filter(cursor)?;
    Ok(Statement::Update(Update { with: with.unwrap_or(Part(String::new())), name, alias, set, from, filter }))
}

/// What stands behind `FROM` or `USING`, up to `WHERE`.
pub(super) fn tables(cursor: &mut Cursor<'_, '_>, word: &str) -> Result<Option<Part>, GateError> {
    if !cursor.eat(word) {
        return Ok(None);
    }
    let range = cursor.until(&["WHERE", "RETURNING"]);
    parts::tables(cursor, range).map(Some)
}

/// `WHERE expression`, to the end.
pub(super) fn filter(cursor: &mut Cursor<'_, '_>) -> Result<Option<Part>, GateError> {
    if cursor.eat("WHERE") { cursor.expression().map(Some) } else { Ok(None) }
}

/// `column = expression, …`, to the end; at least one. A comma may end it.
pub(super) fn assignments(cursor: &mut Cursor<'_, '_>) -> Result<Vec<(String, Part)>, GateError> {
    let mut set: Vec<(String, Part)> = Vec::new();
    let mut columns = HashSet::new();
    while let Some(mut item) = cursor.item() {
        if item.is_group() {
            return Err(item.refuse("set each column by itself: SET a = 1, b = 2"));
        }
        let column = item.identifier()?;
        if !item.sign("=") {
            return Err(item.refuse("set whole columns: SET column = expression"));
        }
        if !columns.insert(column.to_ascii_lowercase()) {
            return Err(GateError::Syntax { message: format!("column {column} is set twice"), position: None });
        }
        set.push((column, item.expression()?));
    }
    if set.is_empty() { Err(cursor.stuck()) } else { Ok(set) }
}
