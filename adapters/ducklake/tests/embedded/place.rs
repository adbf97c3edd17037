//! A lake with one table, written to and looked at by SQL.

use std::time::Duration;

use futures_util::StreamExt as _;
use gadwall_application::testing::builders::{lake, origin, table};
use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Committed, LakeStore as _, LakeWrite, LoadMode, QueryEngine as _, WriteError};
use gadwall_domain::query::{Parameters, Query, ReadScope};
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_ducklake::{EmbeddedLakes, LakeConfig};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) lakes: EmbeddedLakes,
    pub(crate) dir: TempDir,
    pub(crate) config: LakeConfig,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut LakeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::support::config(dir.path());
        change(&mut config);
        let lakes = EmbeddedLakes::open(&config).unwrap();
        lakes.create(lake(1)).await.unwrap();
        Self { lakes, dir, config }
    }

    pub(crate) async fn write(&self, write: LakeWrite) -> Result<Committed, WriteError> {
        self.lakes.write(lake(1), write, origin("r")).await
    }

    /// The table `main.t`.
    pub(crate) async fn make(&self, schema: &TableSchema) {
        self.write(LakeWrite::create_table(table("t"), schema.clone())).await.unwrap();
    }

    pub(crate) async fn append(&self, schema: &TableSchema, rows: RowSource) -> SnapshotId {
        self.write(LakeWrite::append(table("t"), schema.clone(), rows)).await.unwrap().snapshot
    }

    pub(crate) async fn load(
        &self,
        schema: &TableSchema,
        mode: LoadMode,
        rows: RowSource,
    ) -> Result<Committed, WriteError> {
        self.write(LakeWrite::Load { table: table("t"), schema: schema.clone(), mode, rows, expected: ANY }).await
    }

    /// How many rows the table has, as the lake tells.
    pub(crate) async fn row_count(&self) -> u64 {
        let t = table("t");
        self.lakes.table(lake(1), &t.bucket, &t.table, ReadAt::Head).await.unwrap().unwrap().size.row_count
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.try_texts(sql).await.unwrap()
    }

    pub(crate) async fn try_texts(&self, sql: &str) -> Result<Vec<String>, String> {
        self.texts_in(ReadScope::of(lake(1), ReadAt::Head), sql).await
    }

    /// The first column of what a query answers within a scope.
    pub(crate) async fn texts_in(&self, scope: ReadScope, sql: &str) -> Result<Vec<String>, String> {
        let query = Query {
            sql: sql.to_owned(),
            parameters: Parameters::None,
            default_bucket: None,
            timeout: Duration::from_mins(1),
        };
        let mut output = self.lakes.query(scope, query).await.map_err(|error| format!("{error:?}"))?;
        let mut found = Vec::new();
        while let Some(batch) = output.rows.batches.next().await {
            let batch = batch.map_err(|error| format!("{error:?}"))?;
            let texts = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
            let texts = texts.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
            found.extend(texts.iter().map(|text| text.unwrap_or("NULL").to_owned()));
        }
        Ok(found)
    }

    pub(crate) async fn head(&self) -> SnapshotId {
        self.lakes.head(lake(1)).await.unwrap()
    }

    pub(crate) async fn last_change(&self) -> Change {
        let head = self.head().await.get();
        let before = SnapshotId::new(i64::try_from(head).unwrap() - 1).unwrap();
        let mut commits = self.lakes.commits_after(lake(1), before, 1).await.unwrap();
        commits.remove(0).writes.remove(0).change
    }

    pub(crate) async fn dry(&self, write: LakeWrite) -> Result<RowCounts, WriteError> {
        self.lakes.dry_run(lake(1), write).await
    }

    /// Files under the lake's data folder.
    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut waiting = vec![self.config.lakes_dir.clone()];
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|end| end == "parquet") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

pub(crate) const ANY: Expected = Expected::ANY;
