//! How looking at queries and stopping them fails.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::ids::QueryId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::query_record::QueryState;
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of looking at queries and stopping them.
#[derive(Debug, Error)]
pub enum KnownQueryError {
    /// No such query in the project, or none that the caller may see.
    #[error("there is no query {query} in project {project} that this key may see; old ones are forgotten")]
    NoQuery {
        /// The project.
        project: ProjectId,
        /// As it was asked for, shortened.
        query: String,
    },
    /// It has ended already.
    #[error("query {query} has ended already: it is {}", .state.as_str())]
    NotRunning {
        /// The query.
        query: QueryId,
        /// How it ended.
        state: QueryState,
    },
    /// Its result isn't there yet.
    #[error("query {query} has not finished: it is {}; ask again later", .state.as_str())]
    NotFinished {
        /// The query.
        query: QueryId,
        /// How far it is.
        state: QueryState,
    },
    /// No result is kept of it.
    #[error("no result of query {query} is kept: it didn't run in the background, was deleted, or its time is over")]
    NoResult {
        /// The query.
        query: QueryId,
    },
    /// Not where a page ended.
    #[error("cursor is the next_cursor of the page before")]
    BadCursor,
}

impl Classify for KnownQueryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoQuery { .. } | Self::NoResult { .. } => ErrorKind::NotFound,
            Self::NotRunning { .. } | Self::NotFinished { .. } => ErrorKind::Conflict,
            Self::BadCursor => ErrorKind::Unprocessable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoQuery { .. } => "query_not_found",
            Self::NotRunning { .. } => "query_not_running",
            Self::NotFinished { .. } => "query_not_finished",
            Self::NoResult { .. } => "result_not_found",
            Self::BadCursor => "validation_failed",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NoQuery { project, query } => Some(json!({ "project_id": project, "query_id": query })),
            Self::NoResult { query } => Some(json!({ "query_id": query })),
            Self::NotRunning { query, state } | Self::NotFinished { query, state } => {
                Some(json!({ "query_id": query, "state": state.as_str() }))
            }
            Self::BadCursor => None,
        }
    }
}
