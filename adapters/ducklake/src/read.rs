//! Reading tables' rows.

use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{TableProfile, TableReader};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;

use crate::query::{self, Work};
use crate::store::EmbeddedLakes;

#[async_trait]
impl TableReader for EmbeddedLakes {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        _: ReadAt,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        let limit = selection.limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(u32::MAX);
        let work = Work::Preview { table: table.clone(), limit };
        let output = query::start(&self.engine, &self.catalogs, lake, work, timeout).await?;
        Ok((output.rows, output.snapshot))
    }

    async fn changes(
        &self,
        _: LakeId,
        _: &TableRef,
        _: SnapshotId,
        _: SnapshotId,
        _: Option<u64>,
        _: Duration,
    ) -> Result<RowStream, QueryError> {
        Err(QueryError::Engine("not supported yet".to_owned()))
    }

    async fn profile(&self, _: LakeId, _: &TableRef, _: ReadAt, _: Duration) -> Result<TableProfile, QueryError> {
        Err(QueryError::Engine("not supported yet".to_owned()))
    }
}
