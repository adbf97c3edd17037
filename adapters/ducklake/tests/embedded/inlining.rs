//! Rows that stand in the catalog instead of files.

use std::path::{Path, PathBuf};

use gadwall_application::testing::builders::{column, lake, origin, rows, schema, table};
use gadwall_domain::history::{ReadAt, TableVersion};
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite};
use gadwall_ducklake::{EmbeddedLakes, LakeConfig};

use crate::support;

async fn version(lakes: &EmbeddedLakes, name: &str, at: ReadAt) -> TableVersion {
    let name = table(name);
    lakes.table(lake(1), &name.bucket, &name.table, at).await.unwrap().unwrap().version
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_tables_version_follows_rows_in_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { inlining_row_limit: 10, ..support::config(dir.path()) };
    let lakes = EmbeddedLakes::open(&config).unwrap();
    lakes.create(lake(1)).await.unwrap();
    let shape = schema(vec![column("id", "INTEGER")], &[]);
    let mut made = Vec::new();
    for name in ["main.a", "main.b"] {
        let create = LakeWrite::create_table(table(name), shape.clone());
        made.push(lakes.write(lake(1), create, origin("r")).await.unwrap().snapshot);
    }
    let mut filled = Vec::new();
    for name in ["main.a", "main.b", "main.a"] {
        let append = LakeWrite::append(table(name), shape.clone(), rows(["id"], &[[Some("1")]]));
        filled.push(lakes.write(lake(1), append, origin("r")).await.unwrap().snapshot);
    }
    let files = files_in(dir.path());
    assert!(files.iter().all(|file| file.extension().is_none_or(|end| end != "parquet")), "{files:?}");
    let (a, b) = (version(&lakes, "main.a", ReadAt::Head).await, version(&lakes, "main.b", ReadAt::Head).await);
    assert_eq!((a.schema, a.rows), (made[0], filled[2]));
    assert_eq!((b.schema, b.rows), (made[1], filled[1]));
    assert_eq!(version(&lakes, "main.a", ReadAt::Snapshot(filled[1])).await.rows, filled[0]);
    assert_eq!(version(&lakes, "main.b", ReadAt::Snapshot(filled[0])).await.rows, made[1]);
}
