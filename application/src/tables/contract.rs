//! Tables that are put under a contract, or out of one.

use gadwall_domain::alteration::Alteration;
use gadwall_domain::history::Expected;
use gadwall_domain::ids::{RequestId, SnapshotId};
use gadwall_domain::lineage::Export;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{LakeWrite, WriteError};
use gadwall_domain::project::Project;
use gadwall_domain::table::Table;
use serde_json::Value;

use super::Tables;
use crate::caller::Caller;
use crate::contracts::Held;
use crate::error::UseCaseError;
use crate::lineage::{Attempt, ExportAttempt};

impl Tables {
    /// Puts a contract in force, or ends the one that is; answers the snapshot since when.
    pub(crate) async fn set_contract(
        &self,
        caller: &Caller,
        project: &Project,
        table: &Table,
        document: Option<Value>,
        expected: Expected,
    ) -> Result<SnapshotId, UseCaseError> {
        let write = LakeWrite::Alter {
            table: table.name.clone(),
            schema: table.schema.clone(),
            alteration: Alteration::Contract { document },
            expected,
        };
        let done = self.carry_out(caller, project, &table.name, write, false).await?;
        Ok(done.snapshot.unwrap_or(SnapshotId::ZERO))
    }

    /// A write to a table was refused.
    pub(crate) async fn refused(
        &self,
        project: &ProjectId,
        held: Option<&Held>,
        request: &RequestId,
        error: &WriteError,
    ) {
        self.writes.refused(project, held, request, error).await;
    }

    /// A write to a table came to nothing; answers what its author is told.
    pub(crate) async fn failed(&self, attempt: &Attempt<'_>, error: UseCaseError) -> UseCaseError {
        self.writes.failed(attempt, error).await
    }

    /// Tells lineage of an export.
    pub(crate) async fn tell_export(&self, project: &ProjectId, export: &Export<'_>) {
        self.writes.tell_export(project, export).await;
    }

    /// Tells lineage of an export that came to nothing.
    pub(crate) async fn tell_failed_export(&self, attempt: &ExportAttempt<'_>, error: &UseCaseError) {
        self.writes.tell_failed_export(attempt, error).await;
    }

    /// Whether an earlier attempt of the same request was committed.
    pub(crate) async fn has_committed(&self, caller: &Caller, project: &Project) -> Result<bool, UseCaseError> {
        Ok(self.writes.committed_before(caller, project).await?.is_some())
    }
}
