//! What a power loss leaves: only what was synced before the write was answered.
//!
//! The test stands in for the disk. It notes what the adapter syncs, copies just that (with the engine's own catalog,
//! whose log the engine syncs itself) to another place, and opens the lake there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use gadwall_application::testing::builders;
use gadwall_domain::alteration::Alteration;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::layout::{Layout, Partition, Transform};
use gadwall_domain::maintenance::{MaintenancePolicy, PolicyChanges};
use gadwall_domain::ports::lake::{
    EngineFile, LakeMaintenance as _, LakeStore as _, LakeWrite, Slice, TableReader as _,
};
use gadwall_domain::schema::Column;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_ducklake::{EmbeddedLakes, FileSync, LakeConfig};
use tempfile::TempDir;

use crate::support;

/// Syncs nothing, and remembers what it was asked for.
#[derive(Default)]
struct Disk(Mutex<BTreeSet<PathBuf>>);

impl FileSync for Disk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        assert!(path.exists(), "{} is synced before it is there", path.display());
        self.0.lock().unwrap().insert(path.to_owned());
        Ok(())
    }
}

impl Disk {
    /// Copies what would be there after a power loss: files that were synced, in folders that were.
    fn survivors(&self, from: &Path, to: &Path) {
        let synced = self.0.lock().unwrap().clone();
        copy(from, to, &synced);
    }
}

