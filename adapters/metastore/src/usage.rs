//! What projects' queries did, by folded id and day.

use async_trait::async_trait;
use chrono::{NaiveDate, TimeDelta};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::usage::UsageRepository;
use gadwall_domain::quota::{DayUsage, QueryUsage};

use crate::error::value_fault;
use crate::row::Row;
use crate::rows::{count, number};
use crate::statement::{sql, with_rows};
use crate::tx::SqlTx;

/// Days in one statement.
const AT_ONCE: usize = 500;

const INTO: &str = "INSERT INTO usage_days (project, day, queries, failed, bytes_scanned, bytes_sent, millis)";
/// What is there already is added to.
const ADD: &str = " ON CONFLICT (project, day) DO UPDATE SET
       queries = usage_days.queries + excluded.queries, failed = usage_days.failed + excluded.failed,
       bytes_scanned = usage_days.bytes_scanned + excluded.bytes_scanned,
       bytes_sent = usage_days.bytes_sent + excluded.bytes_sent, millis = usage_days.millis + excluded.millis";

#[async_trait]
impl UsageRepository for SqlTx {
    async fn add(&mut self, usage: &[DayUsage]) -> Result<(), StoreError> {
        for some in usage.chunks(AT_ONCE) {
            let mut rows = Vec::with_capacity(some.len());
            for DayUsage { project, day, queries } in some {
                rows.push([
                    project.folded().into(),
                    days_since_1970(*day).into(),
                    number("queries", queries.count)?.into(),
                    number("failed", queries.failed)?.into(),
                    number("bytes_scanned", queries.bytes_scanned)?.into(),
                    number("bytes_sent", queries.bytes_sent)?.into(),
                    number("millis", queries.millis)?.into(),
                ]);
            }
            self.run(with_rows(INTO, rows, ADD)).await?;
        }
        Ok(())
    }

    async fn since(&mut self, project: &ProjectId, day: NaiveDate) -> Result<Vec<DayUsage>, StoreError> {
        let statement = sql("SELECT * FROM usage_days WHERE project = $1 AND day >= $2 ORDER BY day")
            .bind(project.folded())
            .bind(days_since_1970(day));
        self.all(statement).await?.iter().map(|row| usage(project, row)).collect()
    }

    async fn forget_before(&mut self, day: NaiveDate) -> Result<u64, StoreError> {
        self.run(sql("DELETE FROM usage_days WHERE day < $1").bind(days_since_1970(day))).await
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.run(sql("DELETE FROM usage_days WHERE project = $1").bind(project.folded())).await.map(drop)
    }
}

fn days_since_1970(day: NaiveDate) -> i64 {
    (day - NaiveDate::default()).num_days()
}

fn usage(project: &ProjectId, row: &Row) -> Result<DayUsage, StoreError> {
    let day = NaiveDate::default().checked_add_signed(TimeDelta::days(row.get::<i64>("day")?));
    Ok(DayUsage {
        project: project.clone(),
        day: day.ok_or_else(|| value_fault("day", "it is out of range"))?,
        queries: QueryUsage {
            count: count(row, "queries")?,
            failed: count(row, "failed")?,
            bytes_scanned: count(row, "bytes_scanned")?,
            bytes_sent: count(row, "bytes_sent")?,
            millis: count(row, "millis")?,
        },
    })
}
