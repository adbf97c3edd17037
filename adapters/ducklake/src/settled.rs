//! What was settled for one version of a lake, so that it isn't asked again: a version never changes.
//!
//! A statement of five tables would ask the catalog five times what their names mean, which takes longer than many a
//! statement itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::StoredTable;
use gadwall_domain::query::{Query, ReadScope};
use gadwall_domain::table::TableRef;

use crate::query::Statement;

/// Names that are kept; with more in use at once, some are asked for again.
const MAX_NAMES: usize = 1024;
/// Bytes of statements that are kept, as they were sent and as they run.
const MAX_BYTES: usize = 1 << 20;
/// Columns of tables that are kept.
const MAX_COLUMNS: usize = 20_000;
/// As many columns a table counts as at least, so that no more tables are kept than names.
const LEAST_COLUMNS: usize = MAX_COLUMNS.div_ceil(MAX_NAMES);
/// The largest statement that is kept.
const MAX_STATEMENT: usize = 32 << 10;

/// What was settled for the newest version that was asked about.
#[derive(Default)]
pub(crate) struct Settled(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    of: Option<SnapshotId>,
    /// Tables by the names they are called by. Views are none of them: who reads one needs to know more than its name.
    names: Bounded<TableRef, (String, String), MAX_NAMES>,
    /// By their bytes.
    statements: Bounded<Wanted, Arc<Kept>, MAX_BYTES>,
    /// By their columns.
    tables: Bounded<TableRef, StoredTable, MAX_COLUMNS>,
}

/// What is kept until it weighs too much: then all of it makes room.
struct Bounded<K, V, const MOST: usize> {
    all: HashMap<K, V>,
    weight: usize,
}

impl<K, V, const MOST: usize> Default for Bounded<K, V, MOST> {
    fn default() -> Self {
        Self { all: HashMap::new(), weight: 0 }
    }
}

impl<K: Eq + Hash, V: Clone, const MOST: usize> Bounded<K, V, MOST> {
    fn get(&self, key: &K) -> Option<V> {
        self.all.get(key).cloned()
    }

    /// Keeps something, unless it alone weighs too much.
    fn keep(&mut self, key: K, value: V, weight: usize) {
        if weight > MOST {
            return;
        }
        if self.weight + weight > MOST {
            *self = Self::default();
        }
        if self.all.insert(key, value).is_none() {
            self.weight += weight;
        }
    }
}

/// All that a statement's check depends on, besides the version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    sql: String,
    default_bucket: Option<BucketName>,
    only_bucket: Option<BucketName>,
    /// Tables of a version that was asked for are written another way.
    at: Option<SnapshotId>,
}

impl Wanted {
    /// None where it depends on more: on files or other projects.
    fn of(scope: &ReadScope, query: &Query) -> Option<Self> {
        let at = match scope.at {
            ReadAt::Head => None,
            ReadAt::Snapshot(snapshot) => Some(snapshot),
        };
        (scope.is_of_lake_alone() && query.sql.len() <= MAX_STATEMENT).then(|| Self {
            sql: query.sql.clone(),
            default_bucket: query.default_bucket.clone(),
            only_bucket: scope.only_bucket.clone(),
            at,
        })
    }
}

/// A statement that was checked.
pub(crate) struct Kept {
    /// Without values to bind.
    pub(crate) statement: Statement,
    /// The parameters it names.
    pub(crate) parameters: Vec<String>,
}

/// What was settled for one version.
#[derive(Clone, Copy)]
pub(crate) struct Version<'a> {
    settled: &'a Settled,
    /// Which one.
    pub(crate) of: SnapshotId,
}

impl Settled {
    pub(crate) fn version(&self, of: SnapshotId) -> Version<'_> {
        Version { settled: self, of }
    }
}

