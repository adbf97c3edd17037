//! The gate against a real engine: every honest query runs and answers as written, no attack does.

pub(super) mod corpus;
pub(super) mod engine;
mod limits;
mod listing;
mod lists;
mod parameters;
mod properties;
mod rewriting;
