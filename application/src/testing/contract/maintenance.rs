//! What a lake promises of its maintenance: all that is kept reads as before.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt as _;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::maintenance::{MaintenancePolicy, PolicyChanges};
use gadwall_domain::ports::lake::{
    FileFloors, Lake, LakeMaintenance, LakeWrite, LoadMode, Purge, Slice, SliceReport, SnapshotFilter, StoredTable,
    TableCondition, WriteError,
};
use gadwall_domain::query::QueryError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;

use crate::testing::builders::{column, equals, lake, origin, rows, schema, table};
use crate::testing::lines::lines;

/// A lake that can be maintained.
pub trait MaintainedLake: Lake + LakeMaintenance {}

impl<T: Lake + LakeMaintenance> MaintainedLake for T {}

/// Tests that an adapter keeps every promise of `LakeMaintenance`. The expression answers
/// `(Arc<dyn MaintainedLake>, guard)`: a fresh store, without lakes, for each test.
#[macro_export]
macro_rules! maintenance_contract {
    ($fresh:expr) => {
        $crate::maintenance_contract!(contract_tests, $fresh);
    };
    ($way:ident, $fresh:expr) => {
        $crate::$way! {
            $crate::testing::contract::maintenance, $fresh, [
                merged_files_change_nothing_that_is_told,
                files_without_their_deleted_rows_show_the_same_rows,
                only_what_is_worth_it_is_written_anew,
                an_expired_snapshot_is_gone_and_the_others_stay,
                the_newest_snapshot_never_ends,
                a_tables_version_never_goes_back,
                purged_rows_are_in_no_merged_file,
                keys_hold_after_files_were_merged,
                a_table_that_is_not_there_is_told,
            ]
        }
    };
}

const LAKE: u128 = 1;
const PATIENCE: Duration = Duration::from_secs(30);
const NO_FLOORS: FileFloors = FileFloors { unused: Duration::ZERO, unknown: Duration::from_hours(24) };

type Store = Arc<dyn MaintainedLake>;

/// Two files are worth being merged, and few deleted rows worth a new file.
fn eager() -> MaintenancePolicy {
    let changes = PolicyChanges { min_small_files: Some(2), delete_ratio: Some(0.01), ..PolicyChanges::default() };
    MaintenancePolicy::default().with(&changes).unwrap()
}

fn shape() -> TableSchema {
    schema(vec![column("id", "INTEGER"), column("name", "VARCHAR")], &["id"])
}

async fn write(store: &Store, write: LakeWrite) -> SnapshotId {
    store.write(lake(LAKE), write, origin("r1")).await.unwrap().snapshot
}

fn append(id: u32) -> LakeWrite {
    let id = id.to_string();
    LakeWrite::append(table("t"), shape(), rows(["id", "name"], &[[Some(id.as_str()), Some("x")]]))
}

/// A table to which so many rows were appended one by one.
async fn filled(store: &Store, count: u32) -> Vec<SnapshotId> {
    store.create(lake(LAKE)).await.unwrap();
    write(store, LakeWrite::create_table(table("t"), shape())).await;
    let mut made = Vec::new();
    for id in 0..count {
        made.push(write(store, append(id)).await);
    }
    made
}

fn delete(id: &str) -> LakeWrite {
    LakeWrite::Delete { table: table("t"), schema: shape(), filter: Some(equals("id", id)), expected: Expected::ANY }
}

async fn maintain(store: &Store, slice: Slice) -> SliceReport {
    store.maintain(lake(LAKE), slice, origin("r1")).await.unwrap()
}

/// Repeats a slice until there is nothing more to do.
async fn all(store: &Store, slice: Slice) -> u64 {
    for round in 0..20 {
        let report = maintain(store, slice.clone()).await;
        if report.snapshot.is_none() {
            return round;
        }
    }
    panic!("{slice:?} never ends");
}

