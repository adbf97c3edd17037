//! Services that tests need, started for them: each on a port and in a folder of its own, and gone with its test.

mod child;
pub mod proxy;
pub mod s3;

pub use proxy::{Mode, Proxy};
pub use s3::S3;
