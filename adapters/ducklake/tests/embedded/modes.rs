//! How rows are put into a table: added, in place of those with their key, in place of all.

use gadwall_application::testing::builders::{batch, column, defaulted, rows, schema, source, table};
use gadwall_domain::commit::{Change, RowCounts};
use gadwall_domain::ports::lake::{Committed, LoadMode, WriteError};
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;

use crate::place::Place;

/// A lake with the table `t (id INTEGER, state VARCHAR(8), n INTEGER)`.
struct Loaded {
    place: Place,
    shape: TableSchema,
}

impl Loaded {
    async fn new(key: &[&str]) -> Self {
        let columns =
            vec![column("id", "INTEGER"), defaulted("state", "VARCHAR(8)", "'it''s new'"), column("n", "INTEGER")];
        let (place, shape) = (Place::new().await, schema(columns, key));
        place.make(&shape).await;
        Self { place, shape }
    }

    async fn load(&self, mode: LoadMode, rows: RowSource) -> Result<Committed, WriteError> {
        self.place.load(&self.shape, mode, rows).await
    }

    async fn rows(&self) -> Vec<String> {
        self.place.texts("SELECT concat_ws('|', id, state, coalesce(n::VARCHAR, '-')) FROM t ORDER BY id, n").await
    }

    async fn last_change(&self) -> Change {
        self.place.last_change().await
    }
}

fn counts(inserted: u64, updated: u64, deleted: u64) -> RowCounts {
    RowCounts { inserted, updated, deleted }
}

#[tokio::test]
async fn an_upsert_takes_the_place_of_rows_with_its_keys() {
    let loaded = Loaded::new(&["id"]).await;
    let first = rows(["id", "state", "n"], &[[Some("1"), Some("a"), Some("10")], [Some("2"), Some("b"), Some("20")]]);
    loaded.load(LoadMode::Append, first).await.unwrap();
    // The last one of a key wins, and what isn't mentioned gets its default.
    let given = rows(["id", "n"], &[[Some("2"), Some("21")], [Some("3"), Some("30")], [Some("02"), Some("22")]]);
    let done = loaded.load(LoadMode::Upsert, given).await.unwrap();
    assert_eq!(done.rows, counts(1, 1, 0));
    assert_eq!(loaded.rows().await, ["1|a|10", "2|it's new|22", "3|it's new|30"]);
    assert_eq!(loaded.last_change().await, Change::RowsUpserted { table: table("main.t"), inserted: 1, updated: 1 });
    // The keys stay unique.
    let again = loaded.load(LoadMode::Append, rows(["id"], &[[Some("3")]])).await;
    assert!(matches!(again, Err(WriteError::DuplicateKeys { count: 1, .. })));
}

#[tokio::test]
async fn an_upsert_across_batches_and_with_keys_alone() {
    let loaded = Loaded::new(&["n", "id"]).await;
    let given = || {
        source(vec![
            batch(["id", "n", "state"], &[[Some("1"), Some("1"), Some("a")], [Some("1"), Some("2"), Some("b")]]),
            batch(["id", "n", "state"], &[[Some("1"), Some("1"), Some("c")]]),
        ])
    };
    assert_eq!(loaded.load(LoadMode::Upsert, given()).await.unwrap().rows, counts(2, 0, 0));
    assert_eq!(loaded.load(LoadMode::Upsert, given()).await.unwrap().rows, counts(0, 2, 0));
    assert_eq!(loaded.rows().await, ["1|c|1", "1|b|2"]);
}

#[tokio::test]
async fn an_upsert_needs_a_key_and_good_rows() {
    let loaded = Loaded::new(&[]).await;
    let refused = loaded.load(LoadMode::Upsert, rows(["id"], &[[Some("1")]])).await;
    assert!(matches!(refused, Err(WriteError::NoKey)));
    let loaded = Loaded::new(&["id"]).await;
    let refused = loaded.load(LoadMode::Upsert, rows(["id"], &[[Some("1")], [Some("x")], [None]])).await;
    let Err(WriteError::Violations(found)) = refused else { panic!("{refused:?}") };
    assert_eq!(found.first().iter().map(|violation| violation.row).collect::<Vec<_>>(), [2, 3]);
    assert!(loaded.rows().await.is_empty());
}

#[tokio::test]
async fn replacing_leaves_the_new_rows_alone() {
    let loaded = Loaded::new(&["id"]).await;
    let first = rows(["id", "n"], &[[Some("1"), Some("1")], [Some("2"), Some("2")]]);
    loaded.load(LoadMode::Append, first).await.unwrap();
    let twice = loaded.load(LoadMode::Replace, rows(["id"], &[[Some("5")], [Some("5")]])).await;
    assert!(matches!(twice, Err(WriteError::DuplicateKeys { count: 1, .. })));
    assert_eq!(loaded.rows().await.len(), 2);
    let done = loaded.load(LoadMode::Replace, rows(["id"], &[[Some("2")], [Some("3")], [Some("4")]])).await.unwrap();
    assert_eq!(done.rows, counts(3, 0, 2));
    assert_eq!(loaded.rows().await, ["2|it's new|-", "3|it's new|-", "4|it's new|-"]);
    assert_eq!(loaded.last_change().await, Change::RowsReplaced { table: table("main.t"), inserted: 3, deleted: 2 });
    let done = loaded.load(LoadMode::Replace, source(vec![])).await.unwrap();
    assert_eq!((done.rows, loaded.rows().await.len()), (counts(0, 0, 3), 0));
}
