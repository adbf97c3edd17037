//! What projects use: told to their owners, and of all projects to the admin.

use std::fmt;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use gadwall_domain::access::Scope;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::Lake;
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter};
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::{Project, ProjectSize, ProjectStatus};
use gadwall_domain::quota::{DayUsage, QueryUsage, QuotaKind};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::projects::{Limit, Projects};
use crate::queries::RunningQueries;

/// Most days of a series.
pub const MAX_DAYS: u32 = 90;
/// Days that the sum of a while is of.
const WHILE: u64 = 30;

/// What the use cases of usage work on.
pub struct Parts {
    /// The counters.
    pub store: Arc<dyn MetadataStore>,
    /// Tables.
    pub lakes: Arc<dyn Lake>,
    /// Results of queries.
    pub results: Arc<dyn ResultStore>,
    /// Opens projects.
    pub access: Arc<Access>,
    /// Projects, with their limits.
    pub projects: Arc<Projects>,
    /// The queries of now.
    pub running: Arc<RunningQueries>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The use cases of usage.
pub struct Usage(Parts);

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Usage")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// A limit, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The limit.
    pub limit: Limit,
    /// How much is used; none of what is not kept between requests.
    pub used: Option<u64>,
}

/// What a project uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectUsage {
    /// The project.
    pub project: ProjectId,
    /// Its tables and buckets.
    pub size: ProjectSize,
    /// What is counted only when one project is looked at.
    pub details: Option<Details>,
    /// Its queries today (UTC).
    pub today: QueryUsage,
    /// Its queries of the last 30 days, with today.
    pub lately: QueryUsage,
    /// Its limits.
    pub shares: Vec<Share>,
}

/// What is counted of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Bytes of all files of tables that are kept, older versions' among them, where that is known.
    pub kept_bytes: Option<u64>,
    /// Bytes of datasets.
    pub dataset_bytes: u64,
    /// Bytes of results of queries, where that is known.
    pub result_bytes: Option<u64>,
    /// Rows of all tables.
    pub rows: u64,
    /// The newest snapshot: so many were made.
    pub newest: SnapshotId,
    /// The days asked for, oldest first, with those on which nothing happened.
    pub days: Vec<DayUsage>,
}

impl Usage {
    /// Puts them together.
    pub fn new(parts: Parts) -> Self {
        Self(parts)
    }

    /// What a project uses, with a series of so many days. For keys of the whole project.
    pub async fn of_project(&self, caller: &Caller, id: &ProjectId, days: u32) -> Result<ProjectUsage, UseCaseError> {
        let Parts { store, lakes, results, access, projects, clock, .. } = &self.0;
        let project = access.open(caller, id, Scope::Read).await?;
        caller.require_whole_project()?;
        let size = projects.counted(&project).await?;
        let dataset_bytes = projects.measure_datasets(&project).await?;
        let today = clock.now().date_naive();
        let first = before(today, u64::from(days.clamp(1, MAX_DAYS)));
        let counted = store.read().await?.usage().since(&project.id, first.min(before(today, WHILE))).await?;
        let details = Details {
            kept_bytes: lakes.kept_bytes(project.lake).await?,
            dataset_bytes,
            result_bytes: results.size(project.lake).await?,
            rows: self.rows(&project).await?,
            newest: lakes.head(project.lake).await?,
            days: series(&project.id, first, today, &counted),
        };
        Ok(self.told(&project, size, &counted, Some(details)))
    }

    /// A page of what projects in use use, newest first, by the counters as they were taken last; and how many there are.
    pub async fn list(
        &self,
        caller: &Caller,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<ProjectUsage>, u64), UseCaseError> {
        caller.require_admin()?;
        let today = self.0.clock.now().date_naive();
        let mut tx = self.0.store.read().await?;
        let filter = ProjectFilter { status: Some(ProjectStatus::Active), limit, offset };
        let (projects, total) = tx.projects().list(filter).await?;
        let mut found = Vec::with_capacity(projects.len());
        for project in projects {
            let counted = tx.usage().since(&project.id, before(today, WHILE)).await?;
            found.push(self.told(&project, project.size, &counted, None));
        }
        Ok((found, total))
    }

