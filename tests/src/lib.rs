//! Tests of the whole: the helpers they share, the guided demo and the load test.

pub mod client;
pub mod cloud;
pub mod demo;
pub mod load;
pub mod server;
pub mod sse;
pub mod support;
pub mod tpch;
