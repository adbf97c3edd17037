//! Takes steps on a lake and on the model, and compares what both answer and hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures_util::TryStreamExt as _;
use gadwall_application::testing::MemoryLake;
use gadwall_application::testing::builders::origin;
use gadwall_application::testing::lines::lines;
use gadwall_domain::commit::Change;
use gadwall_domain::history::{Expected, ReadAt, TableVersion};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{Committed, Lake, SnapshotFilter, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;

use crate::steps::{CLIENTS, Known, Step, TABLES, first_shape, name_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// Tables' shapes with their keys, as the commits tell them.
pub(crate) type Shapes = BTreeMap<TableRef, TableSchema>;

/// A lake under test and the model beside it.
pub(crate) struct Pair {
    pub(crate) real: Arc<dyn Lake>,
    pub(crate) model: Arc<dyn Lake>,
    pub(crate) lake: LakeId,
    /// The shapes in each snapshot of the model, by its number.
    pub(crate) shapes: Vec<Shapes>,
    known: Vec<BTreeMap<TableRef, Known>>,
    /// What the real lake held when each snapshot was its newest.
    seen: BTreeMap<SnapshotId, All>,
}

fn number(snapshot: u64) -> SnapshotId {
    SnapshotId::new(snapshot.cast_signed()).unwrap()
}

/// What a commit does to the tables' shapes.
fn follow(shapes: &mut Shapes, change: &Change) {
    match change {
        Change::TableCreated { table, columns, primary_key, .. }
        | Change::TableAltered { table, columns, primary_key, .. }
        | Change::TableRestored { table, columns, primary_key, .. }
        | Change::TableUndeleted { table, columns, primary_key, .. } => {
            shapes.insert(table.clone(), TableSchema::new(columns.clone(), primary_key.clone()).unwrap());
        }
        Change::TableDropped { table } => drop(shapes.remove(table)),
        Change::TableRenamed { table, to } => {
            let shape = shapes.remove(table).unwrap();
            shapes.insert(to.clone(), shape);
        }
        _ => {}
    }
}

/// An answer in a form that both lakes must agree on.
fn told(answer: &Result<Committed, WriteError>) -> String {
    match answer {
        Ok(done) => format!("{:?} in {}", done.rows, done.snapshot),
        Err(WriteError::Violations(found)) => format!("{} violations", found.count()),
        Err(WriteError::BadFilter(_)) => "bad filter".to_owned(),
        Err(WriteError::DuplicateKeys { first, count }) => {
            let mut keys: Vec<String> = first.iter().map(ToString::to_string).collect();
            keys.sort();
            format!("{count} duplicate keys: {keys:?}")
        }
        Err(error) => format!("{error:?}"),
    }
}

/// A table as both lakes must hold it.
pub(crate) type Held = (Vec<Column>, u64, Vec<String>);

/// All tables, by name, and the versions they are of.
pub(crate) type All = BTreeMap<&'static str, (Held, TableVersion)>;

/// All tables of a version.
pub(crate) async fn held(store: &Arc<dyn Lake>, lake: LakeId, at: ReadAt) -> All {
    let mut found = BTreeMap::new();
    for (index, shown) in TABLES.into_iter().enumerate() {
        let name = name_of(index);
        let Some(table) = store.table(lake, &name.bucket, &name.table, at).await.unwrap() else { continue };
        let (rows, _) = store.rows(lake, &name, Selection::default(), at, PATIENCE).await.unwrap();
        let batches: Vec<RecordBatch> = rows.batches.try_collect().await.unwrap();
        let mut rows = lines(&batches);
        rows.sort();
        found.insert(shown, ((table.columns, table.size.row_count, rows), table.version));
    }
    found
}

impl Pair {
    /// A fresh lake on both sides.
    pub(crate) async fn new(real: Arc<dyn Lake>, lake: LakeId) -> Self {
        let model: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        real.create(lake).await.unwrap();
        model.create(lake).await.unwrap();
        assert_eq!(real.head(lake).await.unwrap(), SnapshotId::ZERO);
        Self {
            real,
            model,
            lake,
            shapes: vec![Shapes::new()],
            known: vec![BTreeMap::new(); CLIENTS],
            seen: BTreeMap::new(),
        }
    }

    /// What a client goes by.
    async fn known(&mut self, step: &Step) -> Known {
        let table = name_of(step.table);
        if step.looks {
            let found = self.model.table(self.lake, &table.bucket, &table.table, ReadAt::Head).await.unwrap();
            let shape = self.shapes.last().and_then(|shapes| shapes.get(&table)).cloned();
            if let (Some(found), Some(shape)) = (found, shape) {
                let TableVersion { schema, rows } = found.version;
                let expected = Expected { schema: Some(schema), rows: Some(rows) };
                self.known[step.client].insert(table.clone(), Known { shape, expected });
            }
        }
        let known = self.known[step.client].get(&table).cloned();
        let mut known = known.unwrap_or(Known { shape: first_shape(true), expected: Expected::ANY });
        if !step.insists {
            known.expected = Expected::ANY;
        }
        known
    }

    /// The snapshot so many before the newest, and a table's shape in it.
    fn past(&self, back: u64, table: &TableRef) -> (u64, TableSchema) {
        let snapshot = (self.shapes.len() as u64 - 1).saturating_sub(back);
        let then = usize::try_from(snapshot).ok().and_then(|index| self.shapes.get(index));
        let shape = then.and_then(|shapes| shapes.get(table)).cloned();
        (snapshot, shape.unwrap_or_else(|| first_shape(true)))
    }

    /// Takes in what the model's newest commits tell.
    pub(crate) async fn learn(&mut self) {
        let last = number(self.shapes.len() as u64 - 1);
        for commit in self.model.commits_after(self.lake, last, 100).await.unwrap() {
            let mut shapes = self.shapes.last().cloned().unwrap_or_default();
            commit.writes.iter().for_each(|write| follow(&mut shapes, &write.change));
            self.shapes.push(shapes);
        }
    }

    /// One step on the model alone.
    pub(crate) async fn prepare(&mut self, step: &Step) -> Known {
        self.known(step).await
    }

    /// The write of a step, as it is known now.
    pub(crate) fn write(&self, step: &Step, known: &Known) -> gadwall_domain::ports::lake::LakeWrite {
        step.write(known, &|back, table| self.past(back, table))
    }

    /// One step on both sides: they answer the same, and hold the same afterwards.
    pub(crate) async fn step(&mut self, step: &Step) {
        let known = self.known(step).await;
        let (for_real, for_model, dry) = (self.write(step, &known), self.write(step, &known), self.write(step, &known));
        let foreseen = self.real.dry_run(self.lake, dry).await;
        let expected = self.model.write(self.lake, for_model, origin("r")).await;
        let found = self.real.write(self.lake, for_real, origin("r")).await;
        assert_eq!(told(&found), told(&expected), "the answer to {step:?}");
        match (&foreseen, &found) {
            (Ok(foreseen), Ok(done)) => assert_eq!(*foreseen, done.rows, "the dry run of {step:?}"),
            (foreseen, found) => assert_eq!(foreseen.is_err(), found.is_err(), "the dry run of {step:?}"),
        }
        self.learn().await;
        let holds = held(&self.real, self.lake, ReadAt::Head).await;
        assert_eq!(holds, held(&self.model, self.lake, ReadAt::Head).await, "after {step:?}");
        self.seen.insert(self.real.head(self.lake).await.unwrap(), holds);
    }

    /// All that both sides tell of the past is the same.
    pub(crate) async fn compare_past(&self) {
        let (real, model, lake) = (&self.real, &self.model, self.lake);
        for snapshot in 0..self.shapes.len() as u64 {
            let at = ReadAt::Snapshot(number(snapshot));
            let holds = held(real, lake, at).await;
            assert_eq!(holds, held(model, lake, at).await, "in snapshot {snapshot}");
            if let Some(seen) = self.seen.get(&number(snapshot)) {
                assert_eq!(holds, *seen, "in snapshot {snapshot}, then and now");
            }
        }
        let changes = async |store: &Arc<dyn Lake>, table: Option<usize>| {
            let filter = SnapshotFilter { before: None, table: table.map(name_of), limit: 1000 };
            let listed = store.snapshots(lake, filter).await.unwrap();
            let said = |commit: gadwall_domain::commit::Commit| {
                let changes = commit.writes.into_iter().map(|write| write.change);
                (commit.snapshot, changes.collect::<Vec<_>>())
            };
            // The empty lake may be listed.
            listed.into_iter().map(said).filter(|(snapshot, _)| *snapshot != SnapshotId::ZERO).collect::<Vec<_>>()
        };
        for table in [None, Some(0), Some(1), Some(2)] {
            assert_eq!(changes(real, table).await, changes(model, table).await, "snapshots of {table:?}");
        }
        let dropped = async |store: &Arc<dyn Lake>| {
            let listed = store.dropped(lake, None).await.unwrap();
            listed.into_iter().map(|dropped| (dropped.name, dropped.last)).collect::<Vec<_>>()
        };
        assert_eq!(dropped(real).await, dropped(model).await, "dropped tables");
    }
}
