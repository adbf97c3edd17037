//! `DELETE` and `TRUNCATE`.

use crate::gate::error::GateError;

use super::ast::{Delete, Part, Statement};
use super::cursor::Cursor;
use super::update::{filter, tables};

pub(super) fn read(cursor: &mut Cursor<'_, '_>, with: Option<Part>) -> Result<Statement, GateError> {
    cursor.form("write DELETE FROM table [AS alias] [USING …] [WHERE …]");
    cursor.expect("FROM")?;
    let name = cursor.name()?;
    let alias = cursor.alias(&[])?;
    let using = tables(cursor, "USING")?;
    let filter = filter(cursor)?;
    Ok(Statement::Delete(Delete { with: with.unwrap_or(Part(String::new())), name, alias, using, filter }))
}

pub(super) fn truncate(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form("write TRUNCATE [TABLE] table");
    cursor.eat("TABLE");
    Ok(Statement::Truncate { name: cursor.name()? })
}
