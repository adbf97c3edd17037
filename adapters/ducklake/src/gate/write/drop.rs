//! `DROP TABLE`, `DROP VIEW`, `DROP SCHEMA`.

use crate::gate::error::GateError;

use super::ast::Statement;
use super::cursor::Cursor;

pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form("write DROP TABLE | VIEW | SCHEMA [IF EXISTS] and one name");
    let kind = ["TABLE", "VIEW", "SCHEMA"].into_iter().find(|word| cursor.eat(word)).ok_or_else(|| cursor.stuck())?;
    let if_exists = cursor.eat_all("IF EXISTS");
    if kind == "SCHEMA" {
        let name = cursor.identifier()?;
        return Ok(Statement::DropBucket { name, if_exists, cascade: behavior(cursor) });
    }
    let name = cursor.name()?;
    // Nothing hangs on a table or a view, so both behaviours are the same.
    behavior(cursor);
    Ok(if kind == "TABLE" { Statement::DropTable { name, if_exists } } else { Statement::DropView { name, if_exists } })
}

/// Takes `CASCADE` or `RESTRICT`; whether it was `CASCADE`.
fn behavior(cursor: &mut Cursor<'_, '_>) -> bool {
    let cascade = cursor.eat("CASCADE");
    if !cascade {
        cursor.eat("RESTRICT");
    }
    cascade
}
