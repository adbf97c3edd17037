//! What may be wrong with a lake's catalog, and what can be mended.

use async_trait::async_trait;
use serde::Serialize;

use super::lake::{LakeError, WriteError};
use crate::ids::LakeId;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is lost by it.
    Warning,
    /// Data can't be read, or is told wrongly.
    Error,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check found it.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How often it was found.
    pub count: u64,
    /// What it was found in; the first few.
    pub subjects: Vec<String>,
    /// What that means, and what can be done about it.
    pub means: &'static str,
    /// Whether it can be mended without inventing anything.
    pub repairable: bool,
}

/// Looks after catalogs.
#[async_trait]
pub trait LakeDoctor: Send + Sync {
    /// What is wrong with a lake. Only reads.
    async fn examine(&self, lake: LakeId) -> Result<Vec<Finding>, LakeError>;
    /// Mends what can be mended, in the writer's turn.
    async fn repair(&self, lake: LakeId) -> Result<(), WriteError>;
}