async fn merge(store: &Store) {
    all(store, Slice::Merge { table: table("t"), policy: eager() }).await;
}

async fn rewrite(store: &Store) {
    all(store, Slice::Rewrite { table: table("t"), policy: eager() }).await;
}

async fn condition(store: &Store) -> TableCondition {
    store.condition(lake(LAKE), eager(), NO_FLOORS).await.unwrap().tables.remove(0)
}

async fn stored(store: &Store) -> StoredTable {
    let name = table("t");
    store.table(lake(LAKE), &name.bucket, &name.table, ReadAt::Head).await.unwrap().unwrap()
}

async fn rows_at(store: &Store, at: ReadAt) -> Result<Vec<String>, QueryError> {
    let (rows, _) = store.rows(lake(LAKE), &table("t"), Selection::default(), at, PATIENCE).await?;
    let batches: Vec<RecordBatch> = rows.batches.try_collect().await?;
    let mut lines = lines(&batches);
    lines.sort();
    Ok(lines)
}

async fn changes(store: &Store, from: SnapshotId, to: SnapshotId) -> Result<Vec<String>, QueryError> {
    let rows = store.changes(lake(LAKE), &table("t"), from, to, None, PATIENCE).await?;
    let batches: Vec<RecordBatch> = rows.batches.try_collect().await?;
    Ok(lines(&batches))
}

async fn snapshots(store: &Store) -> Vec<SnapshotId> {
    let filter = SnapshotFilter { before: None, table: Some(table("t")), limit: 1_000 };
    let found = store.snapshots(lake(LAKE), filter).await.unwrap();
    let told = found
        .into_iter()
        .filter(|commit| !commit.writes.iter().any(|write| write.change.event_type() == "maintenance.files_compacted"));
    told.map(|commit| commit.snapshot).collect()
}

/// Rows, versions, changes and history are as they were; only the files are fewer.
pub async fn merged_files_change_nothing_that_is_told(store: Store) {
    let made = filled(&store, 25).await;
    let last = *made.last().unwrap();
    let mut then = Vec::new();
    for at in &made {
        then.push(rows_at(&store, ReadAt::Snapshot(*at)).await.unwrap());
    }
    let told = (stored(&store).await, snapshots(&store).await, changes(&store, made[0], last).await.unwrap());
    let before = condition(&store).await;
    merge(&store).await;
    let after = condition(&store).await;
    assert!(before.files == 0 || (after.files == 1 && after.bytes < before.bytes), "{before:?} {after:?}");
    assert_eq!((before.rows, after.mergeable_files), (after.rows, 0));
    let mut now = stored(&store).await;
    assert_eq!(now.version, told.0.version);
    now.size = told.0.size;
    assert_eq!(now, told.0);
    assert_eq!(snapshots(&store).await, told.1);
    assert_eq!(changes(&store, made[0], last).await.unwrap(), told.2);
    for (at, then) in made.iter().zip(then) {
        assert_eq!(rows_at(&store, ReadAt::Snapshot(*at)).await.unwrap(), then, "snapshot {at}");
    }
}

/// What is deleted is gone from the newest files; all versions and changes are as they were.
pub async fn files_without_their_deleted_rows_show_the_same_rows(store: Store) {
    let made = filled(&store, 1).await;
    let ids: Vec<String> = (10..60).map(|id| id.to_string()).collect();
    let many: Vec<[Option<&str>; 2]> = ids.iter().map(|id| [Some(id.as_str()), Some("y")]).collect();
    let full = write(&store, LakeWrite::append(table("t"), shape(), rows(["id", "name"], &many))).await;
    for id in ["12", "13", "44"] {
        write(&store, delete(id)).await;
    }
    let head = store.head(lake(LAKE)).await.unwrap();
    let told = (
        rows_at(&store, ReadAt::Head).await.unwrap(),
        rows_at(&store, ReadAt::Snapshot(full)).await.unwrap(),
        changes(&store, made[0], head).await.unwrap(),
    );
    rewrite(&store).await;
    let after = condition(&store).await;
    assert_eq!((after.deleted_rows, after.rewritable_files), (0, 0));
    merge(&store).await;
    let newest = store.head(lake(LAKE)).await.unwrap();
    assert_eq!(rows_at(&store, ReadAt::Head).await.unwrap(), told.0);
    assert_eq!(rows_at(&store, ReadAt::Snapshot(full)).await.unwrap(), told.1);
    assert_eq!(changes(&store, made[0], newest).await.unwrap(), told.2, "no row changed");
}

