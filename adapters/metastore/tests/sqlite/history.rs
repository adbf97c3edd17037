//! Facts that no longer hold are kept with the snapshots between which they did.

use gadwall_application::testing::builders::{
    bucket, bucket_created, column, commit, project_id, schema, table, table_created,
};
use gadwall_domain::commit::Change;
use gadwall_domain::ports::metadata::MetadataStore as _;
use sqlx::Row as _;

use crate::{fresh, insert, stranger};

#[tokio::test]
async fn facts_that_held_are_kept_with_their_snapshots() {
    let (store, folder) = fresh().await;
    insert(&*store, "p1").await;
    let made = |name: &str| table_created(name, &schema(vec![column("id", "INTEGER")], &[]));
    let commits = [
        commit(1, vec![bucket_created("b", None), made("b.t"), made("b.u")]),
        commit(2, vec![Change::TableDropped { table: table("B.T") }]),
        commit(4, vec![made("b.T"), made("b.brief"), Change::TableDropped { table: table("b.brief") }]),
        commit(7, vec![Change::BucketDropped { bucket: bucket("b") }]),
        commit(8, vec![bucket_created("b", None), made("b.t")]),
    ];
    let mut tx = store.write().await.unwrap();
    for commit in &commits {
        assert!(tx.lake_index().apply(&project_id("p1"), commit).await.unwrap());
    }
    tx.commit().await.unwrap();
    let history = "SELECT table_key, begin_snapshot, end_snapshot FROM table_facts ORDER BY 1, 2";
    let rows = sqlx::query(history).fetch_all(&mut stranger(&folder).await).await.unwrap();
    let found: Vec<(String, i64, Option<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [("t", 1, Some(2)), ("t", 4, Some(7)), ("t", 8, None), ("u", 1, Some(7))];
    assert_eq!(found, expected.map(|(name, begin, end)| (name.to_owned(), begin, end)));
    let history = "SELECT begin_snapshot, end_snapshot FROM bucket_facts ORDER BY 1";
    let rows = sqlx::query(history).fetch_all(&mut stranger(&folder).await).await.unwrap();
    let found: Vec<(i64, Option<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [(1, Some(7)), (8, None)]);
}
