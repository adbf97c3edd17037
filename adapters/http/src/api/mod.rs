//! The endpoints, one file for each area. Each parses, calls one use case, and presents.

pub(crate) mod admin_tables;
pub(crate) mod analytics;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod batches;
pub(crate) mod buckets;
pub(crate) mod changes;
mod checks;
pub(crate) mod conditions;
pub(crate) mod contracts;
pub(crate) mod data;
pub(crate) mod datasets;
pub(crate) mod doctor;
mod documents;
pub(crate) mod edits;
pub(crate) mod events;
mod exact;
pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod lineage;
pub(crate) mod maintenance;
pub(crate) mod models;
pub(crate) mod operating;
pub(crate) mod operations;
pub(crate) mod paging;
pub(crate) mod projects;
pub(crate) mod queries;
pub(crate) mod records;
pub(crate) mod results;
pub(crate) mod rows;
pub(crate) mod running_queries;
pub(crate) mod schemas;
pub(crate) mod shape;
pub(crate) mod sharing;
pub(crate) mod short_tables;
pub(crate) mod system;
pub(crate) mod tables;
pub(crate) mod transfers;
pub(crate) mod usage;
pub(crate) mod views;
pub(crate) mod webhooks;

use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_application::versions::Version;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId, TableName, TagName};
use gadwall_domain::table::TableRef;
use poem_openapi::Tags;

use crate::problem::{ApiError, ApiResult};

/// Areas of the API, as the document groups them.
#[derive(Debug, Clone, Copy, Tags)]
pub(crate) enum Area {
    /// Projects: the tenants.
    Projects,
    /// Keys of projects.
    Keys,
    /// Buckets: named groups of tables.
    Buckets,
    /// Buckets of one project that others read.
    Sharing,
    /// Tables and their shapes.
    Tables,
    /// What producers promise of their tables, and projects as data products.
    Contracts,
    /// Rows put into tables, changed and deleted.
    Rows,
    /// Datasets: files of a project.
    Datasets,
    /// Snapshots, tags, and what can be brought back.
    History,
    /// Jobs, runs, and what comes from what.
    Lineage,
    /// Imports, exports, and other long work.
    Operations,
    /// What keeps a project's files few and its past as long as wanted.
    Maintenance,
    /// Copies of projects, and projects made of them.
    Backups,
    /// SQL.
    Queries,
    /// Tables and files of one's own project, under shorter names.
    #[oai(rename = "Short routes")]
    Short,
    /// Tables and records that follow schemas of the ontology.
    #[oai(rename = "Governed tables")]
    Governed,
    /// The engine of queries: how it does and what it did.
    Engine,
    /// What happens, as it happens.
    Events,
    /// Running the service: its settings, its log, the machine, and figures.
    Operating,
    /// Who did what, and what was refused.
    Audit,
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

/// A snapshot's number.
pub(crate) fn snapshot_id(name: &str, text: &str) -> ApiResult<SnapshotId> {
    let number = text.parse::<i64>().ok().and_then(|number| SnapshotId::new(number).ok());
    number.ok_or_else(|| ApiError::out_of_range(format!("{name} is a snapshot's number: a whole number from 0")))
}

/// A time of a query parameter.
pub(crate) fn time(name: &str, text: &str) -> ApiResult<DateTime<Utc>> {
    // A plus sign that nobody encoded arrives as a space.
    let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    let wanted = || ApiError::out_of_range(format!("{name} is a time such as 2026-01-31T12:00:00Z (RFC 3339)"));
    Ok(time.map_err(|_| wanted())?.with_timezone(&Utc))
}

/// The version that a request names: at most one of the three.
pub(crate) fn version(snapshot: Option<&str>, as_of: Option<&str>, tag: Option<&str>) -> ApiResult<Version> {
    match (snapshot, as_of, tag) {
        (None, None, None) => Ok(Version::Head),
        (Some(number), None, None) => Ok(Version::Snapshot(snapshot_id("snapshot", number)?)),
        (None, Some(text), None) => Ok(Version::AsOf(time("as_of", text)?)),
        (None, None, Some(tag)) => Ok(Version::Tag(TagName::parse(tag)?)),
        _ => Err(ApiError::out_of_range("name one version: snapshot, as_of or tag")),
    }
}

/// The newest version, once it is a snapshot or a later one, if a request says which.
pub(crate) fn since(version: Version, least: Option<&str>, wait: Duration) -> ApiResult<Version> {
    match (version, least) {
        (version, None) => Ok(version),
        (Version::Head, Some(number)) => Ok(Version::AtLeast { snapshot: snapshot_id("min_snapshot", number)?, wait }),
        _ => Err(ApiError::out_of_range("min_snapshot is of the newest version: leave out snapshot, as_of and tag")),
    }
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
