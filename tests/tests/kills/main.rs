//! Servers that are killed: what was answered for is there, once, and nothing is half made.

mod chaos;
mod crash;
