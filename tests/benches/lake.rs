//! What the lake's ports cost on top of DuckLake itself, in process: no HTTP, no JSON.
//!
//! The same three kinds of work as in the load test, once through `gadwall-ducklake` (gate, writer, durability) and
//! once as plain SQL on a DuckLake in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use futures_util::{StreamExt, stream};
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, RequestId};
use gadwall_domain::names::{BucketName, ColumnName};
use gadwall_domain::ports::lake::{LakeStore, LakeWrite, QueryEngine, TableReader};
use gadwall_domain::query::{Parameters, Query, ReadScope};
use gadwall_domain::rows::{RowBatch, RowSource, RowStream, StagedFile, Violations};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use gadwall_ducklake::{EmbeddedLakes, LakeConfig, find_extension_dir};
use gadwall_tests::load::local::{Local, once, statement_of};
use gadwall_tests::load::{ROWS, Work, parameter, write_rows};
use tokio::runtime::Runtime;
use uuid::Uuid;

const MEMORY: u64 = 1 << 30;
const PATIENCE: Duration = Duration::from_secs(30);

/// The ports, with the tables of the load test.
struct Ports {
    lakes: EmbeddedLakes,
    lake: LakeId,
    schema: TableSchema,
}

impl Ports {
    async fn open(folder: &Path, rows: &Path) -> Result<Self> {
        let config = LakeConfig {
            data: gadwall_ducklake::DataPlace::Local,
            lakes_dir: folder.join("lakes"),
            files_dir: None,
            staging_dir: folder.join("staging"),
            spill_dir: folder.join("spill"),
            extension_dir: find_extension_dir(None)?,
            memory_limit: MEMORY,
            spill_limit: MEMORY,
            threads: 2,
            max_queries: 4,
            max_waiting: 16,
            queue_timeout: PATIENCE,
            max_attached: 4,
            writer_queue: 16,
            inlining_row_limit: 0,
            encrypted: false,
            profiling: true,
        };
        let column = |name, data_type| -> Result<Column> {
            let (name, data_type) = (ColumnName::parse(name)?, DataType::parse(data_type)?);
            Ok(Column::new(name, data_type))
        };
        let columns = [("id", "BIGINT"), ("at", "TIMESTAMP"), ("place", "VARCHAR"), ("x", "DOUBLE")];
        let columns = columns.map(|(name, data_type)| column(name, data_type));
        let schema = TableSchema::new(columns.into_iter().collect::<Result<_>>()?, Vec::new())?;
        let ports = Self { lakes: EmbeddedLakes::open(&config)?, lake: LakeId::new(Uuid::from_u128(7)), schema };
        ports.lakes.create(ports.lake).await?;
        ports.write(LakeWrite::CreateBucket { bucket: BucketName::parse("bench")?, description: None }).await?;
        for name in ["bench.points", "bench.arrivals"] {
            let (table, schema) = (TableRef::parse(name)?, ports.schema.clone());
            ports.write(LakeWrite::create_table(table, schema)).await?;
        }
        // The sandbox lets the engine read uploads from here alone.
        let staged = config.staging_dir.join("points.parquet");
        std::fs::copy(rows, &staged)?;
        let file = StagedFile::new(staged, Box::new(()));
        ports.append("bench.points", RowSource::Parquet(Arc::new(file))).await?;
        Ok(ports)
    }

    async fn write(&self, write: LakeWrite) -> Result<()> {
        let origin = WriteOrigin {
            address: None,
            key_id: None,
            request_id: RequestId::parse("bench").context("a request id")?,
            traceparent: None,
            run_id: None,
            idempotency_key: None,
            fingerprint: None,
            began_at: None,
            files: Vec::new(),
        };
        self.lakes.write(self.lake, write, origin).await?;
        Ok(())
    }

    async fn append(&self, table: &str, rows: RowSource) -> Result<()> {
        self.write(LakeWrite::append(TableRef::parse(table)?, self.schema.clone(), rows)).await
    }

    async fn once(&self, work: Work, number: u64) -> Result<usize> {
        match work {
            Work::Preview => {
                let table = TableRef::parse("bench.points")?;
                let selection = Selection { limit: Some(100), ..Selection::default() };
                let limit = Duration::from_secs(30);
                drained(self.lakes.rows(self.lake, &table, selection, ReadAt::Head, limit).await?.0).await
            }
            Work::Query | Work::Cached => {
                let query = Query {
                    sql: "SELECT count(*), max(x) FROM bench.points WHERE id >= ?".to_owned(),
                    parameters: Parameters::Positional(vec![number.into()]),
                    default_bucket: None,
                    timeout: PATIENCE,
                };
                drained(self.lakes.query(ReadScope::of(self.lake, ReadAt::Head), query).await?.rows).await
            }
            Work::Append => {
                let text = |text| Arc::new(StringArray::from(vec![text])) as ArrayRef;
                let rows = RecordBatch::try_from_iter([
                    ("id", Arc::new(Int64Array::from(vec![i64::try_from(number)?])) as ArrayRef),
                    ("at", text("2024-01-01T00:00:00")),
                    ("place", text("here")),
                    ("x", Arc::new(Float64Array::from(vec![0.5])) as ArrayRef),
                ])?;
                let batch = RowBatch { rows, violations: Violations::default() };
                let source = RowSource::Batches(Box::pin(stream::iter([Ok(batch)])));
                self.append("bench.arrivals", source).await.map(|()| 1)
            }
        }
    }
}

async fn drained(mut rows: RowStream) -> Result<usize> {
    let mut count = 0;
    while let Some(batch) = rows.batches.next().await {
        count += batch?.num_rows();
    }
    Ok(count)
}

fn measure(criterion: &mut Criterion) -> Result<()> {
    let runtime = Runtime::new()?;
    let folder = tempfile::tempdir()?;
    let rows = folder.path().join("points.parquet");
    write_rows(&rows, ROWS)?;
    let ports = runtime.block_on(Ports::open(folder.path(), &rows))?;
    let direct = Local::ducklake(folder.path(), &find_extension_dir(None)?, &rows)?;
    for work in Work::ALL {
        let connection = direct.connect()?;
        let mut statement = connection.prepare(statement_of(work))?;
        // Once by hand: if it fails, the error says why.
        runtime.block_on(ports.once(work, 0)).with_context(|| format!("ports: {work:?}"))?;
        once(&mut statement, work, 0).with_context(|| format!("direct: {work:?}"))?;
        let mut group = criterion.benchmark_group(work.label());
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(20)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(3));
        let mut number = 0;
        group.bench_function("ports", |bencher| {
            bencher.iter(|| {
                number += 1;
                assert!(runtime.block_on(ports.once(work, parameter(number))).is_ok());
            });
        });
        group.bench_function("DuckLake", |bencher| {
            bencher.iter(|| {
                number += 1;
                assert!(once(&mut statement, work, parameter(number)).is_ok());
            });
        });
        group.finish();
    }
    Ok(())
}

fn lake(criterion: &mut Criterion) {
    if let Err(error) = measure(criterion) {
        panic!("the lake could not be measured: {error:#}");
    }
}

criterion_group!(benches, lake);
criterion_main!(benches);
