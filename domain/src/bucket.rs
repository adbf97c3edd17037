//! Buckets: named groups of tables.

use crate::names::BucketName;
use crate::sharing::SourceBucket;

/// A named group of tables in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name within the project.
    pub name: BucketName,
    /// What it is for.
    pub description: Option<String>,
    /// Tables in it.
    pub table_count: u64,
    /// The bucket it shows, if it is linked.
    pub source: Option<SourceBucket>,
}
