//! Data files that no snapshot knows.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use gadwall_application::testing::builders;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{EngineFile, LakeStore as _, LakeWrite, TableReader as _};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_ducklake::EmbeddedLakes;

use crate::support;

const HOUR: Duration = Duration::from_hours(1);

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Makes a file of a time ago.
fn leave(path: &Path, age: Duration) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "left").unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    path.to_owned()
}

/// A name as data files have, made a time ago.
fn name(age: Duration, number: u128) -> String {
    let made = (SystemTime::now() - age).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let id = uuid::Uuid::from_u128((made << 80) | (7 << 76) | (2 << 62) | number);
    format!("ducklake-{id}.parquet")
}

async fn count(lakes: &EmbeddedLakes, table: &TableRef, at: ReadAt) -> usize {
    let lake = builders::lake(1);
    let mut read = lakes.rows(lake, table, Selection::default(), at, Duration::from_secs(30)).await.unwrap().0;
    let mut rows = 0;
    while let Some(batch) = read.batches.next().await {
        rows += batch.unwrap().num_rows();
    }
    rows
}

/// Fills a lake with files of all kinds: of rows, of deletions, of dropped tables, registered ones. Answers a snapshot
/// that still shows rows which were deleted.
async fn fill(lakes: &EmbeddedLakes, dir: &Path) -> SnapshotId {
    let lake = builders::lake(1);
    lakes.create(lake).await.unwrap();
    let shape = builders::schema(vec![builders::column("id", "INTEGER"), builders::column("name", "VARCHAR")], &[]);
    let write = async |write| lakes.write(lake, write, builders::origin("r")).await.unwrap().snapshot;
    let mut shown = SnapshotId::ZERO;
    for table in ["main.t", "main.dropped", "b.t"] {
        let (table, expected) = (TableRef::parse(table).unwrap(), Expected::ANY);
        if table.bucket.as_str() == "b" {
            write(LakeWrite::CreateBucket { bucket: table.bucket.clone(), description: None }).await;
        }
        write(LakeWrite::create_table(table.clone(), shape.clone())).await;
        let rows = builders::rows(["id", "name"], &[[Some("1"), Some("a")], [Some("2"), Some("b")]]);
        shown = write(LakeWrite::append(table.clone(), shape.clone(), rows)).await;
        let filter = Some(builders::equals("id", "1"));
        write(LakeWrite::Delete { table: table.clone(), schema: shape.clone(), filter, expected }).await;
    }
    let expected = Expected::ANY;
    let file = dir.join("given.parquet");
    let writer = duckdb::Connection::open_in_memory().unwrap();
    writer.execute_batch(&format!("COPY (SELECT 9::INTEGER AS id) TO '{}'", file.display())).unwrap();
    let files = vec![EngineFile { location: file.to_string_lossy().into_owned(), name: "file".to_owned() }];
    let table = TableRef::parse("main.t").unwrap();
    write(LakeWrite::RegisterFiles { table, schema: shape, files, expected }).await;
    write(LakeWrite::DropTable { table: TableRef::parse("main.dropped").unwrap(), expected }).await;
    shown
}

#[tokio::test]
async fn old_files_that_no_snapshot_knows_go_and_all_others_stay() {
    let place = tempfile::tempdir().unwrap();
    // A name that would be a pattern to the engine.
    let config = support::config(&place.path().join("a[b]*"));
    let table = TableRef::parse("b.t").unwrap();
    let shown = fill(&EmbeddedLakes::open(&config).unwrap(), place.path()).await;

    let lake = fs::read_dir(&config.lakes_dir).unwrap().next().unwrap().unwrap().path();
    let known = files(&lake.join("data"));
    assert!(known.len() >= 7, "{known:?}");
    // As old as can be: what is known stays whatever its age.
    for file in &known {
        File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - 9 * HOUR).unwrap();
    }
    let data = lake.join("data");
    let nanos = (SystemTime::now() - 3 * HOUR).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let gone = [
        leave(&data.join("b/t").join(name(2 * HOUR, 1)), 2 * HOUR),
        leave(&data.join("main/t").join(name(2 * HOUR, 2).replace(".parquet", "-delete.parquet")), 2 * HOUR),
        leave(&data.join("main/never_made").join(name(2 * HOUR, 3)), 2 * HOUR),
        leave(&data.join("main/t").join(format!("registered-{nanos}-0.parquet")), Duration::ZERO),
    ];
    let young = [
        leave(&data.join("b/t").join(name(HOUR / 2, 4)), HOUR / 2),
        // Long in the writing.
        leave(&data.join("b/t").join(name(5 * HOUR, 5)), HOUR / 2),
    ];
    let others = [
        leave(&data.join("b/t/notes.parquet"), 9 * HOUR),
        leave(&data.join("README"), 9 * HOUR),
        leave(&lake.join(name(9 * HOUR, 6)), 9 * HOUR),
        leave(&config.lakes_dir.join(name(9 * HOUR, 7)), 9 * HOUR),
    ];

    let lakes = EmbeddedLakes::open(&config).unwrap();
    assert_eq!(lakes.sweep(HOUR).await, 0, "no lake is in use yet");
    lakes.head(builders::lake(1)).await.unwrap();
    assert_eq!(lakes.sweep(HOUR).await, gone.len());
    assert!(gone.iter().all(|file| !file.exists()), "{gone:?}");
    let stay = known.iter().chain(&young).chain(&others);
    assert_eq!(stay.filter(|file| !file.exists()).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    // The young ones are looked at again, until they are gone.
    assert_eq!(lakes.sweep(Duration::ZERO).await, young.len());
    leave(&young[0], 9 * HOUR);
    assert_eq!(lakes.sweep(Duration::ZERO).await, 0, "a lake is looked through once");
    for (at, rows) in [(ReadAt::Head, 1), (ReadAt::Snapshot(shown), 2)] {
        assert_eq!(count(&lakes, &table, at).await, rows);
    }
    assert_eq!(count(&lakes, &TableRef::parse("main.t").unwrap(), ReadAt::Head).await, 2);
}