fn copy(from: &Path, to: &Path, synced: &BTreeSet<PathBuf>) {
    fs::create_dir_all(to).unwrap();
    if !synced.contains(from) {
        return; // The folder's entries were never written.
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let is_catalog = entry.file_name().to_string_lossy().starts_with("catalog.ducklake");
        if path.is_dir() {
            copy(&path, &target, synced);
        } else if is_catalog || synced.contains(&path) {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A lake on a disk that may lose power.
struct Scene {
    dir: TempDir,
    disk: Arc<Disk>,
    before: LakeConfig,
    lakes: EmbeddedLakes,
    lake: LakeId,
}

/// What a power loss left of it.
struct Left {
    lakes: EmbeddedLakes,
    lake: LakeId,
}

impl Scene {
    async fn new() -> Self {
        let (dir, disk, lake) = (tempfile::tempdir().unwrap(), Arc::new(Disk::default()), builders::lake(1));
        let before = support::config(&dir.path().join("before"));
        let lakes = EmbeddedLakes::open_with(&before, Arc::clone(&disk) as _).unwrap();
        lakes.create(lake).await.unwrap();
        Self { dir, disk, before, lakes, lake }
    }

    fn after_power_loss(&self) -> Left {
        let after = support::config(&self.dir.path().join("after"));
        self.disk.survivors(&self.before.lakes_dir, &after.lakes_dir);
        Left { lakes: EmbeddedLakes::open(&after).unwrap(), lake: self.lake }
    }
}

impl Left {
    /// How many rows of a table can be read.
    async fn rows(&self, table: &TableRef, at: ReadAt) -> usize {
        let limit = Duration::from_secs(30);
        let mut read = self.lakes.rows(self.lake, table, Selection::default(), at, limit).await.unwrap().0;
        let mut rows = 0;
        while let Some(batch) = read.batches.next().await {
            rows += batch.unwrap().num_rows();
        }
        rows
    }
}

#[tokio::test]
async fn every_answered_row_is_there_after_a_power_loss() {
    let scene = Scene::new().await;
    let (lake, lakes) = (scene.lake, &scene.lakes);
    let columns = vec![builders::column("id", "INTEGER"), builders::column("name", "VARCHAR")];
    let schema = builders::schema(columns, &["id"]);
    for name in ["main.one", "main.two"] {
        let table = TableRef::parse(name).unwrap();
        let create = LakeWrite::create_table(table.clone(), schema.clone());
        lakes.write(lake, create, builders::origin("r")).await.unwrap();
        for id in 0..3 {
            let rows = builders::rows(["id", "name"], &[[Some(&*id.to_string()), Some("x")]]);
            let append = LakeWrite::append(table.clone(), schema.clone(), rows);
            lakes.write(lake, append, builders::origin("r")).await.unwrap();
        }
    }

    let left = scene.after_power_loss();
    for name in ["main.one", "main.two"] {
        let rows = left.rows(&TableRef::parse(name).unwrap(), ReadAt::Head).await;
        assert_eq!(rows, 3, "{name}");
    }
}

/// Rows that were changed, deleted, built anew, restored and registered: the files of all of these last, too.
#[tokio::test]
async fn every_answered_change_is_there_after_a_power_loss() {
    let scene = Scene::new().await;
    let (lake, lakes) = (scene.lake, &scene.lakes);
    let columns = vec![builders::column("id", "INTEGER"), builders::column("name", "VARCHAR")];
    let shape = builders::schema(columns, &["id"]);
    let (table, filter) = (TableRef::parse("main.t").unwrap(), || Some(builders::equals("id", "1")));
    let file = scene.dir.path().join("file.parquet");
    let writer = duckdb::Connection::open_in_memory().unwrap();
    writer.execute_batch(&format!("COPY (SELECT 9::INTEGER AS id) TO '{}'", file.display())).unwrap();
    let expected = Expected::ANY;
    let write = async |write| lakes.write(lake, write, builders::origin("r")).await.unwrap().snapshot;
    write(LakeWrite::create_table(table.clone(), shape.clone())).await;
    let rows =
        builders::rows(["id", "name"], &[[Some("1"), Some("a")], [Some("2"), Some("b")], [Some("3"), Some("c")]]);
    let from = write(LakeWrite::append(table.clone(), shape.clone(), rows)).await;
    let schema = || shape.clone();
    write(LakeWrite::Delete { table: table.clone(), schema: schema(), filter: filter(), expected }).await;
    write(LakeWrite::Restore { table: table.clone(), from, schema: schema(), expected }).await;
    let set = vec![builders::assign("name", Some("z"))];
    write(LakeWrite::Update { table: table.clone(), schema: schema(), filter: filter(), set, expected }).await;
    let file = EngineFile { location: file.to_string_lossy().into_owned(), name: "file".to_owned() };
    write(LakeWrite::RegisterFiles { table: table.clone(), schema: schema(), files: vec![file], expected }).await;
    let must = Column { nullable: false, ..builders::defaulted("must", "INTEGER", "5") };
    let alteration = Alteration::AddColumn { column: must };
    let wider = alteration.apply(&shape).unwrap();
    write(LakeWrite::Alter { table: table.clone(), schema: schema(), alteration, expected }).await;
    let filter = Some(builders::equals("id", "2"));
    write(LakeWrite::Delete { table: table.clone(), schema: wider, filter, expected }).await;

    let left = scene.after_power_loss();
    for (at, expected) in [(ReadAt::Head, 3), (ReadAt::Snapshot(from), 3)] {
        assert_eq!(left.rows(&table, at).await, expected, "{at:?}");
    }
}

/// Files that maintenance wrote last before those go whose rows they have.
#[tokio::test]
async fn every_compacted_row_is_there_after_a_power_loss() {
    let scene = Scene::new().await;
    let (lake, lakes) = (scene.lake, &scene.lakes);
    let columns = vec![builders::column("id", "INTEGER"), builders::column("part", "VARCHAR")];
    let schema = builders::schema(columns, &["id"]);
    let changes = PolicyChanges { min_small_files: Some(2), delete_ratio: Some(0.1), ..PolicyChanges::default() };
    let policy = MaintenancePolicy::default().with(&changes).unwrap();
    let write = async |write| lakes.write(lake, write, builders::origin("r")).await.unwrap().snapshot;
    let maintain = async |slice| lakes.maintain(lake, slice, builders::origin("r")).await.unwrap();
    let tables = ["main.plain", "main.parted"].map(|name| TableRef::parse(name).unwrap());
    let by_part = Partition { column: builders::column_name("part"), transform: Transform::Identity };
    let parted = Layout { partition_by: vec![by_part], ..Layout::default() };
    for (table, layout) in tables.iter().zip([Layout::default(), parted]) {
        write(LakeWrite::CreateTable { table: table.clone(), schema: schema.clone(), layout }).await;
        for id in 0..6 {
            let ids = [(id * 3).to_string(), (id * 3 + 1).to_string(), (id * 3 + 2).to_string()];
            let rows = ids.each_ref().map(|id| [Some(id.as_str()), Some(if id.ends_with('1') { "a" } else { "b" })]);
            write(LakeWrite::append(table.clone(), schema.clone(), builders::rows(["id", "part"], &rows))).await;
        }
        let filter = Some(builders::equals("id", "2"));
        let expected = Expected::ANY;
        write(LakeWrite::Delete { table: table.clone(), schema: schema.clone(), filter, expected }).await;
        assert!(maintain(Slice::Rewrite { table: table.clone(), policy }).await.snapshot.is_some());
        while maintain(Slice::Merge { table: table.clone(), policy }).await.snapshot.is_some() {}
    }
    let head = lakes.head(lake).await.unwrap().get();
    let old = (0..head).map(|number| SnapshotId::new(number.cast_signed()).unwrap()).collect();
    assert_eq!(maintain(Slice::Expire(old)).await.expired, head);
    assert!(maintain(Slice::DeleteUnused(Duration::ZERO)).await.removed.files > 10);

    let left = scene.after_power_loss();
    for table in &tables {
        assert_eq!(left.rows(table, ReadAt::Head).await, 17, "{table}");
    }
}
