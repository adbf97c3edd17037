//! What a server tells collectors of itself.

mod metrics;
mod traces;
