//! Takes statements that write apart: their heads are understood whole, their queries and expressions are cut out.
//!
//! ```text
//! read(sql)   tokens → brackets matched → the verb's reader → Statement
//! ```
//!
//! A cut is never an admission: a [`Part`] runs only after the engine parsed it as a query of its own and the gate for
//! reads passed its tree. So a wrong cut can't escape, but it could mean something else. That is why a part ends only
//! at words that no expression holds there, why what would change the meaning of `SELECT (part)` is refused, and why a
//! statement that isn't understood to its last token is refused, too.
//!
//! `?` means "the next value", which would be another one in a part by itself. So parts hold `$1`, `$2` … instead, by
//! the order of the whole statement.

mod alter;
mod ast;
mod copy;
mod create;
mod cursor;
mod delete;
mod drop;
mod insert;
mod merge;
mod names;
mod parts;
mod source;
#[cfg(test)]
mod tests;
mod update;
mod with;

pub(crate) use ast::*;

use super::classify::classify;
use super::error::GateError;
use super::tokens::{Kind, Token, Tokens};
use cursor::Cursor;
pub(super) use names::decoded;
use source::Source;

/// The words that begin a query.
const QUERIES: [&str; 13] = [
    "DESC",
    "DESCRIBE",
    "FROM",
    "PIVOT",
    "PIVOT_LONGER",
    "PIVOT_WIDER",
    "SELECT",
    "SHOW",
    "SUMMARIZE",
    "TABLE",
    "UNPIVOT",
    "VALUES",
    "WITH",
];

const NO_STATEMENT: &str = "there is no statement to run";

/// Takes a statement apart.
///
/// # Errors
/// Why it doesn't run; [`GateError::MultipleStatements`] for several.
pub(crate) fn read(sql: &str) -> Result<Statement, GateError> {
    super::admit(sql)?;
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    let mut statements = tokens.split(|token| token.kind == Kind::End).filter(|tokens| !tokens.is_empty());
    let Some(first) = statements.next() else {
        return Err(GateError::Syntax { message: NO_STATEMENT.into(), position: None });
    };
    if statements.next().is_some() {
        return Err(GateError::MultipleStatements);
    }
    if begins_query(first.first()) && !with::writes(sql, first) {
        return Ok(Statement::Read);
    }
    let copies = first.first().is_some_and(|token| token.is("COPY"));
    if let Some(error) = classify(sql).filter(|error| error.is_forbidden() && !copies) {
        return Err(error);
    }
    let source = Source::new(sql, first)?;
    write(Cursor::new(&source))
}

/// Cuts a text at its semicolons; what stands between them is trimmed, and left out if there is nothing to run.
///
/// # Errors
/// [`GateError::Syntax`] if it isn't certain where they are.
#[cfg(test)]
fn split(sql: &str) -> Result<Vec<String>, GateError> {
    super::admit(sql)?;
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    if let Some(error) = tokens.iter().find_map(source::bad) {
        return Err(error);
    }
    let statements = tokens.split(|token| token.kind == Kind::End);
    Ok(statements.filter_map(|tokens| Some(sql[tokens.first()?.at..tokens.last()?.end()].to_owned())).collect())
}

fn begins_query(token: Option<&Token<'_>>) -> bool {
    token.is_some_and(|token| token.text == "(" || QUERIES.iter().any(|word| token.is(word)))
}

fn write(mut cursor: Cursor<'_, '_>) -> Result<Statement, GateError> {
    let with = if cursor.is_at("WITH") { Some(with::read(&mut cursor)?) } else { None };
    let verb = cursor.verb();
    let with_allowed = ["INSERT", "UPDATE", "DELETE", "MERGE"].contains(&verb.as_str());
    if with.is_some() && !with_allowed {
        return Err(cursor.refuse("write WITH name AS (query) before SELECT, INSERT, UPDATE, DELETE or MERGE"));
    }
    let statement = match verb.as_str() {
        "ALTER" => alter::read(&mut cursor),
        "COMMENT" => alter::comment(&mut cursor),
        "COPY" => copy::read(&mut cursor),
        "CREATE" => create::read(&mut cursor),
        "DELETE" => delete::read(&mut cursor, with),
        "DROP" => drop::read(&mut cursor),
        "EXPLAIN" => explain(&mut cursor),
        "INSERT" => insert::read(&mut cursor, with),
        "MERGE" => merge::read(&mut cursor, with),
        "TRUNCATE" => delete::truncate(&mut cursor),
        "UPDATE" => update::read(&mut cursor, with),
        _ => Err(cursor.unknown()),
    }?;
    cursor.finish()?;
    Ok(statement)
}

/// `EXPLAIN [ANALYZE] query` or `EXPLAIN (ANALYZE) query`.
fn explain(cursor: &mut Cursor<'_, '_>) -> Result<Statement, GateError> {
    cursor.form("write EXPLAIN [ANALYZE] query");
    let analyze = cursor.eat("ANALYZE") || cursor.eat("ANALYSE") || cursor.eat_all("( ANALYZE )");
    let writes = with::writes(cursor.source.sql, &cursor.source.tokens[cursor.at..]);
    if !cursor.is_done() && (writes || !begins_query(cursor.peek())) {
        let forbidden = classify(cursor.rest_of_text()).filter(|error| error.is_forbidden() && !cursor.is_at("COPY"));
        return Err(forbidden.unwrap_or_else(|| cursor.refuse("explain a query")));
    }
    let query = cursor.query_to_end()?;
    Ok(Statement::Explain { analyze, query })
}
