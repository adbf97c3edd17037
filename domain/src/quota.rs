//! What a project may hold and do, and how much of it there is.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::names::ProjectId;

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaKind {
    /// Bytes of tables in their newest version.
    TableBytes,
    /// Bytes of datasets.
    DatasetBytes,
    /// Tables in all buckets.
    Tables,
    /// Buckets, as listed.
    Buckets,
    /// Queries that begin in a minute.
    QueriesPerMinute,
    /// Queries that run or wait at once.
    ConcurrentQueries,
    /// Rows that one request puts into a table.
    RowsPerAppend,
}

impl QuotaKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TableBytes,
        Self::DatasetBytes,
        Self::Tables,
        Self::Buckets,
        Self::QueriesPerMinute,
        Self::ConcurrentQueries,
        Self::RowsPerAppend,
    ];

    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TableBytes => "table_bytes",
            Self::DatasetBytes => "dataset_bytes",
            Self::Tables => "tables",
            Self::Buckets => "buckets",
            Self::QueriesPerMinute => "queries_per_minute",
            Self::ConcurrentQueries => "concurrent_queries",
            Self::RowsPerAppend => "rows_per_append",
        }
    }
}

/// A number that can't be a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{} is a whole number from 0 (none) to {}", .0.as_str(), i64::MAX)]
pub struct QuotaValueError(pub QuotaKind);

/// Limits: what is missing isn't said here, and 0 is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quota(BTreeMap<QuotaKind, u64>);

impl Quota {
    /// The same with one more limit.
    ///
    /// # Errors
    /// When it can't be one: it is negative, or larger than databases hold.
    pub fn with(mut self, kind: QuotaKind, limit: i128) -> Result<Self, QuotaValueError> {
        let limit = i64::try_from(limit).ok().and_then(|limit| u64::try_from(limit).ok());
        self.0.insert(kind, limit.ok_or(QuotaValueError(kind))?);
        Ok(self)
    }

    /// What is said of one; 0 is none.
    pub fn said(&self, kind: QuotaKind) -> Option<u64> {
        self.0.get(&kind).copied()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limit that holds, where `defaults` say what is not said here.
    pub fn limit(&self, kind: QuotaKind, defaults: &Self) -> Option<u64> {
        self.said(kind).or_else(|| defaults.said(kind)).filter(|limit| *limit > 0)
    }
}

/// What would be more than a project may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the project's quota of {} is {limit}, and {used} {}; {}", .kind.as_str(), self.verb(), self.remedy())]
pub struct QuotaExceeded {
    /// Which quota.
    pub kind: QuotaKind,
    /// How much it allows.
    pub limit: u64,
    /// How much there is, without what was asked for.
    pub used: u64,
    /// When to ask again, where time alone helps.
    pub retry_after: Option<Duration>,
}

impl QuotaExceeded {
    fn verb(&self) -> &'static str {
        if self.kind == QuotaKind::RowsPerAppend { "or more were sent" } else { "are used" }
    }

    fn remedy(&self) -> &'static str {
        match self.kind {
            QuotaKind::TableBytes | QuotaKind::DatasetBytes | QuotaKind::Tables | QuotaKind::Buckets => {
                "delete what is not needed, or ask for more"
            }
            QuotaKind::QueriesPerMinute | QuotaKind::ConcurrentQueries => "ask again later",
            QuotaKind::RowsPerAppend => "send them in several requests; nothing was written",
        }
    }
}

impl Classify for QuotaExceeded {
    fn kind(&self) -> ErrorKind {
        match self.kind {
            QuotaKind::TableBytes | QuotaKind::DatasetBytes | QuotaKind::Tables | QuotaKind::Buckets => {
                ErrorKind::StorageFull
            }
            QuotaKind::QueriesPerMinute | QuotaKind::ConcurrentQueries => ErrorKind::TooMany,
            QuotaKind::RowsPerAppend => ErrorKind::Unprocessable,
        }
    }

    fn code(&self) -> &'static str {
        "quota_exceeded"
    }

    fn details(&self) -> Option<Value> {
        Some(json!({ "quota": self.kind.as_str(), "limit": self.limit, "used": self.used }))
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// What a project's queries did in a day, or in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryUsage {
    /// Queries that ended.
    pub count: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Bytes that they scanned, where that was measured.
    pub bytes_scanned: u64,
    /// Bytes of the rows handed to their readers, before they are written in a format.
    pub bytes_sent: u64,
    /// Milliseconds from their coming in to their end.
    pub millis: u64,
}

impl QueryUsage {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            failed: self.failed.saturating_add(other.failed),
            bytes_scanned: self.bytes_scanned.saturating_add(other.bytes_scanned),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            millis: self.millis.saturating_add(other.millis),
        }
    }
}

/// What a project's queries did on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// The project.
    pub project: ProjectId,
    /// The day.
    pub day: NaiveDate,
    /// What they did.
    pub queries: QueryUsage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_that_databases_hold() {
        let kind = QuotaKind::Tables;
        for bad in [-1, i128::from(i64::MIN), i128::from(i64::MAX) + 1, i128::MAX] {
            assert_eq!(Quota::default().with(kind, bad), Err(QuotaValueError(kind)), "{bad}");
        }
        let most = Quota::default().with(kind, i128::from(i64::MAX)).unwrap();
        assert_eq!(most.limit(kind, &Quota::default()), Some(u64::MAX >> 1));
    }

    #[test]
    fn what_is_said_of_a_project_goes_before_the_default() {
        let kind = QuotaKind::Buckets;
        let default = Quota::default().with(kind, 3).unwrap();
        assert_eq!(Quota::default().limit(kind, &default), Some(3));
        assert_eq!(Quota::default().with(kind, 5).unwrap().limit(kind, &default), Some(5));
        assert_eq!(Quota::default().with(kind, 0).unwrap().limit(kind, &default), None, "0 is none");
    }

    #[test]
    fn a_quota_reads_back_as_stored() {
        for kind in QuotaKind::ALL {
            let quota = Quota::default().with(kind, 7).unwrap();
            let text = serde_json::to_string(&quota).unwrap();
            assert_eq!(text, format!("{{\"{}\":7}}", kind.as_str()));
            assert_eq!(serde_json::from_str::<Quota>(&text).unwrap(), quota);
        }
    }
}
