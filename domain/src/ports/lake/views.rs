//! Views: made and dropped.

use std::time::Duration;

use async_trait::async_trait;

use crate::commit::WriteOrigin;
use crate::ids::SnapshotId;
use crate::query::ReadScope;
use crate::script::ScriptError;
use crate::table::TableRef;
use crate::view::ViewDefinition;

/// Makes and drops views. [`LakeStore::views`](super::LakeStore::views) shows them.
#[async_trait]
pub trait ViewEngine: Send + Sync {
    /// Makes a view, or makes it anew: its query may read what the scope may read, and later readers of the view read
    /// it with that right. Fails with `TableExists` where a table has the name.
    async fn define_view(
        &self,
        scope: ReadScope,
        definition: ViewDefinition,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError>;

    /// Drops a view; `NoView` if there is none.
    async fn drop_view(
        &self,
        scope: ReadScope,
        view: TableRef,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError>;
}
