//! Contracts of tables and results of looks at them, by folded names.

use async_trait::async_trait;
use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::contract::{ContractResult, LoggedResult, MAX_RESULTS, MAX_VERSIONS, Occasion, StoredContract};
use gadwall_domain::ids::{RequestId, SnapshotId};
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::contracts::ContractRepository;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::table::TableRef;

use crate::lake_index::At;
use crate::row::Row;
use crate::rows::{self, count, micros, number, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

const OF_TABLE: [&str; 2] = [
    "DELETE FROM contracts WHERE project = $1 AND bucket_key = $2 AND table_key = $3",
    "DELETE FROM contract_results WHERE project = $1 AND bucket_key = $2 AND table_key = $3",
];
const OF_BUCKET: [&str; 2] = [
    "DELETE FROM contracts WHERE project = $1 AND bucket_key = $2",
    "DELETE FROM contract_results WHERE project = $1 AND bucket_key = $2",
];
const RENAME: [&str; 2] = [
    "UPDATE contracts SET table_key = $4, table_name = $5 WHERE project = $1 AND bucket_key = $2 AND table_key = $3",
    "UPDATE contract_results SET table_key = $4 WHERE project = $1 AND bucket_key = $2 AND table_key = $3",
];

impl SqlTx {
    /// What a write of a commit means for contracts.
    pub(crate) async fn follow_contracts(
        &mut self,
        at: &At<'_>,
        commit: &Commit,
        write: &WriteRecord,
    ) -> Result<(), StoreError> {
        match &write.change {
            Change::TableAltered { table, alteration: Alteration::Contract { document }, .. } => {
                self.end_contract(at, table).await?;
                if let Some(document) = document {
                    self.begin_contract(at, table, write, document).await?;
                }
            }
            // One that is made anew in the same commit is the same to its users.
            Change::TableDropped { table } if !commit.makes(table) => {
                self.drop_contracts(at.project, table).await?;
            }
            Change::TableUndeleted { table, .. } => self.drop_contracts(at.project, table).await?,
            Change::BucketDropped { bucket } => {
                for statement in OF_BUCKET {
                    self.run(sql(statement).bind(at.project).bind(bucket.folded())).await?;
                }
            }
            Change::TableRenamed { table, to } if table.table.folded() != to.table.folded() => {
                // Nobody has the new name any more, whatever is known.
                self.drop_contracts(at.project, to).await?;
                self.rename_contracts(at.project, table, to).await?;
            }
            Change::TableRenamed { table, to } => self.rename_contracts(at.project, table, to).await?,
            _ => {}
        }
        self.keep_breaches(at, write).await
    }

    async fn drop_contracts(&mut self, project: &str, table: &TableRef) -> Result<(), StoreError> {
        for statement in OF_TABLE {
            self.run(sql(statement).bind(project).bind(table.bucket.folded()).bind(table.table.folded())).await?;
        }
        Ok(())
    }

    async fn rename_contracts(&mut self, project: &str, table: &TableRef, to: &TableRef) -> Result<(), StoreError> {
        let [contracts, results] = RENAME;
        let named = |statement| {
            let statement = sql(statement).bind(project).bind(table.bucket.folded()).bind(table.table.folded());
            statement.bind(to.table.folded())
        };
        self.run(named(contracts).bind(to.table.as_str())).await?;
        self.run(named(results)).await.map(drop)
    }

    async fn end_contract(&mut self, at: &At<'_>, table: &TableRef) -> Result<(), StoreError> {
        let statement = sql("UPDATE contracts SET end_snapshot = $4
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3 AND end_snapshot IS NULL")
        .bind(at.project)
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(at.snapshot);
        self.run(statement).await.map(drop)
    }

    async fn begin_contract(
        &mut self,
        at: &At<'_>,
        table: &TableRef,
        write: &WriteRecord,
        document: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let (bucket, name) = (table.bucket.folded(), table.table.folded());
        let statement =
            sql("INSERT INTO contracts (project, bucket_key, table_key, begin_snapshot, bucket, table_name,
                                put_at, put_by, object, document)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(at.project)
            .bind(bucket.as_str())
            .bind(name.as_str())
            .bind(at.snapshot)
            .bind(table.bucket.as_str())
            .bind(table.table.as_str())
            .bind(micros(at.time))
            .bind(write.origin.key_id.as_ref().map(ToString::to_string))
            .bind(table.table.as_str())
            .bind(to_json("document", document)?);
        self.run(statement).await?;
        let oldest = sql("DELETE FROM contracts WHERE project = $1 AND bucket_key = $2 AND table_key = $3
                AND begin_snapshot NOT IN (SELECT begin_snapshot FROM contracts
                     WHERE project = $1 AND bucket_key = $2 AND table_key = $3 ORDER BY begin_snapshot DESC LIMIT $4)")
        .bind(at.project)
        .bind(bucket.as_str())
        .bind(name.as_str())
        .bind(i64::from(MAX_VERSIONS));
        self.run(oldest).await.map(drop)
    }

    /// A write that went through in spite of warnings.
    async fn keep_breaches(&mut self, at: &At<'_>, write: &WriteRecord) -> Result<(), StoreError> {
        let Some(table) = write.change.table().filter(|_| !write.breaches.is_empty()) else { return Ok(()) };
        let Some(contract) = self.contract_of(at.project, table).await? else { return Ok(()) };
        let result = ContractResult {
            at: at.time,
            occasion: Occasion::Written,
            contract: contract.since,
            snapshot: SnapshotId::new(at.snapshot).ok(),
            request_id: write.origin.request_id.clone(),
            measures: write.breaches.clone(),
            service_levels: Vec::new(),
        };
        self.keep_result(at.project, table, &result).await
    }

    async fn contract_of(&mut self, project: &str, table: &TableRef) -> Result<Option<StoredContract>, StoreError> {
        let statement = sql("SELECT * FROM contracts
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3 AND end_snapshot IS NULL
              ORDER BY begin_snapshot DESC LIMIT 1")
        .bind(project)
        .bind(table.bucket.folded())
        .bind(table.table.folded());
        self.find_row(statement).await?.as_ref().map(stored).transpose()
    }

    async fn keep_result(
        &mut self,
        project: &str,
        table: &TableRef,
        result: &ContractResult,
    ) -> Result<(), StoreError> {
        let (bucket, name) = (table.bucket.folded(), table.table.folded());
        let snapshot = result.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
        let statement =
            sql("INSERT INTO contract_results (project, bucket_key, table_key, at, occasion, contract, snapshot,
                                           request_id, measures, service_levels)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(project)
            .bind(bucket.as_str())
            .bind(name.as_str())
            .bind(micros(result.at))
            .bind(result.occasion.as_str())
            .bind(number("contract", result.contract.get())?)
            .bind(snapshot)
            .bind(result.request_id.as_str())
            .bind(to_json("measures", &result.measures)?)
            .bind(to_json("service_levels", &result.service_levels)?);
        self.run(statement).await?;
        let oldest = sql("DELETE FROM contract_results
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3
                AND number <= (SELECT number FROM contract_results
                                WHERE project = $1 AND bucket_key = $2 AND table_key = $3
                                ORDER BY number DESC LIMIT 1 OFFSET $4)")
        .bind(project)
        .bind(bucket.as_str())
        .bind(name.as_str())
        .bind(i64::from(MAX_RESULTS));
        self.run(oldest).await.map(drop)
    }
}

#[async_trait]
impl ContractRepository for SqlTx {
    async fn contract(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<StoredContract>, StoreError> {
        self.contract_of(&project.folded(), table).await
    }

    async fn contracts(&mut self, project: &ProjectId) -> Result<Vec<(TableRef, StoredContract)>, StoreError> {
        let statement = sql("SELECT * FROM contracts WHERE project = $1 AND end_snapshot IS NULL
              ORDER BY bucket_key, table_key")
        .bind(project.folded());
        self.all(statement).await?.iter().map(|row| Ok((table(row)?, stored(row)?))).collect()
    }

    async fn contract_versions(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<Vec<StoredContract>, StoreError> {
        let statement = sql("SELECT * FROM contracts WHERE project = $1 AND bucket_key = $2 AND table_key = $3
              ORDER BY begin_snapshot DESC")
        .bind(project.folded())
        .bind(table.bucket.folded())
        .bind(table.table.folded());
        self.all(statement).await?.iter().map(stored).collect()
    }

    async fn contract_version(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        since: SnapshotId,
    ) -> Result<Option<StoredContract>, StoreError> {
        let statement = sql("SELECT * FROM contracts
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3 AND begin_snapshot = $4")
        .bind(project.folded())
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(number("since", since.get())?);
        self.find_row(statement).await?.as_ref().map(stored).transpose()
    }

    async fn record_result(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        result: &ContractResult,
    ) -> Result<(), StoreError> {
        self.keep_result(&project.folded(), table, result).await
    }

    async fn contract_results(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LoggedResult>, StoreError> {
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let statement = sql("SELECT * FROM contract_results
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3 AND number < $4
              ORDER BY number DESC LIMIT $5")
        .bind(project.folded())
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(before)
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(logged).collect()
    }
}

fn table(row: &Row) -> Result<TableRef, StoreError> {
    Ok(TableRef {
        bucket: rows::parsed(row, "bucket", BucketName::parse)?,
        table: rows::parsed(row, "table_name", TableName::parse)?,
    })
}

fn stored(row: &Row) -> Result<StoredContract, StoreError> {
    Ok(StoredContract {
        since: rows::snapshot(row, "begin_snapshot")?,
        put_at: rows::time(row, "put_at")?,
        put_by: rows::get(row, "put_by")?,
        until: rows::optional_snapshot(row, "end_snapshot")?,
        object: rows::get(row, "object")?,
        document: rows::json(row, "document")?,
    })
}

fn logged(row: &Row) -> Result<LoggedResult, StoreError> {
    Ok(LoggedResult {
        number: count(row, "number")?,
        result: ContractResult {
            at: rows::time(row, "at")?,
            occasion: rows::word(row, "occasion", Occasion::parse)?,
            contract: rows::snapshot(row, "contract")?,
            snapshot: rows::optional_snapshot(row, "snapshot")?,
            request_id: rows::word(row, "request_id", RequestId::parse)?,
            measures: rows::json(row, "measures")?,
            service_levels: rows::json(row, "service_levels")?,
        },
    })
}
