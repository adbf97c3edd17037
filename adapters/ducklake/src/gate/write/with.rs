//! `WITH name AS (query), …` before a verb.

use crate::gate::error::GateError;
use crate::gate::tokens::Token;

use super::ast::Part;
use super::cursor::Cursor;
use super::source::Source;
use super::{QUERIES, begins_query};

/// Whether a statement that begins with WITH is one that writes. What isn't understood is left to the gate for reads,
/// which lets nothing else pass.
pub(super) fn writes(sql: &str, tokens: &[Token<'_>]) -> bool {
    let Ok(source) = Source::new(sql, tokens) else { return false };
    let mut cursor = Cursor::new(&source);
    cursor.is_at("WITH") && read(&mut cursor).is_ok() && !cursor.is_done() && !begins_query(cursor.peek())
}

/// Takes it.
pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Part, GateError> {
    cursor.form("write WITH name AS (query), … before it");
    let start = cursor.at;
    cursor.expect("WITH")?;
    cursor.eat("RECURSIVE");
    loop {
        cursor.identifier()?;
        if cursor.is_group() {
            cursor.name_list()?;
        }
        if cursor.eat_all("USING KEY") {
            cursor.group()?;
        }
        cursor.expect("AS")?;
        if !cursor.eat("MATERIALIZED") {
            cursor.eat_all("NOT MATERIALIZED");
        }
        let query = cursor.group()?;
        if !begins_query(query.peek()) {
            return Err(query.refuse(format!("a WITH clause takes queries: {}", QUERIES.join(", "))));
        }
        if !cursor.sign(",") {
            break;
        }
    }
    Ok(cursor.source.part(start, cursor.at))
}
