//! Many rows: written as files outside of the writer, and put in their place by the commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use futures_util::StreamExt as _;
use gadwall_application::testing::builders::{
    column, defaulted, lake, origin, required, schema, source, stream, table,
};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ports::lake::{Committed, LakeStore as _, LakeWrite, LoadMode, QueryEngine as _, WriteError};
use gadwall_domain::query::{Parameters, Query, ReadScope};
use gadwall_domain::rows::{RowBatch, RowSource, RowsError, StagedFile, Violations};
use gadwall_domain::schema::TableSchema;
use gadwall_ducklake::{EmbeddedLakes, LakeConfig};
use tempfile::TempDir;

use crate::support;

const ROWS: i32 = 600_000;

struct Place {
    lakes: EmbeddedLakes,
    config: LakeConfig,
    shape: TableSchema,
    _dir: TempDir,
}

impl Place {
    async fn new(key: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = support::config(dir.path());
        let lakes = EmbeddedLakes::open(&config).unwrap();
        lakes.create(lake(1)).await.unwrap();
        let columns = vec![required("id", "INTEGER"), column("s", "VARCHAR(12)"), defaulted("n", "BIGINT", "7")];
        let shape = schema(columns, key);
        let create = LakeWrite::create_table(table("main.t"), shape.clone());
        lakes.write(lake(1), create, origin("r")).await.unwrap();
        Self { lakes, config, shape, _dir: dir }
    }

    async fn load(&self, mode: LoadMode, rows: RowSource) -> Result<Committed, WriteError> {
        let (table, schema) = (table("main.t"), self.shape.clone());
        self.lakes
            .write(lake(1), LakeWrite::Load { table, schema, mode, rows, expected: Expected::ANY }, origin("r"))
            .await
    }

    async fn text(&self, sql: &str) -> String {
        let timeout = Duration::from_secs(30);
        let query = Query { sql: sql.to_owned(), parameters: Parameters::None, default_bucket: None, timeout };
        let scope = ReadScope::of(lake(1), ReadAt::Head);
        let mut output = self.lakes.query(scope, query).await.unwrap();
        let batch = output.rows.batches.next().await.unwrap().unwrap();
        batch.column(0).as_any().downcast_ref::<StringArray>().unwrap().value(0).to_owned()
    }

    async fn size(&self) -> u64 {
        let t = table("main.t");
        self.lakes.table(lake(1), &t.bucket, &t.table, ReadAt::Head).await.unwrap().unwrap().size.row_count
    }

    fn folder(&self) -> PathBuf {
        self.config.lakes_dir.join(lake(1).uuid().simple().to_string())
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
    let place = Place::new(&["id"]).await;
    assert_eq!(
        place.load(LoadMode::Append, source(parts(ROWS))).await.unwrap().rows.inserted,
        u64::try_from(ROWS).unwrap()
    );
    assert_eq!(place.text(DIGEST).await, "600000 179999700000 7 7 600000");
    assert_eq!((place.size().await, place.waiting()), (600_000, 0));
    assert_eq!(place.text("SELECT s FROM t WHERE id = 543210").await, "row 543210");
    // Keys hold against what is there, and within the request across its pieces.
    let again = place.load(LoadMode::Append, source(parts(ROWS))).await;
    assert!(matches!(again, Err(WriteError::DuplicateKeys { count: 600_000, .. })), "{again:?}");
    let files = place.files();
    let mut twice = parts(ROWS);
    twice.push(part(17, 18));
    let twice = place.load(LoadMode::Replace, source(twice)).await;
    assert!(matches!(twice, Err(WriteError::DuplicateKeys { count: 1, .. })), "{twice:?}");
    assert_eq!((place.size().await, place.files(), place.waiting()), (600_000, files, 0), "nothing of them stays");
    // All of them give way to others.
    let done = place.load(LoadMode::Replace, source(parts(200_000))).await.unwrap();
    assert_eq!((done.rows.inserted, done.rows.deleted), (200_000, 600_000));
    assert_eq!(place.text(DIGEST).await, "200000 19999900000 7 7 200000");
    // Files of rows that were loaded so are files like others.
    let reopened =
        EmbeddedLakes::open(&LakeConfig { staging_dir: place.config.staging_dir.join("2"), ..place.config.clone() });
    assert!(reopened.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_value_among_many_is_found_where_it_is() {
    let place = Place::new(&[]).await;
    let mut rows = parts(ROWS);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["longer than twelve", "x"]));
    let bad = || {
        let rows = RecordBatch::try_from_iter([("id", Arc::clone(&ids)), ("s", Arc::clone(&texts))]).unwrap();
        RowBatch { rows, violations: Violations::default() }
    };
    rows.insert(1, bad());
    rows.push(bad());
    let Err(WriteError::Violations(found)) = place.load(LoadMode::Append, source(rows)).await else { panic!() };
    let places: Vec<_> = found.first().iter().map(|one| (one.row, one.column.clone().unwrap())).collect();
    let expected = [(20_001, "s"), (20_002, "id"), (600_003, "s"), (600_004, "id")];
    assert_eq!(places, expected.map(|(row, name)| (row, name.to_owned())));
    assert_eq!((found.count(), place.files(), place.waiting()), (4, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_break_off_late_leave_no_files() {
    let place = Place::new(&[]).await;
    let mut rows: Vec<Result<RowBatch, RowsError>> = parts(ROWS).into_iter().map(Ok).collect();
    rows.push(Err(RowsError::Interrupted));
    let refused = place.load(LoadMode::Append, stream(rows)).await;
    assert!(matches!(refused, Err(WriteError::Rows(RowsError::Interrupted))), "{refused:?}");
    // The last piece may still be being written.
    for _ in 0..100 {
        if place.waiting() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((place.files(), place.waiting(), place.size().await), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_an_interrupted_load_are_cleared_and_others_are_not() {
    let place = Place::new(&[]).await;
    place.load(LoadMode::Append, source(parts(200_000))).await.unwrap();
    let (digest, files) = (place.text(DIGEST).await, place.files());
    let Place { lakes, config, shape, _dir: dir } = place;
    drop(lakes);
    // As a crash between staging and commit leaves it.
    let incoming = config.lakes_dir.join(lake(1).uuid().simple().to_string()).join("incoming");
    std::fs::create_dir_all(&incoming).unwrap();
    std::fs::write(incoming.join("ducklake-1.parquet"), "PAR1").unwrap();
    let lakes = EmbeddedLakes::open(&config).unwrap();
    let place = Place { lakes, config, shape, _dir: dir };
    assert_eq!((place.text(DIGEST).await, place.files(), place.waiting()), (digest, files, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_file_is_written_anew() {
    let place = Place::new(&["id"]).await;
    let path = place.config.staging_dir.join("rows.parquet");
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&format!(
            "COPY (SELECT range::BIGINT AS ID, 'row ' || range AS s FROM range(250000)) TO '{}' (FORMAT parquet)",
            path.display()
        ))
        .unwrap();
    let file = Arc::new(StagedFile::new(path.clone(), Box::new(())));
    place.load(LoadMode::Append, RowSource::Parquet(file)).await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(place.text(DIGEST).await, "250000 31249875000 7 7 250000");
    assert_eq!(place.text("SELECT typeof(id) FROM t LIMIT 1").await, "INTEGER");
}
