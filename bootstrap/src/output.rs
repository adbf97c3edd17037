//! What commands print.

use std::io::Write as _;

use serde::Serialize;

/// Prints a document for programs.
pub(crate) fn print_json<T: Serialize + ?Sized>(told: &T) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(told)?)?)
}
