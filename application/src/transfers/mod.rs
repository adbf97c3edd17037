//! Tables from files and files from tables: import, export, and files that become part of a table where they lie.

mod error;
mod export;
mod files;
mod import;
mod sql;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::Lake;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::transfer::BulkTransfer;
use gadwall_domain::project::Project;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::operations::Operations;
use crate::projection::Projection;
use crate::projects::Projects;
use crate::queries::RunningQueries;
use crate::tables::Tables;

pub use error::FilesError;
pub use export::{ExportOf, NewExport};
pub use import::{NewImport, Registered};
pub use sql::{Copied, SqlFiles};

/// Longest time that one transfer may take.
const LIMIT: Duration = Duration::from_hours(6);
/// Files listed in an operation's result; the rest are only counted.
const MAX_LISTED: usize = 100;

/// What transfers work on.
pub struct Parts {
    /// Tables' data.
    pub lakes: Arc<dyn Lake>,
    /// Files.
    pub objects: Arc<dyn ObjectStorage>,
    /// Reads and writes files.
    pub bulk: Arc<dyn BulkTransfer>,
    /// Opens projects.
    pub access: Arc<Access>,
    /// Tables.
    pub tables: Arc<Tables>,
    /// The index of the lake.
    pub projection: Arc<Projection>,
    /// Projects.
    pub projects: Arc<Projects>,
    /// What imports and exports run as.
    pub operations: Arc<Operations>,
    /// The files that statements name; without, they name none.
    pub files: Option<Arc<SqlFiles>>,
    /// Where a `COPY` waits for its turn; without, none is taken.
    pub running: Option<Arc<RunningQueries>>,
}

/// The use cases of transfers.
pub struct Transfers {
    parts: Arc<Parts>,
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transfers")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Transfers {
    /// Transfers between these.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Opens a project for its files. A key of one bucket of tables has no part in them.
    async fn open_files(&self, caller: &Caller, project: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        let project = self.parts.access.open(caller, project, scope).await?;
        match caller.principal() {
            Some(principal) if principal.only_bucket().is_none() => Ok(project),
            _ => Err(UseCaseError::Forbidden),
        }
    }
}