/// Few files, and files with few deleted rows, are left as they are.
pub async fn only_what_is_worth_it_is_written_anew(store: Store) {
    filled(&store, 3).await;
    let calm = MaintenancePolicy::default();
    let head = store.head(lake(LAKE)).await.unwrap();
    for slice in [Slice::Merge { table: table("t"), policy: calm }, Slice::Rewrite { table: table("t"), policy: calm }]
    {
        assert_eq!(maintain(&store, slice).await, SliceReport::default());
    }
    assert_eq!(store.head(lake(LAKE)).await.unwrap(), head);
    let told = store.condition(lake(LAKE), calm, NO_FLOORS).await.unwrap();
    assert_eq!((told.tables[0].mergeable_files, told.tables[0].rewritable_files), (0, 0));
}

/// Nobody reads it any more, by number, by time or through changes; the others read as before, also once the files are gone.
pub async fn an_expired_snapshot_is_gone_and_the_others_stay(store: Store) {
    let made = filled(&store, 8).await;
    write(&store, delete("3")).await;
    merge(&store).await;
    rewrite(&store).await;
    let head = store.head(lake(LAKE)).await.unwrap();
    let tagged = made[4];
    let (then, now) =
        (rows_at(&store, ReadAt::Snapshot(tagged)).await.unwrap(), rows_at(&store, ReadAt::Head).await.unwrap());
    let gone: Vec<SnapshotId> = store
        .condition(lake(LAKE), eager(), NO_FLOORS)
        .await
        .unwrap()
        .snapshots
        .into_iter()
        .map(|kept| kept.id)
        .filter(|id| *id != tagged && *id < head)
        .collect();
    assert!(rows_at(&store, ReadAt::Snapshot(made[2])).await.is_ok());
    let report = maintain(&store, Slice::Expire(gone.clone())).await;
    let missing = rows_at(&store, ReadAt::Snapshot(made[2])).await;
    assert!(matches!(missing, Err(QueryError::NoSnapshot(_))), "at once: {missing:?}");
    assert_eq!((report.expired, report.snapshot), (gone.len() as u64, None));
    assert_eq!(maintain(&store, Slice::Expire(gone)).await.expired, 0, "again is fine");
    while maintain(&store, Slice::DeleteUnused(Duration::ZERO)).await.more {}
    let told = store.condition(lake(LAKE), eager(), NO_FLOORS).await.unwrap();
    assert_eq!(told.snapshots.iter().map(|kept| kept.id).collect::<Vec<_>>(), [tagged, head]);
    assert_eq!((told.waiting.files, told.deletable.files), (0, 0));
    assert_eq!(rows_at(&store, ReadAt::Snapshot(tagged)).await.unwrap(), then);
    assert_eq!(rows_at(&store, ReadAt::Head).await.unwrap(), now);
    let missing = rows_at(&store, ReadAt::Snapshot(made[2])).await;
    assert!(matches!(missing, Err(QueryError::NoSnapshot(_))), "{missing:?}");
    let missing = changes(&store, tagged, head).await;
    assert!(matches!(missing, Err(QueryError::NoSnapshot(_))), "a gap hides changes: {missing:?}");
    assert!(store.snapshot(lake(LAKE), made[2]).await.unwrap().is_none());
    // It goes on.
    write(&store, append(100)).await;
    assert_eq!(rows_at(&store, ReadAt::Head).await.unwrap().len(), now.len() + 1);
}

