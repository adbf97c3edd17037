//! What is known of an attached lake without asking it: this process is the only one that writes to it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::schema::Column;
use gadwall_domain::table::TableRef;

use crate::durable::Synced;
use crate::settled::Settled;

/// Tables whose shape is kept; with more in use at once, some are asked for again.
const MAX_SHAPES: usize = 1024;
/// Commits that are kept for whoever follows them.
const MAX_COMMITS: usize = 32;

/// What a table's rows must fit and where its files lie.
pub(crate) struct Shape {
    /// The columns as the lake stores them.
    pub(crate) columns: Vec<Column>,
    /// The folder of its files, relative to the lake's data folder.
    pub(crate) folder: PathBuf,
}

/// That a table was put under a contract, or out of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContractChange {
    /// The snapshot in which.
    pub(crate) at: SnapshotId,
    /// Whether it is under one since.
    pub(crate) put: bool,
}

/// What is known of a lake.
#[derive(Default)]
pub(crate) struct Known {
    inner: Mutex<Inner>,
    /// What its newest version means by names and statements.
    pub(crate) settled: Settled,
}

#[derive(Default)]
struct Inner {
    /// Asked and set by the lake's writer alone, between commits, so they are never of another state.
    shapes: HashMap<TableRef, Arc<Shape>>,
    /// Contracts that were put or removed by this process.
    contracts: HashMap<TableRef, ContractChange>,
    /// The last commits, without gaps.
    commits: VecDeque<Commit>,
    /// The newest snapshot that was seen.
    seen: Option<SnapshotId>,
    /// Folders whose own names are on disk.
    lasting: HashSet<PathBuf>,
    /// Data files that are on disk.
    synced: Synced,
    /// The catalog's log whose name is on disk.
    log: Option<LogFile>,
    /// How often a commit, or another change of the catalog, was begun or ended: odd while one is under way.
    turn: u64,
    /// Where the lake stands for certain, until a commit begins.
    stands: Option<SnapshotId>,
}

/// Where a lake stood that nobody else writes to, and whether it still does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The newest snapshot, if it is known and no commit was under way.
    pub(crate) at: Option<SnapshotId>,
    pub(crate) turn: u64,
}

/// A commit, or another change of the catalog, that is under way.
pub(crate) struct Committing<'a>(&'a Known);

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.0.lock().turn += 1;
    }
}

/// Tells the catalog's log from the one after it, which may get the same name and number.
pub(crate) type LogFile = (u64, SystemTime);

impl Inner {
    fn follow_contracts(&mut self, commit: &Commit) {
        for write in &commit.writes {
            match &write.change {
                Change::TableAltered { table, alteration: Alteration::Contract { document }, .. } => {
                    if self.contracts.len() >= MAX_SHAPES {
                        self.contracts.clear();
                    }
                    let change = ContractChange { at: commit.snapshot, put: document.is_some() };
                    self.contracts.insert(table.clone(), change);
                }
                Change::TableDropped { table } if !commit.makes(table) => drop(self.contracts.remove(table)),
                Change::TableRenamed { table, to } => {
                    self.contracts.remove(to);
                    if let Some(known) = self.contracts.remove(table) {
                        self.contracts.insert(to.clone(), known);
                    }
                }
                Change::BucketDropped { bucket } => self.contracts.retain(|table, _| table.bucket != *bucket),
                _ => {}
            }
        }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table's shape, if it is known.
    pub(crate) fn shape(&self, table: &TableRef) -> Option<Arc<Shape>> {
        self.lock().shapes.get(table).cloned()
    }

    /// Keeps a table's shape.
    pub(crate) fn keep(&self, table: &TableRef, shape: Arc<Shape>) {
        let mut inner = self.lock();
        if inner.shapes.len() >= MAX_SHAPES {
            inner.shapes.clear();
        }
        inner.shapes.insert(table.clone(), shape);
    }

    /// The last change of a table's contract that this process made, if it made any.
    pub(crate) fn contract(&self, table: &TableRef) -> Option<ContractChange> {
        self.lock().contracts.get(table).copied()
    }

    /// Something other than rows is changed.
    pub(crate) fn forget_shapes(&self) {
        let mut inner = self.lock();
        inner.shapes.clear();
        inner.lasting.clear();
    }

    /// Whether a folder's name is known to be on disk.
    pub(crate) fn lasts(&self, folder: &Path) -> bool {
        self.lock().lasting.contains(folder)
    }

    /// A folder's name is on disk.
    pub(crate) fn made_last(&self, folder: PathBuf) {
        let mut inner = self.lock();
        if inner.lasting.len() >= MAX_SHAPES {
            inner.lasting.clear();
        }
        inner.lasting.insert(folder);
    }

    /// The data files that are known to be on disk. Given back with [`Known::put_synced`].
    pub(crate) fn take_synced(&self) -> Synced {
        std::mem::take(&mut self.lock().synced)
    }

    /// Keeps what was taken.
    pub(crate) fn put_synced(&self, synced: Synced) {
        self.lock().synced = synced;
    }

    /// Whether the name of this log is known to be on disk.
    pub(crate) fn log_lasts(&self, log: LogFile) -> bool {
        self.lock().log == Some(log)
    }

    /// The name of this log is on disk.
    pub(crate) fn log_made_last(&self, log: LogFile) {
        self.lock().log = Some(log);
    }

    /// Keeps a commit that was made.
    pub(crate) fn committed(&self, commit: Commit) {
        let mut inner = self.lock();
        inner.follow_contracts(&commit);
        let follows = inner.commits.back().is_none_or(|last| last.snapshot.get() + 1 == commit.snapshot.get());
        if !follows {
            inner.commits.clear();
        }
        if inner.commits.len() >= MAX_COMMITS {
            inner.commits.pop_front();
        }
        inner.commits.push_back(commit);
    }

    /// A commit, or another change of the catalog, begins that this process makes; it ends when the answer is dropped.
    pub(crate) fn commit_begins(&self) -> Committing<'_> {
        let mut inner = self.lock();
        inner.turn += 1;
        inner.stands = None;
        Committing(self)
    }

