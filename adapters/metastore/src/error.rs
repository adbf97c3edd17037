//! Values that a database holds and Gadwall can't use.

use std::fmt::Display;

use gadwall_domain::ports::metadata::StoreError;
use thiserror::Error;

/// A value that can't be stored or was stored by something else.
#[derive(Debug, Error)]
#[error("column {column}: {reason}")]
pub(crate) struct ValueFault {
    column: &'static str,
    reason: String,
}

/// The fault of a column's value.
pub(crate) fn value_fault(column: &'static str, reason: &(impl Display + ?Sized)) -> StoreError {
    StoreError::Fault(Box::new(ValueFault { column, reason: reason.to_string() }))
}
