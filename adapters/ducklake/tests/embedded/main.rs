//! What the lake promises beyond its port, on the engine of this process, one binary for all subjects.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alter;
mod contract;
mod contracts;
mod edits;
mod engine;
mod groups;
mod inlining;
mod large;
mod lists;
mod modes;
mod orphans;
mod place;
mod power_loss;
mod purge;
mod register;
mod restore;
#[path = "../support/mod.rs"]
mod support;
mod transfers;
