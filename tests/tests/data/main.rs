//! Data as users have it: of many kinds, of a known benchmark, and of earlier versions.

mod demo;
mod tpch;
mod upgrade;
