//! A lake: all that it was, snapshot by snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit, WriteOrigin, WriteRecord};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{Committed, DroppedTable, LakeError, SnapshotFilter};
use gadwall_domain::table::TableRef;

use super::state::{State, Stored};

/// One project's lake. It always holds its newest version.
pub(super) struct Lake {
    pub(super) versions: BTreeMap<SnapshotId, Version>,
}

/// A lake in one snapshot, and what the snapshot says of itself.
pub(super) struct Version {
    pub(super) commit: Commit,
    pub(super) state: State,
}

impl Lake {
    /// An empty lake: snapshot 0.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let commit = Commit { snapshot: SnapshotId::ZERO, committed_at: now, writes: Vec::new() };
        let first = Version { commit, state: State::default() };
        Self { versions: BTreeMap::from([(SnapshotId::ZERO, first)]) }
    }

    pub(super) fn head(&self) -> SnapshotId {
        self.versions.last_key_value().map_or(SnapshotId::ZERO, |(snapshot, _)| *snapshot)
    }

    /// The number of the next snapshot.
    pub(super) fn next(&self) -> Result<SnapshotId, LakeError> {
        let next = self.head().get().cast_signed() + 1;
        SnapshotId::new(next).map_err(|error| LakeError::Fault(Box::new(error)))
    }

    /// The snapshot that is read, if it is there.
    pub(super) fn at(&self, at: ReadAt) -> Option<(SnapshotId, &State)> {
        let snapshot = match at {
            ReadAt::Head => self.head(),
            ReadAt::Snapshot(snapshot) => snapshot,
        };
        self.versions.get(&snapshot).map(|version| (snapshot, &version.state))
    }

    pub(super) fn append(
        &mut self,
        snapshot: SnapshotId,
        state: State,
        change: Change,
        origin: WriteOrigin,
        committed_at: DateTime<Utc>,
    ) -> Committed {
        let rows = change.counts();
        let commit = Commit { snapshot, committed_at, writes: vec![WriteRecord::new(origin, change)] };
        self.versions.insert(snapshot, Version { commit, state });
        Committed { snapshot, rows }
    }

    pub(super) fn commits_after(&self, after: SnapshotId, limit: u32) -> Vec<Commit> {
        // An empty lake has no commit yet: its first version says nothing.
        let later = self.versions.values().filter(|version| version.commit.snapshot > after);
        later.take(limit as usize).map(|version| version.commit.clone()).collect()
    }

    /// The newest snapshot of a time. None where it may be one that is gone.
    pub(super) fn snapshot_at(&self, time: DateTime<Utc>) -> Option<SnapshotId> {
        let (found, _) = self.versions.iter().rev().find(|(_, version)| version.commit.committed_at <= time)?;
        let next = self.versions.keys().find(|snapshot| *snapshot > found);
        next.is_none_or(|next| next.get() == found.get() + 1).then_some(*found)
    }

    pub(super) fn snapshots(&self, filter: &SnapshotFilter) -> Vec<Commit> {
        let table = filter.table.as_ref().map(|table| self.last_of(table));
        let wanted = |version: &&Version| {
            let snapshot = version.commit.snapshot;
            filter.before.is_none_or(|before| snapshot < before)
                && table.is_none_or(|table| table.is_some_and(|id| self.changed(snapshot, &version.state, id)))
        };
        let found = self.versions.values().rev().filter(wanted);
        found.take(filter.limit as usize).map(|version| version.commit.clone()).collect()
    }

    /// The identity of the table that has this name, or had it last.
    fn last_of(&self, table: &TableRef) -> Option<u64> {
        self.versions.values().rev().find_map(|version| version.state.find(table)).map(|table| table.id)
    }

    /// Whether a snapshot made, changed or dropped a table.
    fn changed(&self, snapshot: SnapshotId, state: &State, id: u64) -> bool {
        match state.find_id(id) {
            Some(table) => table.version.schema == snapshot || table.version.rows == snapshot,
            None => self.before(snapshot).is_some_and(|before| before.find_id(id).is_some()),
        }
    }

    /// The state that a snapshot was made on, as far as it is kept.
    pub(super) fn before(&self, snapshot: SnapshotId) -> Option<&State> {
        self.versions.range(..snapshot).next_back().map(|(_, version)| &version.state)
    }

    pub(super) fn dropped(&self, bucket: Option<&BucketName>) -> Vec<DroppedTable> {
        let mut found: BTreeMap<TableRef, DroppedTable> = BTreeMap::new();
        let Some((_, now)) = self.at(ReadAt::Head) else { return Vec::new() };
        for (older, newer) in self.versions.values().zip(self.versions.values().skip(1)) {
            let gone = |(name, table): &(TableRef, &Arc<Stored>)| {
                newer.state.find_id(table.id).is_none()
                    && now.find(name).is_none()
                    && bucket.is_none_or(|bucket| name.bucket == *bucket)
            };
            for (name, _) in older.state.all().filter(gone) {
                let last = older.commit.snapshot;
                found.insert(name.clone(), DroppedTable { name, last, dropped_at: newer.commit.committed_at });
            }
        }
        found.into_values().collect()
    }
}
