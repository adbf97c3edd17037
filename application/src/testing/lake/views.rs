//! Views of a lake in memory: kept as they are given, as it runs no SQL.

use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::commit::{Change, WriteOrigin};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{LakeError, ViewEngine, WriteError};
use gadwall_domain::query::ReadScope;
use gadwall_domain::script::{ScriptError, ScriptFault, WriteFault};
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{View, ViewDefinition};

use super::MemoryLake;
use super::state::State;

impl MemoryLake {
    fn change_views(
        &self,
        scope: &ReadScope,
        view: &TableRef,
        origin: WriteOrigin,
        change: impl FnOnce(&mut State, SnapshotId) -> Result<Change, WriteError>,
    ) -> Result<SnapshotId, ScriptError> {
        let changed = || {
            let mut lakes = self.lock();
            let lake = lakes.get_mut(&scope.lake).ok_or(LakeError::NoLake)?;
            let now = lake.next()?;
            let (_, head) = lake.at(ReadAt::Head).ok_or(LakeError::NoLake)?;
            let mut state = head.clone();
            let change = change(&mut state, now)?;
            Ok(lake.append(now, state, change, origin, self.clock.now()).snapshot)
        };
        changed().map_err(|source: WriteError| {
            let fault = WriteFault { about: view.to_string(), table: Some(view.clone()), source };
            ScriptError { statement: None, fault: ScriptFault::Write(Box::new(fault)) }
        })
    }
}

#[async_trait]
impl ViewEngine for MemoryLake {
    async fn define_view(
        &self,
        scope: ReadScope,
        definition: ViewDefinition,
        _: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        let ViewDefinition { name, query, comment } = definition;
        let changed_at = Some(self.clock.now());
        self.change_views(&scope, &name.clone(), origin, |state, snapshot| {
            state.define_view(View { name, query, comment, columns: Vec::new(), snapshot, changed_at })
        })
    }

    async fn drop_view(
        &self,
        scope: ReadScope,
        view: TableRef,
        _: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        self.change_views(&scope, &view.clone(), origin, |state, _| state.drop_view(view))
    }
}
