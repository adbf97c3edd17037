//! Long-running operations. Their ids sort by age.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::OperationId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind, OperationState};
use gadwall_domain::ports::metadata::{OperationFilter, OperationRepository, StoreError};

use crate::error::value_fault;
use crate::rows::{self, micros, number, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

pub(crate) const LIST: &str = "
    SELECT o.*, p.id AS project_id FROM operations o JOIN projects p ON p.id_key = o.project
     WHERE o.project = $1 AND o.id < $2 AND ($4 = '' OR o.kind = $4) ORDER BY o.id DESC LIMIT $3";
pub(crate) const UNFINISHED: &str = "
    SELECT o.*, p.id AS project_id FROM operations o JOIN projects p ON p.id_key = o.project
     WHERE o.finished_at IS NULL ORDER BY o.id";
pub(crate) const FORGET_BEFORE: &str = "DELETE FROM operations WHERE finished_at < $1";
/// Sorts behind every UUID.
const PAST_ALL_IDS: &str = "~";

#[async_trait]
impl OperationRepository for SqlTx {
    async fn insert(&mut self, operation: &Operation) -> Result<(), StoreError> {
        check_end(operation)?;
        let statement = sql(
            "INSERT INTO operations (id, project, kind, subject, started_by, request_id, created_at, finished_at, state,
                                     outcome, percent, rows_done, bytes_done, instance)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(operation.id.to_string())
        .bind(operation.project.folded())
        .bind(operation.kind.as_str())
        .bind(operation.subject.as_str())
        .bind(operation.started_by.as_str())
        .bind(operation.request_id.as_str())
        .bind(micros(operation.created_at))
        .bind(operation.finished_at.map(micros))
        .bind(operation.state.as_str())
        .bind(outcome(&operation.state)?)
        .bind(operation.progress.percent)
        .bind(number("rows_done", operation.progress.rows)?)
        .bind(number("bytes_done", operation.progress.bytes)?)
        .bind(operation.instance.to_string());
        self.run(statement).await.map(drop)
    }

    async fn update(&mut self, operation: &Operation) -> Result<bool, StoreError> {
        check_end(operation)?;
        let statement =
            sql("UPDATE operations SET finished_at = $3, state = $4, outcome = $5, percent = $6, rows_done = $7,
                                   bytes_done = $8
              WHERE id = $1 AND project = $2 AND finished_at IS NULL")
            .bind(operation.id.to_string())
            .bind(operation.project.folded())
            .bind(operation.finished_at.map(micros))
            .bind(operation.state.as_str())
            .bind(outcome(&operation.state)?)
            .bind(operation.progress.percent)
            .bind(number("rows_done", operation.progress.rows)?)
            .bind(number("bytes_done", operation.progress.bytes)?);
        Ok(self.run(statement).await? > 0)
    }

    async fn find(&mut self, project: &ProjectId, id: OperationId) -> Result<Option<Operation>, StoreError> {
        let statement = sql("SELECT o.*, p.id AS project_id FROM operations o JOIN projects p ON p.id_key = o.project
              WHERE o.id = $1 AND o.project = $2")
        .bind(id.to_string())
        .bind(project.folded());
        self.find_row(statement).await?.as_ref().map(rows::operation).transpose()
    }

    async fn list(&mut self, project: &ProjectId, filter: OperationFilter) -> Result<Vec<Operation>, StoreError> {
        let statement = sql(LIST)
            .bind(project.folded())
            .bind(filter.after.map_or_else(|| PAST_ALL_IDS.to_owned(), |id| id.to_string()))
            .bind(i64::from(filter.limit))
            .bind(filter.kind.map_or("", OperationKind::as_str));
        self.all(statement).await?.iter().map(rows::operation).collect()
    }

    async fn unfinished(&mut self) -> Result<Vec<Operation>, StoreError> {
        self.all(sql(UNFINISHED)).await?.iter().map(rows::operation).collect()
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run(sql(FORGET_BEFORE).bind(micros(before))).await
    }
}

/// Whether it has ended is told by its time of end; the state must say the same.
fn check_end(operation: &Operation) -> Result<(), StoreError> {
    if operation.state.is_final() == operation.finished_at.is_some() {
        return Ok(());
    }
    Err(value_fault("finished_at", "an operation that has ended has a time of end, and no other has"))
}

fn outcome(state: &OperationState) -> Result<Option<String>, StoreError> {
    match state {
        OperationState::Succeeded(outcome) | OperationState::Failed(outcome) => to_json("outcome", outcome).map(Some),
        OperationState::Pending | OperationState::Running | OperationState::Cancelled => Ok(None),
    }
}
