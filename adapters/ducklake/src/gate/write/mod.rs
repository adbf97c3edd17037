//! Statements that write.

mod ast;

pub(crate) use ast::*;

use super::GateError;

/// Takes a statement apart.
pub(crate) fn read(sql: &str) -> Result<Statement, GateError> {
    match super::classify::classify(sql) {
        Some(error) => Err(error),
        None => Ok(Statement::Read),
    }
}
