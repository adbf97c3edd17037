//! What is known of a query while it runs, and kept of it afterwards.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{QueryId, RequestId};
use crate::names::ProjectId;
use crate::query_figures::QueryProfile;

/// A query, as those who may see it are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRecord {
    /// Its id. Ids sort by when queries came in.
    pub id: QueryId,
    /// The project it reads.
    pub project: ProjectId,
    /// Who asked: the label of a principal.
    pub principal: String,
    /// The statement, cut where it is too long to be kept.
    pub sql: String,
    /// The request it came with.
    pub request_id: RequestId,
    /// When it came in.
    pub started_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub finished_at: Option<DateTime<Utc>>,
    /// How far it is.
    pub state: QueryState,
    /// Rows handed to its reader so far.
    pub rows: u64,
    /// The code of its failure; none unless it failed.
    pub error_code: Option<String>,
    /// What the engine measured, if it did and all rows were read.
    #[serde(default)]
    pub profile: Option<QueryProfile>,
    /// How it gets on, while it has not ended.
    #[serde(skip)]
    pub progress: Option<QueryProgress>,
}

/// How a query gets on: only what is known, and no guess at how much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryProgress {
    /// What it is at.
    pub phase: QueryPhase,
    /// Bytes of the rows handed to its reader so far, before they are written in a format.
    pub bytes: u64,
}

/// What a query is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryPhase {
    /// It waits for its turn.
    Waiting,
    /// The engine works on it; there are no rows yet.
    Running,
    /// Its rows are being read.
    Streaming,
}

impl QueryPhase {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Streaming => "streaming",
        }
    }
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryState {
    /// It waits for its turn.
    Queued,
    /// It runs, or its rows are being read.
    Running,
    /// All its rows were read.
    Done,
    /// It failed.
    Failed,
    /// Somebody stopped it, or its reader went away.
    Cancelled,
}

impl QueryState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Which queries to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFilter {
    /// Only those in this state.
    pub state: Option<QueryState>,
    /// Only those that came in at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those of this principal.
    pub principal: Option<String>,
    /// Only those older than this one.
    pub before: Option<QueryId>,
    /// At most so many.
    pub limit: u32,
}

impl QueryFilter {
    /// Whether a query is among those meant, the limit aside.
    pub fn takes(&self, query: &QueryRecord) -> bool {
        self.state.is_none_or(|state| query.state == state)
            && self.since.is_none_or(|since| query.started_at >= since)
            && self.principal.as_ref().is_none_or(|principal| query.principal == *principal)
            && self.before.is_none_or(|before| query.id < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_back_from_their_words() {
        for state in QueryState::ALL {
            assert_eq!(QueryState::parse(state.as_str()), Some(state));
        }
        assert_eq!(QueryState::parse("Done"), None);
        assert_eq!(QueryState::ALL.into_iter().filter(|state| state.is_final()).count(), 3);
    }
}
