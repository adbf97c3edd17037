//! Queries that have ended. Their ids sort by age.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::QueryId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{QueryLog, StoreError};
use gadwall_domain::query_record::{QueryFilter, QueryRecord, QueryState};

use crate::error::value_fault;
use crate::rows::{self, micros, number, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

pub(crate) const LIST: &str = "
    SELECT q.*, p.id AS project_id FROM queries q JOIN projects p ON p.id_key = q.project
     WHERE q.project = $1 AND q.id < $2 AND ($3 IS NULL OR q.state = $3) AND q.started_at >= $4
           AND ($5 IS NULL OR q.principal = $5)
     ORDER BY q.id DESC LIMIT $6";
pub(crate) const KEEP_NEWEST: &str = "
    DELETE FROM queries
     WHERE project = $1
       AND id <= (SELECT id FROM queries WHERE project = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
pub(crate) const FORGET_BEFORE: &str = "DELETE FROM queries WHERE finished_at < $1";
/// Sorts behind every UUID.
const PAST_ALL_IDS: &str = "~";

#[async_trait]
impl QueryLog for SqlTx {
    async fn insert(&mut self, query: &QueryRecord) -> Result<(), StoreError> {
        let Some(finished_at) = query.finished_at.filter(|_| query.state.is_final()) else {
            return Err(value_fault("finished_at", "only queries that have ended are kept"));
        };
        let statement =
            sql("INSERT INTO queries (id, project, principal, sql_text, request_id, started_at, finished_at, state,
                                  rows_read, error_code, profile)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(query.id.to_string())
            .bind(query.project.folded())
            .bind(query.principal.as_str())
            .bind(query.sql.as_str())
            .bind(query.request_id.as_str())
            .bind(micros(query.started_at))
            .bind(micros(finished_at))
            .bind(query.state.as_str())
            .bind(number("rows_read", query.rows)?)
            .bind(query.error_code.as_deref())
            .bind(query.profile.as_ref().map(|profile| to_json("profile", profile)).transpose()?);
        self.run(statement).await.map(drop)
    }

    async fn find(&mut self, project: &ProjectId, id: QueryId) -> Result<Option<QueryRecord>, StoreError> {
        let statement = sql("SELECT q.*, p.id AS project_id FROM queries q JOIN projects p ON p.id_key = q.project
              WHERE q.id = $1 AND q.project = $2")
        .bind(id.to_string())
        .bind(project.folded());
        self.find_row(statement).await?.as_ref().map(rows::query).transpose()
    }

    async fn list(&mut self, project: &ProjectId, filter: &QueryFilter) -> Result<Vec<QueryRecord>, StoreError> {
        let statement = sql(LIST)
            .bind(project.folded())
            .bind(filter.before.map_or_else(|| PAST_ALL_IDS.to_owned(), |id| id.to_string()))
            .bind(filter.state.map(QueryState::as_str))
            .bind(filter.since.map_or(i64::MIN, micros))
            .bind(filter.principal.as_deref())
            .bind(i64::from(filter.limit));
        self.all(statement).await?.iter().map(rows::query).collect()
    }

    async fn keep_newest(&mut self, project: &ProjectId, keep: u32) -> Result<u64, StoreError> {
        self.run(sql(KEEP_NEWEST).bind(project.folded()).bind(i64::from(keep))).await
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run(sql(FORGET_BEFORE).bind(micros(before))).await
    }
}
