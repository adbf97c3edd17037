//! Reading a lake's tables and its past.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::LakeError;
use crate::commit::Commit;
use crate::contract::Breach;
use crate::history::ReadAt;
use crate::ids::{LakeId, SnapshotId};
use crate::names::{BucketName, ColumnName};
use crate::query::QueryError;
use crate::rows::RowStream;
use crate::schema::TableSchema;
use crate::selection::Selection;
use crate::table::TableRef;

/// Which snapshots to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFilter {
    /// Only those before this one.
    pub before: Option<SnapshotId>,
    /// Only those that made, changed, renamed or dropped this table (by its name now, or its last one; under whatever
    /// name it had then).
    pub table: Option<TableRef>,
    /// At most so many.
    pub limit: u32,
}

/// A table that was dropped and can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedTable {
    /// Its name when it was dropped.
    pub name: TableRef,
    /// The last snapshot that shows it.
    pub last: SnapshotId,
    /// When it was dropped.
    pub dropped_at: DateTime<Utc>,
}

/// A lake's past, as far as it is kept.
#[async_trait]
pub trait LakeHistory: Send + Sync {
    /// One snapshot, 0 (the empty lake) among them; `None` when there is none of that number, or it is no longer kept.
    async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError>;

    /// The newest snapshot that was there at a time; `None` when the lake is younger, or it is no longer kept. Never an
    /// older one in place of one that is gone: snapshots are numbered without gaps, so a gap after it tells.
    async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError>;

    /// Snapshots, newest first.
    async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError>;

    /// Dropped tables of a bucket (or of all) that can be brought back, by bucket and name: the last of each name that
    /// isn't taken now. A renamed table isn't dropped.
    async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError>;
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnProfile {
    /// Which column.
    pub column: ColumnName,
    /// Its type, as DuckDB spells it.
    pub data_type: String,
    /// Values that are there.
    pub count: u64,
    /// Rows where it is NULL.
    pub nulls: u64,
    /// Different values, approximately; none for types that can't be compared.
    pub distinct: Option<u64>,
    /// Smallest value, as JSON.
    pub min: Option<Value>,
    /// Largest value, as JSON.
    pub max: Option<Value>,
    /// Mean, for numbers.
    pub mean: Option<f64>,
    /// Standard deviation, for numbers.
    pub std_dev: Option<f64>,
    /// The values a quarter, a half and three quarters up, approximately; for what has an order.
    pub quantiles: Option<[Value; 3]>,
    /// The most frequent values (approximately) and how often each occurs; at most ten.
    pub top: Vec<(Value, u64)>,
}

/// What a table holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TableProfile {
    /// The snapshot it is of.
    pub snapshot: SnapshotId,
    /// Its rows.
    pub rows: u64,
    /// Its columns, in order.
    pub columns: Vec<ColumnProfile>,
}

/// What is measured of a table.
#[derive(Debug, Clone)]
pub struct Measuring {
    /// Which table.
    pub table: TableRef,
    /// Its columns and key as the caller knows them, with the rules: those of the contract that it is held to, in force or not.
    pub schema: TableSchema,
    /// Columns of which the earliest and the latest time is asked for.
    pub times: Vec<ColumnName>,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The snapshot it is of.
    pub snapshot: SnapshotId,
    /// What each rule found, in their order, with some of the rows that break it.
    pub rules: Vec<Breach>,
    /// The earliest and the latest time of each column that was asked for; none where there is none.
    pub times: Vec<Option<(DateTime<Utc>, DateTime<Utc>)>>,
}

/// Reads tables' rows. A dropped stream cancels the reading.
///
/// A table is found by its name in the version that is read: `UnknownTable` if it wasn't there under that name,
/// `NoSnapshot` if there is no such version (any more). Columns that aren't there and values that aren't of their
/// column's type are `Sql` errors.
#[async_trait]
pub trait TableReader: Send + Sync {
    /// A part of a table, and the snapshot it was read from.
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError>;

    /// What happened to a table's rows in the snapshots `from..=to`, oldest first, by its name and columns in `to`: `snapshot_id`, `rowid`,
    /// `change_type` (`insert`, `delete`, `update_preimage`, `update_postimage`), then the table's columns.
    async fn changes(
        &self,
        lake: LakeId,
        table: &TableRef,
        from: SnapshotId,
        to: SnapshotId,
        limit: Option<u64>,
        timeout: Duration,
    ) -> Result<RowStream, QueryError>;

    /// Measures the rules of a contract on a table as it is now. A rule that can't be measured says so.
    async fn measure(&self, lake: LakeId, measuring: Measuring, timeout: Duration) -> Result<Measured, QueryError>;

    /// What a table's columns hold.
    async fn profile(
        &self,
        lake: LakeId,
        table: &TableRef,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<TableProfile, QueryError>;
}