impl Version<'_> {
    /// What is kept, if it is of this version; an older one's makes room.
    fn lock(&self) -> Option<MutexGuard<'_, Inner>> {
        let mut inner = self.settled.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.of < Some(self.of) {
            *inner = Inner { of: Some(self.of), ..Inner::default() };
        }
        (inner.of == Some(self.of)).then_some(inner)
    }

    /// A table's bucket and name as they are stored, if they are known.
    pub(crate) fn name(&self, name: &TableRef) -> Option<(String, String)> {
        self.lock()?.names.get(name)
    }

    /// Keeps what a table's name means.
    pub(crate) fn keep_name(&self, name: &TableRef, stored: &(String, String)) {
        if let Some(mut inner) = self.lock() {
            inner.names.keep(name.clone(), stored.clone(), 1);
        }
    }

    /// Another version of the same lake.
    pub(crate) fn other(&self, of: SnapshotId) -> Self {
        Self { of, ..*self }
    }

    /// A table as it is stored, if it was read before.
    pub(crate) fn table(&self, name: &TableRef) -> Option<StoredTable> {
        self.lock()?.tables.get(name)
    }

    /// Keeps a table as it is stored.
    pub(crate) fn keep_table(&self, table: &StoredTable) {
        if let Some(mut inner) = self.lock() {
            inner.tables.keep(table.name.clone(), table.clone(), table.columns.len().max(LEAST_COLUMNS));
        }
    }

    /// A statement, if it was checked before.
    pub(crate) fn statement(&self, scope: &ReadScope, query: &Query) -> Option<Arc<Kept>> {
        let wanted = Wanted::of(scope, query)?;
        self.lock()?.statements.get(&wanted)
    }

    /// Keeps a statement that was checked.
    pub(crate) fn keep_statement(&self, scope: &ReadScope, query: &Query, kept: impl FnOnce() -> Kept) {
        let Some(wanted) = Wanted::of(scope, query) else { return };
        let kept = kept();
        let bytes = wanted.sql.len() + kept.statement.text.len();
        if kept.statement.text.len() > MAX_STATEMENT {
            return;
        }
        if let Some(mut inner) = self.lock() {
            inner.statements.keep(wanted, Arc::new(kept), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use gadwall_application::testing::builders::column;
    use gadwall_domain::history::TableVersion;
    use gadwall_domain::layout::Layout;
    use gadwall_domain::table::{Comments, TableSize};

    use super::*;

    fn name(text: &str) -> TableRef {
        TableRef::parse(text).unwrap()
    }

    fn stored(text: &str, columns: usize) -> StoredTable {
        StoredTable {
            name: name(text),
            columns: (0..columns).map(|number| column(&format!("c{number}"), "INTEGER")).collect(),
            size: TableSize::default(),
            layout: Layout::default(),
            comments: Comments::default(),
            version: TableVersion::default(),
        }
    }

    #[test]
    fn tables_are_kept_for_the_newest_version_and_in_bounds() {
        let settled = Settled::default();
        let at = |number| settled.version(SnapshotId::new(number).unwrap());
        at(2).keep_table(&stored("main.t", 3));
        assert_eq!(at(2).table(&name("main.T")), Some(stored("main.t", 3)));
        assert_eq!(at(1).table(&name("main.t")), None);
        at(1).keep_table(&stored("main.t", 1));
        assert_eq!(at(2).table(&name("main.t")), Some(stored("main.t", 3)), "an older one takes no place");
        at(2).keep_table(&stored("main.wide", MAX_COLUMNS - 1));
        assert_eq!(at(2).table(&name("main.t")), None, "it made room");
        at(2).keep_table(&stored("main.wider", MAX_COLUMNS + 1));
        assert_eq!(at(2).table(&name("main.wider")), None);
        assert_eq!(at(3).table(&name("main.wide")), None);
    }

    #[test]
    fn a_version_knows_its_own_names_alone() {
        let settled = Settled::default();
        let at = |number| settled.version(SnapshotId::new(number).unwrap());
        let stored = ("main".to_owned(), "T".to_owned());
        at(2).keep_name(&name("t"), &stored);
        assert_eq!(at(2).name(&name("T")), Some(stored.clone()), "names are one in any case");
        assert_eq!(at(1).name(&name("t")), None, "an older version keeps nothing");
        at(1).keep_name(&name("t"), &stored);
        assert_eq!((at(1).name(&name("t")), at(2).name(&name("t"))), (None, Some(stored)));
        assert_eq!(at(3).name(&name("t")), None);
        assert_eq!(at(2).name(&name("t")), None, "a newer one takes its place");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let settled = Settled::default();
        let version = settled.version(SnapshotId::ZERO);
        for number in 0..3 * MAX_NAMES {
            version.keep_name(&name(&format!("t{number}")), &("main".to_owned(), "t".to_owned()));
        }
        assert!(settled.0.lock().unwrap().names.all.len() <= MAX_NAMES);
    }
}
