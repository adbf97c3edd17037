//! Queries over a project's tables.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::QueryEngine;
use gadwall_domain::query::{Query, QueryOutput, ReadScope};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;

/// The use cases of queries.
pub struct Queries {
    engine: Arc<dyn QueryEngine>,
    access: Arc<Access>,
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queries")
    }
}

impl Queries {
    /// Runs queries on this engine.
    pub fn new(engine: Arc<dyn QueryEngine>, access: Arc<Access>) -> Self {
        Self { engine, access }
    }

    /// Runs one read-only statement over what the caller may read.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn run(&self, caller: &Caller, project: &ProjectId, query: Query) -> Result<QueryOutput, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        // The one place where a row filter or a column mask per grant can be added to a read.
        let scope = ReadScope {
            lake: project.lake,
            only_bucket: caller.principal().and_then(Principal::only_bucket).cloned(),
            at: ReadAt::Head,
        };
        Ok(self.engine.query(scope, query).await?)
    }
}
