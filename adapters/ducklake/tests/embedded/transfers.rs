//! Whole files in and out of a lake.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gadwall_application::testing::builders::{column, lake, origin, rows, schema, table};
use gadwall_domain::error::Classify as _;
use gadwall_domain::filter::{Comparison, Filter, Literal};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{EngineFile, LakeStore as _, LakeWrite};
use gadwall_domain::ports::transfer::{BulkTransfer as _, ExportSource, Exported, TransferError, Watcher};
use gadwall_domain::query::{Parameters, Query, ReadScope};
use gadwall_domain::rows::{RowSource, RowsError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;
use gadwall_domain::transfer::{CsvOptions, FileFormat, ParquetOptions};
use gadwall_ducklake::{EmbeddedLakes, EngineTransfers};
use tempfile::TempDir;

use crate::support;

const SOON: Duration = Duration::from_secs(20);

struct World {
    lakes: EmbeddedLakes,
    transfers: EngineTransfers,
    dir: TempDir,
}

fn watcher() -> Watcher {
    Arc::new(|_| {})
}

fn formats() -> [FileFormat; 4] {
    let semicolons = CsvOptions::new(Some(";"), Some("'"), None, None, Some("NULL")).unwrap();
    [
        FileFormat::Parquet(ParquetOptions::default()),
        FileFormat::Csv(CsvOptions::default()),
        FileFormat::Csv(semicolons),
        FileFormat::Ndjson,
    ]
}

/// One column of each kind of type.
fn all_kinds() -> TableSchema {
    let columns = [
        ("id", "BIGINT"),
        ("Name", "VARCHAR"),
        ("price", "DECIMAL(38,2)"),
        ("at", "TIMESTAMPTZ"),
        ("day", "DATE"),
        ("tags", "VARCHAR[]"),
        ("place", "STRUCT(x INTEGER, y VARCHAR)"),
        ("doc", "JSON"),
        ("bytes", "BLOB"),
        ("ok", "BOOLEAN"),
    ];
    schema(columns.map(|(name, data_type)| column(name, data_type)).to_vec(), &[])
}

const NAMES: [&str; 10] = ["id", "Name", "price", "at", "day", "tags", "place", "doc", "bytes", "ok"];

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = support::config(dir.path());
        fs::create_dir_all(dir.path().join("files")).unwrap();
        let lakes = EmbeddedLakes::open(&config).unwrap();
        lakes.create(lake(1)).await.unwrap();
        let transfers = EngineTransfers::new(&lakes, &config);
        Self { lakes, transfers, dir }
    }

    async fn with_rows() -> Self {
        let world = Self::new().await;
        world.create("main.t", all_kinds()).await;
        let first = [
            Some("1"),
            Some("a \"quoted\", 'name'; \n and é"),
            Some("123456789012345678901234567890123456.78"),
            Some("2024-02-29 12:34:56.123456+00"),
            Some("2024-02-29"),
            Some(r#"["x","y,z"]"#),
            Some(r#"{"x":1,"y":"two"}"#),
            Some(r#"{"a":[1,null]}"#),
            Some(r"\x00\xFFa"),
            Some("true"),
        ];
        let empty = [Some("2"), Some(""), None, None, None, None, None, None, None, None];
        world.load("main.t", all_kinds(), rows(NAMES, &[first, empty])).await;
        world
    }

    async fn create(&self, name: &str, schema: TableSchema) {
        self.lakes.write(lake(1), LakeWrite::create_table(table(name), schema), origin("r")).await.unwrap();
    }

    async fn load(&self, name: &str, schema: TableSchema, rows: RowSource) -> SnapshotId {
        let write = LakeWrite::append(table(name), schema, rows);
        self.lakes.write(lake(1), write, origin("r")).await.unwrap().snapshot
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> EngineFile {
        let path = self.dir.path().canonicalize().unwrap().join("files").join(name);
        fs::write(&path, bytes).unwrap();
        EngineFile { location: path.to_string_lossy().into_owned(), name: format!("/d/{name}") }
    }

    fn staged(&self) -> Vec<PathBuf> {
        fs::read_dir(self.dir.path().join("staging")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    async fn export(&self, source: ExportSource, format: &FileFormat) -> Result<Exported, TransferError> {
        self.transfers.export(source, format, watcher(), SOON).await
    }

    async fn read(&self, files: &[EngineFile], format: &FileFormat, schema: &TableSchema) -> Result<RowSource, String> {
        let read = self.transfers.read(lake(1), files, format, schema.columns(), watcher(), SOON).await;
        read.map(|read| RowSource::Parquet(read.file)).map_err(|error| error.to_string())
    }

    /// The table's rows as NDJSON.
    async fn text_of(&self, name: &str) -> String {
        let exported = self.export(of_table(name), &FileFormat::Ndjson).await.unwrap();
        fs::read_to_string(exported.file.path()).unwrap()
    }
}

fn of_table(name: &str) -> ExportSource {
    ExportSource::Table { lake: lake(1), table: table(name), selection: Selection::default(), at: ReadAt::Head }
}

fn of_query(sql: &str) -> ExportSource {
    let query = Query { sql: sql.to_owned(), parameters: Parameters::None, default_bucket: None, timeout: SOON };
    ExportSource::Query { scope: ReadScope::of(lake(1), ReadAt::Head), query }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_reads_back_equal_in_each_format() {
    let world = World::with_rows().await;
    let original = world.text_of("main.t").await;
    assert_eq!(original.lines().count(), 2);
    for (index, format) in formats().into_iter().enumerate() {
        let exported = world.export(of_table("main.t"), &format).await.unwrap();
        assert_eq!(exported.rows, 2);
        let bytes = fs::read(exported.file.path()).unwrap();
        assert_eq!(exported.bytes, bytes.len() as u64);
        // A name that would match others, were it a pattern.
        let file = world.file("odd [*]?'name", bytes);
        let name = format!("main.copy{index}");
        world.create(&name, all_kinds()).await;
        let read = world.read(&[file], &format, &all_kinds()).await.unwrap();
        world.load(&name, all_kinds(), read).await;
        assert_eq!(world.text_of(&name).await, original, "{format:?}");
    }
    assert_eq!(world.staged(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_table_and_an_older_version_can_be_exported() {
    let world = World::new().await;
    let schema = schema(vec![column("i", "INTEGER"), column("s", "VARCHAR")], &[]);
    world.create("main.t", schema.clone()).await;
    let older =
        world.load("main.t", schema.clone(), rows(["i", "s"], &[[Some("1"), Some("a'b")], [Some("2"), None]])).await;
    world.load("main.t", schema.clone(), rows(["i", "s"], &[[Some("3"), None]])).await;
    let ExportSource::Table { lake, table, .. } = of_table("main.t") else { panic!("a table") };
    let part = async |selection: Selection, at: ReadAt| {
        let source = ExportSource::Table { lake, table: table.clone(), selection, at };
        let exported = world.export(source, &FileFormat::Csv(CsvOptions::default())).await?;
        Ok::<_, TransferError>((fs::read_to_string(exported.file.path()).unwrap(), exported.snapshot))
    };
    let all = part(Selection::default(), ReadAt::Snapshot(older)).await.unwrap();
    assert_eq!(all, ("i,s\n1,a'b\n2,\n".to_owned(), older));
    let equal = |value: &str| Filter::Compare {
        column: ColumnName::parse("S").unwrap(),
        operator: Comparison::Eq,
        value: Literal::new(value),
    };
    let columns = Some(vec![ColumnName::parse("s").unwrap()]);
    let chosen = Selection { columns: columns.clone(), filter: Some(equal("a'b")), ..Selection::default() };
    assert_eq!(part(chosen, ReadAt::Head).await.unwrap().0, "s\na'b\n");
    let unknown = Selection { columns: Some(vec![ColumnName::parse("zz").unwrap()]), ..Selection::default() };
    assert!(matches!(part(unknown, ReadAt::Head).await, Err(TransferError::Query(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_goes_through_the_gate() {
    let world = World::with_rows().await;
    let csv = FileFormat::Csv(CsvOptions::default());
    let done = world.export(of_query("SELECT 1 AS a, 2 AS a, [1,2] AS l -- all;"), &csv).await.unwrap();
    assert_eq!(fs::read_to_string(done.file.path()).unwrap(), "a,a_1,l\n1,2,\"[1,2]\"\n");
    drop(done);
    let secret = world.file("secret.csv", "a\n1\n");
    for hostile in [
        "SELECT 1) TO '/tmp/x' (FORMAT csv); --".to_owned(),
        format!("SELECT * FROM '{}'", secret.location),
        format!("SELECT * FROM read_csv('{}')", secret.location),
        "DROP TABLE main.t".to_owned(),
        "COPY main.t TO '/tmp/x'".to_owned(),
        "SELECT * FROM no.t".to_owned(),
    ] {
        assert!(matches!(world.export(of_query(&hostile), &csv).await, Err(TransferError::Query(_))), "{hostile}");
    }
    assert_eq!(world.staged(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_nobody_waits_for_stops_and_leaves_nothing() {
    let world = World::new().await;
    let csv = FileFormat::Csv(CsvOptions::default());
    let endless = "SELECT a.range + b.range AS x FROM range(1000000) a, range(1000000) b";
    let export = world.export(of_query(endless), &csv);
    assert!(tokio::time::timeout(Duration::from_millis(700), export).await.is_err());
    let begun = Instant::now();
    while !world.staged().is_empty() {
        assert!(begun.elapsed() < SOON, "the engine goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let limited = world.transfers.export(of_query(endless), &csv, watcher(), Duration::from_millis(300)).await;
    assert!(matches!(&limited, Err(TransferError::Query(error)) if error.code() == "query_timeout"), "{limited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_matched_by_name_across_files() {
    let world = World::new().await;
    let s = schema(vec![column("a", "INTEGER"), column("B c", "VARCHAR")], &[]);
    world.create("main.t", s.clone()).await;
    let csv = FileFormat::Csv(CsvOptions::default());
    let files = [world.file("1.csv", "b C,A\nx,1\n"), world.file("2.csv", "A,b C\n2,\"\"\n3,\n")];
    let read = world.read(&files, &csv, &s).await.unwrap();
    world.load("main.t", s.clone(), read).await;
    let bare = FileFormat::Csv(CsvOptions::new(None, None, None, Some(false), None).unwrap());
    let read = world.read(&[world.file("3.csv", "4,w\n")], &bare, &s).await.unwrap();
    world.load("main.t", s.clone(), read).await;
    let lines = [r#"{"a":1,"B c":"x"}"#, r#"{"a":2,"B c":""}"#, r#"{"a":3,"B c":null}"#, r#"{"a":4,"B c":"w"}"#];
    assert_eq!(world.text_of("main.t").await, lines.join("\n") + "\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_not_what_they_should_be_are_refused_without_their_place() {
    let world = World::new().await;
    let s = schema(vec![column("a", "INTEGER"), column("b", "VARCHAR")], &[]);
    let [parquet, csv, _, ndjson] = formats();
    let long = "a,b\n1,".to_owned() + &"x".repeat(40 << 20) + "\n";
    let wide = (0..5_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",") + "\n";
    let cases: [(&FileFormat, &[u8]); 13] = [
        (&parquet, b"a,b\n1,2\n"),
        (&parquet, b""),
        (&parquet, b"PAR1PAR1"),
        (&csv, b"a,b\n1,2,3\n"),
        (&csv, b"a,b\n1,\"x\n"),
        (&csv, b"a,b\n1,\xff\xfe\n"),
        (&csv, b"a,zz\n1,2\n"),
        (&csv, b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        (&csv, long.as_bytes()),
        (&csv, wide.as_bytes()),
        (&ndjson, b"{\"a\":1}\n[1]\n"),
        (&ndjson, b"{\"a\":1}\n{\"a\":\n"),
        (&ndjson, b"{\"a\":1}\n{\"A\":2}\n"),
    ];
    for (index, (format, bytes)) in cases.into_iter().enumerate() {
        let file = world.file(&format!("bad{index}"), bytes);
        let error = world.read(&[file], format, &s).await.map(|_| ()).unwrap_err();
        assert!(!error.contains("Not implemented") && !error.contains("Binder"), "{index}: {error}");
        assert!(error.len() < 600 && !error.contains(&*world.dir.path().to_string_lossy()), "{index}: {error}");
    }
    let wide = schema(vec![column("d", "DECIMAL(38,2)")], &[]);
    let digits = world.file("digits.ndjson", "{\"d\":12345678901234567890.12}\n");
    let error = world.read(&[digits], &ndjson, &wide).await.map(|_| ()).unwrap_err();
    assert!(error.contains("15 digits"), "{error}");
    let late = world.file("late.ndjson", "{\"a\":1}\n".repeat(50_000) + "{\"a\":1,\"lost\":2}\n");
    let read = world.transfers.read(lake(1), &[late], &ndjson, s.columns(), watcher(), SOON).await;
    assert!(matches!(read, Err(TransferError::Rows(RowsError::UnknownColumn { .. }))), "{read:?}");
    let missing = EngineFile { location: "/etc/passwd".to_owned(), name: "/d/x".to_owned() };
    assert!(world.read(&[missing], &csv, &s).await.is_err());
    assert_eq!(world.staged(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_inferred_from_all_rows() {
    let world = World::new().await;
    let [parquet, csv, _, ndjson] = formats();
    let infer = async |file: EngineFile, format: &FileFormat| {
        let columns = world.transfers.infer(lake(1), &[file], format, SOON).await.unwrap();
        columns.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect::<Vec<_>>().join(", ")
    };
    let mut text = "i,f,d,t,z,code,n,ok\n".to_owned();
    for _ in 0..30_000 {
        text.push_str("1,2.5,2024-01-31,2024-01-31 10:00:00,2024-01-31T10:00:00Z,007,,true\n");
    }
    let all =
        "i BIGINT, f DOUBLE, d DATE, t TIMESTAMP, z TIMESTAMP WITH TIME ZONE, code VARCHAR, n VARCHAR, ok BOOLEAN";
    assert_eq!(infer(world.file("x.csv", &text), &csv).await, all);
    text.push_str("x,2,2024-01-31,2024-01-31 10:00:00,2024-01-31T10:00:00Z,007,,true\n");
    assert_eq!(infer(world.file("y.csv", &text), &csv).await, all.replace("i BIGINT", "i VARCHAR"));
    let document = r#"{"i":1,"l":["a"],"o":{"x":1.5}}"#;
    assert_eq!(infer(world.file("x.ndjson", document), &ndjson).await.split(", ").next(), Some("i BIGINT"));
    let exported = world.export(of_query("SELECT 1::SMALLINT AS s, 2.5::DECIMAL(10,2) AS d"), &parquet).await.unwrap();
    let file = world.file("x.parquet", fs::read(exported.file.path()).unwrap());
    assert_eq!(infer(file, &parquet).await, "s SMALLINT, d DECIMAL(10,2)");
}
