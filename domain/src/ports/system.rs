//! Time, chance and health.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// Mints identifiers and secrets.
pub trait IdGenerator: Send + Sync {
    /// A new UUID that sorts by time (version 7).
    fn next_id(&self) -> Uuid;

    /// 16 bytes from the system's secure random source.
    fn secret(&self) -> [u8; 16];
}

/// How one part of the service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The part's name.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, fit for an operator and free of secrets and paths.
    pub detail: Option<String>,
}

/// Checks one part of the service by really using it.
#[async_trait]
pub trait HealthProbe: Send + Sync {
    /// Looks now. Never fails: a fault is an answer.
    async fn check(&self) -> Health;
}
