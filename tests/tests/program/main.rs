//! The program as its operators have it: its commands, and that it runs for long.

mod commands;
mod soak;