    /// Where the lake stands, if only this process writes to it.
    pub(crate) fn standing(&self) -> Standing {
        let inner = self.lock();
        Standing { at: inner.stands, turn: inner.turn }
    }

    /// Whether no commit has begun since.
    pub(crate) fn stands_still(&self, since: Standing) -> bool {
        let turn = self.lock().turn;
        turn == since.turn && turn.is_multiple_of(2)
    }

    /// Asks where the lake stands, and keeps it unless a commit begins meanwhile.
    pub(crate) fn find_out<E>(&self, ask: impl FnOnce() -> Result<SnapshotId, E>) -> Result<SnapshotId, E> {
        let standing = self.standing();
        let head = ask()?;
        self.stood_at(standing, head);
        Ok(head)
    }

    /// Keeps where the lake stands, as was found out since.
    pub(crate) fn stood_at(&self, since: Standing, head: SnapshotId) {
        let mut inner = self.lock();
        if inner.turn == since.turn && inner.turn.is_multiple_of(2) {
            inner.stands = Some(head);
        }
    }

    /// Keeps that a snapshot was there.
    pub(crate) fn saw(&self, snapshot: SnapshotId) {
        let mut inner = self.lock();
        inner.seen = inner.seen.max(Some(snapshot));
    }

    /// The lake is at this snapshot. If another process brought it there, what was known of its tables may be wrong.
    pub(crate) fn stands_at(&self, head: SnapshotId) {
        if self.head() != Some(head) {
            self.forget_shapes();
            self.lock().contracts.clear();
            self.saw(head);
        }
    }

    /// The newest snapshot, as far as it is known: everything that was answered for is in it.
    pub(crate) fn head(&self) -> Option<SnapshotId> {
        let inner = self.lock();
        inner.seen.max(inner.commits.back().map(|commit| commit.snapshot))
    }

    /// The newest snapshot that this process made.
    pub(crate) fn last(&self) -> Option<SnapshotId> {
        self.lock().commits.back().map(|commit| commit.snapshot)
    }

    /// Commits after a snapshot, if the first of them is known. There may be newer ones.
    pub(crate) fn commits_after(&self, after: SnapshotId, limit: usize) -> Option<Vec<Commit>> {
        let inner = self.lock();
        let next = after.get() + 1;
        let from = inner.commits.iter().position(|commit| commit.snapshot.get() == next)?;
        Some(inner.commits.iter().skip(from).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn commit(number: i64) -> Commit {
        Commit { snapshot: SnapshotId::new(number).unwrap(), committed_at: DateTime::UNIX_EPOCH, writes: Vec::new() }
    }

    fn after(known: &Known, number: i64, limit: usize) -> Option<Vec<u64>> {
        let found = known.commits_after(SnapshotId::new(number).unwrap(), limit)?;
        Some(found.iter().map(|commit| commit.snapshot.get()).collect())
    }

    #[test]
    fn commits_are_handed_on_only_from_where_they_are_known() {
        let known = Known::default();
        assert_eq!(after(&known, 0, 10), None);
        [3, 4, 5].map(commit).into_iter().for_each(|commit| known.committed(commit));
        assert_eq!(after(&known, 2, 10), Some(vec![3, 4, 5]));
        assert_eq!(after(&known, 3, 1), Some(vec![4]));
        assert_eq!((after(&known, 1, 10), after(&known, 5, 10)), (None, None));
        known.committed(commit(8));
        assert_eq!((after(&known, 4, 10), after(&known, 7, 10)), (None, Some(vec![8])));
    }

    #[test]
    fn a_lake_stands_until_a_commit_begins() {
        let known = Known::default();
        let (at, next) = (SnapshotId::new(4).unwrap(), SnapshotId::new(5).unwrap());
        let before = known.standing();
        assert!(before.at.is_none() && known.stands_still(before));
        known.stood_at(before, at);
        let stands = known.standing();
        assert!(stands.at == Some(at) && known.stands_still(stands));
        let commit = known.commit_begins();
        let under_way = known.standing();
        assert!(under_way.at.is_none() && !known.stands_still(stands) && !known.stands_still(under_way));
        known.stood_at(under_way, next);
        drop(commit);
        assert!(known.standing().at.is_none() && !known.stands_still(under_way), "nobody knows how it ended");
        known.stood_at(stands, at);
        assert!(known.standing().at.is_none(), "what was found out before it says nothing now");
        known.stood_at(known.standing(), next);
        assert_eq!(known.standing().at, Some(next));
    }

    #[test]
    fn only_the_last_commits_are_kept() {
        let known = Known::default();
        (1..=100).for_each(|number| known.committed(commit(number)));
        assert_eq!(known.lock().commits.len(), MAX_COMMITS);
        assert_eq!(after(&known, 98, 10), Some(vec![99, 100]));
    }
}
