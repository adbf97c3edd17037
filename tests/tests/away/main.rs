//! PostgreSQL and S3 that go away under a running server: what was acknowledged stays, what can't be done says so with
//! 503 and `Retry-After`, and all works again soon after they are back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breakers;
mod postgres;
mod s3;
mod scene;
mod start;