    fn told(
        &self,
        project: &Project,
        size: ProjectSize,
        counted: &[DayUsage],
        details: Option<Details>,
    ) -> ProjectUsage {
        let Parts { projects, running, clock, .. } = &self.0;
        let today = clock.now().date_naive();
        let used = |kind| match kind {
            QuotaKind::TableBytes => Some(size.size_bytes),
            QuotaKind::DatasetBytes => details.as_ref().map(|details| details.dataset_bytes),
            QuotaKind::Tables => Some(size.table_count),
            QuotaKind::Buckets => Some(size.bucket_count),
            QuotaKind::QueriesPerMinute => Some(projects.quotas().queries_of_minute(&project.id)),
            QuotaKind::ConcurrentQueries => Some(running.unfinished(&project.id)),
            QuotaKind::RowsPerAppend => None,
        };
        let share = |limit: Limit| Share { limit, used: used(limit.kind) };
        let shares = projects.limits(project).into_iter().map(share).collect();
        ProjectUsage {
            project: project.id.clone(),
            size,
            today: sum(counted, today),
            lately: sum(counted, before(today, WHILE)),
            shares,
            details,
        }
    }

    async fn rows(&self, project: &Project) -> Result<u64, UseCaseError> {
        let mut rows: u64 = 0;
        for bucket in self.0.lakes.buckets(project.lake, ReadAt::Head).await? {
            let tables = self.0.lakes.tables(project.lake, &bucket.name, ReadAt::Head).await?.unwrap_or_default();
            rows = tables.iter().fold(rows, |sum, table| sum.saturating_add(table.size.row_count));
        }
        Ok(rows)
    }
}

/// The first of so many days, of which `today` is the last.
fn before(today: NaiveDate, days: u64) -> NaiveDate {
    today.checked_sub_days(Days::new(days.saturating_sub(1))).unwrap_or(today)
}

fn sum(counted: &[DayUsage], first: NaiveDate) -> QueryUsage {
    let of = counted.iter().filter(|usage| usage.day >= first);
    of.fold(QueryUsage::default(), |sum, usage| sum.and(usage.queries))
}

/// Each day of a while, also those on which nothing was counted.
fn series(project: &ProjectId, first: NaiveDate, last: NaiveDate, counted: &[DayUsage]) -> Vec<DayUsage> {
    let of = |day| {
        let found = counted.iter().find(|usage| usage.day == day);
        DayUsage { project: project.clone(), day, queries: found.map_or_else(QueryUsage::default, |day| day.queries) }
    };
    first.iter_days().take_while(|day| *day <= last).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::project_id;

    #[test]
    fn a_series_has_each_day_once() {
        let day = |number| NaiveDate::from_ymd_opt(2024, 2, number).unwrap();
        let queries = QueryUsage { count: 2, ..QueryUsage::default() };
        let counted = [DayUsage { project: project_id("p"), day: day(28), queries }];
        let first = before(NaiveDate::from_ymd_opt(2024, 3, 1).unwrap(), 3);
        let told = series(&project_id("p"), first, NaiveDate::from_ymd_opt(2024, 3, 1).unwrap(), &counted);
        let told: Vec<_> = told.iter().map(|usage| (usage.day.to_string(), usage.queries.count)).collect();
        let expected = [("2024-02-28", 2), ("2024-02-29", 0), ("2024-03-01", 0)];
        assert_eq!(told.len(), 3);
        assert!(told.iter().zip(expected).all(|((day, count), known)| (day.as_str(), *count) == known), "{told:?}");
        assert_eq!(sum(&counted, first).count, 2);
        assert_eq!(before(NaiveDate::MIN, 90), NaiveDate::MIN, "there is no day before the first");
    }
}
