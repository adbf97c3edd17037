//! Lakes for tests that look inside.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use gadwall_application::testing::builders::{column, lake, origin, rows, schema, table};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite, QueryEngine as _, WriteError};
use gadwall_domain::query::{Parameters, Query, QueryError, QueryOutput, ReadScope};
use tempfile::TempDir;

use crate::{DataPlace, EmbeddedLakes, LakeConfig, find_extension_dir};

pub(crate) fn config(dir: &Path) -> LakeConfig {
    let dir = dir.canonicalize().unwrap();
    LakeConfig {
        data: DataPlace::Local,
        lakes_dir: dir.join("lakes"),
        files_dir: None,
        staging_dir: dir.join("staging"),
        spill_dir: dir.join("spill"),
        extension_dir: find_extension_dir(None).unwrap(),
        memory_limit: 1 << 30,
        spill_limit: 1 << 30,
        threads: 2,
        max_queries: 8,
        max_waiting: 64,
        queue_timeout: Duration::from_secs(10),
        max_attached: 8,
        writer_queue: 64,
        inlining_row_limit: 0,
        encrypted: false,
        profiling: true,
    }
}

/// Three lakes with a table `t` of one row each.
pub(crate) async fn filled() -> (EmbeddedLakes, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let lakes = EmbeddedLakes::open(&config(dir.path())).unwrap();
    for number in 1..=3 {
        lakes.create(lake(number)).await.unwrap();
        let create = LakeWrite::create_table(table("t"), schema(vec![column("id", "INTEGER")], &[]));
        lakes.write(lake(number), create, origin("r")).await.unwrap();
        append(&lakes, lake(number)).await.unwrap();
    }
    (lakes, dir)
}

pub(crate) async fn append(lakes: &EmbeddedLakes, lake: LakeId) -> Result<(), WriteError> {
    let schema = schema(vec![column("id", "INTEGER")], &[]);
    let write = LakeWrite::append(table("t"), schema, rows(["id"], &[[Some("1")]]));
    lakes.write(lake, write, origin("r")).await.map(drop)
}

pub(crate) async fn query(lakes: &EmbeddedLakes, lake: LakeId, sql: &str) -> Result<QueryOutput, QueryError> {
    let (parameters, timeout) = (Parameters::None, Duration::from_mins(5));
    let query = Query { sql: sql.to_owned(), parameters, default_bucket: None, timeout };
    lakes.query(ReadScope::of(lake, ReadAt::Head), query).await
}

pub(crate) async fn count(lakes: &EmbeddedLakes, lake: LakeId) -> Result<usize, QueryError> {
    let mut output = query(lakes, lake, "SELECT id FROM t").await?;
    let mut rows = 0;
    while let Some(batch) = output.rows.batches.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}
