//! The endpoints, one file for each area. Each parses, calls one use case, and presents.

pub(crate) mod buckets;
pub(crate) mod datasets;
pub(crate) mod models;
pub(crate) mod projects;
pub(crate) mod queries;
pub(crate) mod rows;
pub(crate) mod short_tables;
pub(crate) mod system;
pub(crate) mod tables;

use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::table::TableRef;
use poem_openapi::Tags;

use crate::problem::{ApiError, ApiResult};

/// Areas of the API, as the document groups them.
#[derive(Debug, Clone, Copy, Tags)]
pub(crate) enum Area {
    /// Projects: the tenants.
    Projects,
    /// Buckets: named groups of tables.
    Buckets,
    /// Tables and their rows.
    Tables,
    /// Datasets: files of a project.
    Datasets,
    /// SQL.
    Queries,
    /// Tables and files of one's own project, under shorter names.
    #[oai(rename = "Short routes")]
    Short,
    /// The service itself.
    System,
}

pub(crate) fn project_id(text: &str) -> ApiResult<ProjectId> {
    Ok(ProjectId::parse(text)?)
}

pub(crate) fn bucket_name(text: &str) -> ApiResult<BucketName> {
    Ok(BucketName::parse(text)?)
}

pub(crate) fn table_ref(bucket: &str, table: &str) -> ApiResult<TableRef> {
    Ok(TableRef { bucket: BucketName::parse(bucket)?, table: TableName::parse(table)? })
}

/// A whole number within its range, or its default.
pub(crate) fn number(
    name: &str,
    given: Option<i64>,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> ApiResult<u32> {
    let Some(given) = given else { return Ok(default) };
    u32::try_from(given).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        ApiError::out_of_range(format!("{name} is a whole number from {} to {}", range.start(), range.end()))
    })
}
