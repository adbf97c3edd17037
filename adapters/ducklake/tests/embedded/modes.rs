//! How rows are put into a table: added, in place of those with their key, in place of all.

use futures_util::StreamExt as _;
use gadwall_application::testing::builders::{batch, column, defaulted, lake, origin, rows, schema, source, table};
use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ports::lake::{Committed, LakeStore as _, LakeWrite, LoadMode, QueryEngine as _, WriteError};
use gadwall_domain::query::{Parameters, Query, ReadScope};
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_ducklake::EmbeddedLakes;
use tempfile::TempDir;

use crate::support;

struct Place {
    lakes: EmbeddedLakes,
    shape: TableSchema,
    _dir: TempDir,
}

impl Place {
    async fn new(key: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
        lakes.create(lake(1)).await.unwrap();
        let columns =
            vec![column("id", "INTEGER"), defaulted("state", "VARCHAR(8)", "'it''s new'"), column("n", "INTEGER")];
        let shape = schema(columns, key);
        let create = LakeWrite::create_table(table("main.t"), shape.clone());
        lakes.write(lake(1), create, origin("r")).await.unwrap();
        Self { lakes, shape, _dir: dir }
    }

    async fn load(&self, mode: LoadMode, rows: RowSource) -> Result<Committed, WriteError> {
        let (table, schema) = (table("main.t"), self.shape.clone());
        let write = LakeWrite::Load { table, schema, mode, rows, expected: Expected::ANY };
        self.lakes.write(lake(1), write, origin("r")).await
    }

    async fn rows(&self) -> Vec<String> {
        let sql = "SELECT concat_ws('|', id, state, coalesce(n::VARCHAR, '-')) FROM t ORDER BY id, n".to_owned();
        let timeout = std::time::Duration::from_secs(30);
        let query = Query { sql, parameters: Parameters::None, default_bucket: None, timeout };
        let scope = ReadScope::of(lake(1), ReadAt::Head);
        let mut output = self.lakes.query(scope, query).await.unwrap();
        let mut found = Vec::new();
        while let Some(batch) = output.rows.batches.next().await {
            let batch = batch.unwrap();
            let texts = batch.column(0).as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
            found.extend(texts.iter().map(|text| text.unwrap().to_owned()));
        }
        found
    }

    async fn last_change(&self) -> Change {
        let head = self.lakes.head(lake(1)).await.unwrap().get();
        let before = gadwall_domain::ids::SnapshotId::new(i64::try_from(head).unwrap() - 1).unwrap();
        let mut commits = self.lakes.commits_after(lake(1), before, 10).await.unwrap();
        commits.remove(0).writes.remove(0).change
    }
}

fn counts(inserted: u64, updated: u64, deleted: u64) -> RowCounts {
    RowCounts { inserted, updated, deleted }
}

#[tokio::test]
async fn an_upsert_takes_the_place_of_rows_with_its_keys() {
    let place = Place::new(&["id"]).await;
    let first = rows(["id", "state", "n"], &[[Some("1"), Some("a"), Some("10")], [Some("2"), Some("b"), Some("20")]]);
    place.load(LoadMode::Append, first).await.unwrap();
    // The last one of a key wins, and what isn't mentioned gets its default.
    let given = rows(["id", "n"], &[[Some("2"), Some("21")], [Some("3"), Some("30")], [Some("02"), Some("22")]]);
    let done = place.load(LoadMode::Upsert, given).await.unwrap();
    assert_eq!(done.rows, counts(1, 1, 0));
    assert_eq!(place.rows().await, ["1|a|10", "2|it's new|22", "3|it's new|30"]);
    assert_eq!(place.last_change().await, Change::RowsUpserted { table: table("main.t"), inserted: 1, updated: 1 });
    // The keys stay unique.
    let again = place.load(LoadMode::Append, rows(["id"], &[[Some("3")]])).await;
    assert!(matches!(again, Err(WriteError::DuplicateKeys { count: 1, .. })));
}

#[tokio::test]
async fn an_upsert_across_batches_and_with_keys_alone() {
    let place = Place::new(&["n", "id"]).await;
    let given = || {
        source(vec![
            batch(["id", "n", "state"], &[[Some("1"), Some("1"), Some("a")], [Some("1"), Some("2"), Some("b")]]),
            batch(["id", "n", "state"], &[[Some("1"), Some("1"), Some("c")]]),
        ])
    };
    assert_eq!(place.load(LoadMode::Upsert, given()).await.unwrap().rows, counts(2, 0, 0));
    assert_eq!(place.load(LoadMode::Upsert, given()).await.unwrap().rows, counts(0, 2, 0));
    assert_eq!(place.rows().await, ["1|c|1", "1|b|2"]);
}

#[tokio::test]
async fn an_upsert_needs_a_key_and_good_rows() {
    let place = Place::new(&[]).await;
    let refused = place.load(LoadMode::Upsert, rows(["id"], &[[Some("1")]])).await;
    assert!(matches!(refused, Err(WriteError::NoKey)));
    let place = Place::new(&["id"]).await;
    let refused = place.load(LoadMode::Upsert, rows(["id"], &[[Some("1")], [Some("x")], [None]])).await;
    let Err(WriteError::Violations(found)) = refused else { panic!("{refused:?}") };
    assert_eq!(found.first().iter().map(|violation| violation.row).collect::<Vec<_>>(), [2, 3]);
    assert!(place.rows().await.is_empty());
}

#[tokio::test]
async fn replacing_leaves_the_new_rows_alone() {
    let place = Place::new(&["id"]).await;
    let first = rows(["id", "n"], &[[Some("1"), Some("1")], [Some("2"), Some("2")]]);
    place.load(LoadMode::Append, first).await.unwrap();
    let twice = place.load(LoadMode::Replace, rows(["id"], &[[Some("5")], [Some("5")]])).await;
    assert!(matches!(twice, Err(WriteError::DuplicateKeys { count: 1, .. })));
    assert_eq!(place.rows().await.len(), 2);
    let done = place.load(LoadMode::Replace, rows(["id"], &[[Some("2")], [Some("3")], [Some("4")]])).await.unwrap();
    assert_eq!(done.rows, counts(3, 0, 2));
    assert_eq!(place.rows().await, ["2|it's new|-", "3|it's new|-", "4|it's new|-"]);
    assert_eq!(place.last_change().await, Change::RowsReplaced { table: table("main.t"), inserted: 3, deleted: 2 });
    let done = place.load(LoadMode::Replace, source(vec![])).await.unwrap();
    assert_eq!((done.rows, place.rows().await.len()), (counts(0, 0, 3), 0));
}