/// Whatever is asked.
pub async fn the_newest_snapshot_never_ends(store: Store) {
    filled(&store, 2).await;
    let head = store.head(lake(LAKE)).await.unwrap();
    assert_eq!(maintain(&store, Slice::Expire(vec![head])).await.expired, 0);
    assert_eq!(rows_at(&store, ReadAt::Head).await.unwrap().len(), 2);
}

/// A version is of the same rows for ever: whoever knows an old one must not take it for the newest.
pub async fn a_tables_version_never_goes_back(store: Store) {
    let made = filled(&store, 3).await;
    write(&store, delete("0")).await;
    write(&store, delete("1")).await;
    let version = stored(&store).await.version;
    write(&store, LakeWrite::create_table(table("other"), shape())).await;
    maintain(&store, Slice::Expire(made)).await;
    let head = store.head(lake(LAKE)).await.unwrap().get();
    let gone = (0..head).map(|number| SnapshotId::new(number.cast_signed()).unwrap()).collect();
    maintain(&store, Slice::Expire(gone)).await;
    while maintain(&store, Slice::DeleteUnused(Duration::ZERO)).await.more {}
    assert_eq!(stored(&store).await.version, version);
    // And again, when there is less yet to tell.
    let load = LakeWrite::Load {
        table: table("t"),
        schema: shape(),
        mode: LoadMode::Append,
        rows: rows(["id", "name"], &[[Some("9"), None]]),
        expected: Expected::ANY,
    };
    let newer = write(&store, load).await;
    assert_eq!(stored(&store).await.version.rows, newer);
    let emptied = write(&store, delete("9")).await;
    write(&store, LakeWrite::drop_table(table("other"))).await;
    let head = store.head(lake(LAKE)).await.unwrap().get();
    let gone = (0..head).map(|number| SnapshotId::new(number.cast_signed()).unwrap()).collect();
    maintain(&store, Slice::Expire(gone)).await;
    assert_eq!(stored(&store).await.version.rows, emptied);
}

/// Also where a file has rows of many versions.
pub async fn purged_rows_are_in_no_merged_file(store: Store) {
    let made = filled(&store, 6).await;
    merge(&store).await;
    let purge = Purge { table: table("t"), schema: shape(), filter: Some(equals("id", "3")) };
    let report = store.purge(lake(LAKE), purge, Vec::new(), origin("r1")).await.unwrap();
    assert_eq!(report.rows, 1);
    for at in &made {
        // Those before it are gone where they read the file that held it.
        match rows_at(&store, ReadAt::Snapshot(*at)).await {
            Ok(rows) => assert!(*at < made[3] && rows.iter().all(|row| !row.starts_with('3')), "{at} {rows:?}"),
            Err(error) => assert!(matches!(error, QueryError::NoSnapshot(_)) && report.expired.contains(at), "{error}"),
        }
    }
    assert_eq!(rows_at(&store, ReadAt::Head).await.unwrap().len(), 5);
}

/// A key that is in a merged file is taken.
pub async fn keys_hold_after_files_were_merged(store: Store) {
    filled(&store, 5).await;
    merge(&store).await;
    let again = store.write(lake(LAKE), append(3), origin("r1")).await;
    assert!(matches!(again, Err(WriteError::DuplicateKeys { .. })), "{again:?}");
}

/// It may have been dropped since it was looked at.
pub async fn a_table_that_is_not_there_is_told(store: Store) {
    filled(&store, 0).await;
    for slice in
        [Slice::Merge { table: table("u"), policy: eager() }, Slice::Rewrite { table: table("u"), policy: eager() }]
    {
        let done = store.maintain(lake(LAKE), slice, origin("r1")).await;
        assert!(matches!(done, Err(WriteError::NoTable)), "{done:?}");
    }
}
