//! The reader of statements that write: by lists, at random, and against the engine's own parser.

mod corpus;
mod engine;
mod properties;
mod show;
