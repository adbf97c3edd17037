//! What each change of a commit does to the facts.

use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::metadata::{StoreError, TableFacts};
use gadwall_domain::schema::Column;
use gadwall_domain::table::TableRef;

use super::key_owner;
use crate::rows::{micros, number, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

/// Where in a project's history a change stands.
pub(crate) struct At<'a> {
    pub(crate) project: &'a str,
    pub(crate) snapshot: i64,
    pub(crate) time: DateTime<Utc>,
}

impl SqlTx {
    pub(super) async fn apply_commit(&mut self, project: &str, commit: &Commit) -> Result<bool, StoreError> {
        let snapshot = number("snapshot", commit.snapshot.get())?;
        let at = At { project, snapshot, time: commit.committed_at };
        if commit.snapshot == SnapshotId::ZERO || !self.advance(&at).await? {
            return Ok(false);
        }
        for (index, write) in commit.writes.iter().enumerate() {
            self.apply_change(&at, &write.change).await?;
            self.follow_contracts(&at, commit, write).await?;
            self.keep_key(&at, index, write).await?;
        }
        Ok(true)
    }

    /// Moves on to the snapshot; `false` if the index was there already.
    async fn advance(&mut self, at: &At<'_>) -> Result<bool, StoreError> {
        let statement = sql("INSERT INTO lake_applied (project, snapshot) VALUES ($1, $2)
             ON CONFLICT (project) DO UPDATE SET snapshot = excluded.snapshot
              WHERE lake_applied.snapshot < excluded.snapshot")
        .bind(at.project)
        .bind(at.snapshot);
        Ok(self.run(statement).await? > 0)
    }

    /// Something else than Gadwall may have dropped or made what a change names without saying so. So what is
    /// made ends what was, and what isn't known is no fault.
    async fn apply_change(&mut self, at: &At<'_>, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::BucketCreated { bucket, description } => {
                self.end_bucket(at, bucket).await?;
                self.begin_bucket(at, bucket, description.as_deref()).await
            }
            Change::BucketDropped { bucket } => self.end_bucket(at, bucket).await,
            Change::TableCreated { table, columns, primary_key, .. } => {
                self.replace_table(at, &facts(table, columns, primary_key, at.time)).await
            }
            Change::TableDropped { table } => self.end_table(at, table).await,
            Change::TableAltered { table, columns, primary_key, .. }
            | Change::TableRestored { table, columns, primary_key, .. } => {
                let known = self.table_at(at.project, table, at.snapshot).await?;
                let (name, since) = known.map_or((table.clone(), at.time), |known| (known.table, known.created_at));
                self.replace_table(at, &facts(&name, columns, primary_key, since)).await
            }
            Change::TableRenamed { table, to } => self.rename_table(at, table, to).await,
            Change::TableUndeleted { table, from, columns, primary_key, .. } => {
                let known = self.table_at(at.project, table, number("from", from.get())?).await?;
                let since = known.map_or(at.time, |known| known.created_at);
                self.replace_table(at, &facts(table, columns, primary_key, since)).await
            }
            Change::RowsAppended { .. }
            | Change::RowsUpserted { .. }
            | Change::RowsReplaced { .. }
            | Change::RowsUpdated { .. }
            | Change::RowsDeleted { .. }
            | Change::TableTruncated { .. }
            | Change::RowsPurged { .. }
            | Change::FilesRegistered { .. }
            | Change::FilesCompacted { .. }
            | Change::ViewCreated { .. }
            | Change::ViewDropped { .. } => Ok(()),
        }
    }

    async fn rename_table(&mut self, at: &At<'_>, table: &TableRef, to: &TableRef) -> Result<(), StoreError> {
        let known = self.table_at(at.project, table, at.snapshot).await?;
        self.end_table(at, table).await?;
        // Nobody has the new name any more, whatever the index says.
        self.end_table(at, to).await?;
        match known {
            Some(known) => self.begin_table(at, &TableFacts { table: to.clone(), ..known }).await,
            None => Ok(()),
        }
    }

    async fn replace_table(&mut self, at: &At<'_>, facts: &TableFacts) -> Result<(), StoreError> {
        self.end_table(at, &facts.table).await?;
        self.begin_table(at, facts).await
    }

    /// Makes a write that was made under an idempotency key findable by it.
    async fn keep_key(&mut self, at: &At<'_>, index: usize, write: &WriteRecord) -> Result<(), StoreError> {
        let Some(key) = &write.origin.idempotency_key else { return Ok(()) };
        let statement = sql(
            "INSERT INTO keyed_writes (project, key_id, idempotency_key, snapshot, write_number, committed_at, record)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(at.project)
        .bind(key_owner(write.origin.key_id.as_ref()))
        .bind(key.as_str())
        .bind(at.snapshot)
        .bind(number("write_number", index as u64)?)
        .bind(micros(at.time))
        .bind(to_json("record", write)?);
        self.run(statement).await.map(drop)
    }
}

fn facts(table: &TableRef, columns: &[Column], primary_key: &[ColumnName], created_at: DateTime<Utc>) -> TableFacts {
    TableFacts { table: table.clone(), columns: columns.to_vec(), primary_key: primary_key.to_vec(), created_at }
}
