//! Many rows: written as files outside of the writer, and put in their place by the commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use gadwall_application::testing::builders::{column, defaulted, lake, required, schema, source, stream};
use gadwall_domain::ports::lake::{Committed, LoadMode, WriteError};
use gadwall_domain::rows::{RowBatch, RowSource, RowsError, StagedFile, Violations};
use gadwall_domain::schema::TableSchema;
use gadwall_ducklake::{EmbeddedLakes, LakeConfig};

use crate::place::Place;

const ROWS: i32 = 600_000;

/// A lake with the table `t (id INTEGER NOT NULL, s VARCHAR(12), n BIGINT)`.
struct Loaded {
    place: Place,
    shape: TableSchema,
}

impl Loaded {
    async fn new(key: &[&str]) -> Self {
        let columns = vec![required("id", "INTEGER"), column("s", "VARCHAR(12)"), defaulted("n", "BIGINT", "7")];
        let (place, shape) = (Place::new().await, schema(columns, key));
        place.make(&shape).await;
        Self { place, shape }
    }

    async fn load(&self, mode: LoadMode, rows: RowSource) -> Result<Committed, WriteError> {
        self.place.load(&self.shape, mode, rows).await
    }

    async fn text(&self, sql: &str) -> String {
        self.place.texts(sql).await.remove(0)
    }

    async fn size(&self) -> u64 {
        self.place.row_count().await
    }

    fn folder(&self) -> PathBuf {
        self.place.config.lakes_dir.join(lake(1).uuid().simple().to_string())
    }

    fn files(&self) -> usize {
        files_in(&self.folder().join("data"))
    }

    fn waiting(&self) -> usize {
        files_in(&self.folder().join("incoming"))
    }
}

fn files_in(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
}

fn part(from: i32, to: i32) -> RowBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(from..to));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("row {id}"))));
    RowBatch {
        rows: RecordBatch::try_from_iter([("id", ids), ("s", texts)]).unwrap(),
        violations: Violations::default(),
    }
}

fn parts(count: i32) -> Vec<RowBatch> {
    (0..count / 20_000).map(|number| part(number * 20_000, (number + 1) * 20_000)).collect()
}

const DIGEST: &str = "SELECT concat_ws(' ', count(*), sum(id), min(n), max(n), count(DISTINCT s)) FROM t";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_come_as_files_and_read_back() {
    let loaded = Loaded::new(&["id"]).await;
    assert_eq!(
        loaded.load(LoadMode::Append, source(parts(ROWS))).await.unwrap().rows.inserted,
        u64::try_from(ROWS).unwrap()
    );
    assert_eq!(loaded.text(DIGEST).await, "600000 179999700000 7 7 600000");
    assert_eq!((loaded.size().await, loaded.waiting()), (600_000, 0));
    assert_eq!(loaded.text("SELECT s FROM t WHERE id = 543210").await, "row 543210");
    // Keys hold against what is there, and within the request across its pieces.
    let again = loaded.load(LoadMode::Append, source(parts(ROWS))).await;
    assert!(matches!(again, Err(WriteError::DuplicateKeys { count: 600_000, .. })), "{again:?}");
    let files = loaded.files();
    let mut twice = parts(ROWS);
    twice.push(part(17, 18));
    let twice = loaded.load(LoadMode::Replace, source(twice)).await;
    assert!(matches!(twice, Err(WriteError::DuplicateKeys { count: 1, .. })), "{twice:?}");
    assert_eq!((loaded.size().await, loaded.files(), loaded.waiting()), (600_000, files, 0), "nothing of them stays");
    // All of them give way to others.
    let done = loaded.load(LoadMode::Replace, source(parts(200_000))).await.unwrap();
    assert_eq!((done.rows.inserted, done.rows.deleted), (200_000, 600_000));
    assert_eq!(loaded.text(DIGEST).await, "200000 19999900000 7 7 200000");
    // Files of rows that were loaded so are files like others.
    let reopened = EmbeddedLakes::open(&LakeConfig {
        staging_dir: loaded.place.config.staging_dir.join("2"),
        ..loaded.place.config.clone()
    });
    assert!(reopened.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_value_among_many_is_found_where_it_is() {
    let loaded = Loaded::new(&[]).await;
    let mut rows = parts(ROWS);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["longer than twelve", "x"]));
    let bad = || {
        let rows = RecordBatch::try_from_iter([("id", Arc::clone(&ids)), ("s", Arc::clone(&texts))]).unwrap();
        RowBatch { rows, violations: Violations::default() }
    };
    rows.insert(1, bad());
    rows.push(bad());
    let Err(WriteError::Violations(found)) = loaded.load(LoadMode::Append, source(rows)).await else { panic!() };
    let places: Vec<_> = found.first().iter().map(|one| (one.row, one.column.clone().unwrap())).collect();
    let expected = [(20_001, "s"), (20_002, "id"), (600_003, "s"), (600_004, "id")];
    assert_eq!(places, expected.map(|(row, name)| (row, name.to_owned())));
    assert_eq!((found.count(), loaded.files(), loaded.waiting()), (4, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_break_off_late_leave_no_files() {
    let loaded = Loaded::new(&[]).await;
    let mut rows: Vec<Result<RowBatch, RowsError>> = parts(ROWS).into_iter().map(Ok).collect();
    rows.push(Err(RowsError::Interrupted));
    let refused = loaded.load(LoadMode::Append, stream(rows)).await;
    assert!(matches!(refused, Err(WriteError::Rows(RowsError::Interrupted))), "{refused:?}");
    // The last piece may still be being written.
    for _ in 0..100 {
        if loaded.waiting() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((loaded.files(), loaded.waiting(), loaded.size().await), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_an_interrupted_load_are_cleared_and_others_are_not() {
    let loaded = Loaded::new(&[]).await;
    loaded.load(LoadMode::Append, source(parts(200_000))).await.unwrap();
    let (digest, files) = (loaded.text(DIGEST).await, loaded.files());
    let Loaded { place: Place { lakes, dir, config }, shape } = loaded;
    drop(lakes);
    // As a crash between staging and commit leaves it.
    let incoming = config.lakes_dir.join(lake(1).uuid().simple().to_string()).join("incoming");
    std::fs::create_dir_all(&incoming).unwrap();
    std::fs::write(incoming.join("ducklake-1.parquet"), "PAR1").unwrap();
    let lakes = EmbeddedLakes::open(&config).unwrap();
    let loaded = Loaded { place: Place { lakes, dir, config }, shape };
    assert_eq!((loaded.text(DIGEST).await, loaded.files(), loaded.waiting()), (digest, files, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_file_is_written_anew() {
    let loaded = Loaded::new(&["id"]).await;
    let path = loaded.place.config.staging_dir.join("rows.parquet");
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&format!(
            "COPY (SELECT range::BIGINT AS ID, 'row ' || range AS s FROM range(250000)) TO '{}' (FORMAT parquet)",
            path.display()
        ))
        .unwrap();
    let file = Arc::new(StagedFile::new(path.clone(), Box::new(())));
    loaded.load(LoadMode::Append, RowSource::Parquet(file)).await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(loaded.text(DIGEST).await, "250000 31249875000 7 7 250000");
    assert_eq!(loaded.text("SELECT typeof(id) FROM t LIMIT 1").await, "INTEGER");
}
