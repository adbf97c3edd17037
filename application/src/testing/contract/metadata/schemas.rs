//! Versions of schemas, and the tables that follow them.

use std::sync::Arc;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ontology::{GovernedTable, SchemaId, SchemaVersion};
use gadwall_domain::ports::metadata::MetadataStore;
use serde_json::json;

use crate::testing::builders::{project_id, seconds_past_noon, table};

fn id(text: &str) -> SchemaId {
    SchemaId::parse(text).unwrap()
}

/// A version that was seen at some second.
fn version(schema: &str, version: &str, seen: i64) -> SchemaVersion {
    SchemaVersion {
        id: id(schema),
        version: version.to_owned(),
        digest: format!("digest of {version}"),
        document: json!({ "version": version, "columns": [{ "name": "a", "type": "INT" }], "b": "'\u{1f986}\0" }),
        tag: Some(format!("\"{version}\"")),
        first_seen: seconds_past_noon(seen),
        last_seen: seconds_past_noon(seen),
    }
}

async fn record(store: &Arc<dyn MetadataStore>, versions: &[SchemaVersion], keep: u32) {
    let mut tx = store.write().await.unwrap();
    for version in versions {
        tx.schemas().record(version, keep).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A schema's versions by name, the last seen first.
async fn versions(store: &Arc<dyn MetadataStore>, schema: &str) -> Vec<String> {
    let found = store.read().await.unwrap().schemas().versions(&id(schema)).await.unwrap();
    found.into_iter().map(|version| version.version).collect()
}

/// A version reads back as it was stored, its document to the letter; schemas are apart, in case, too.
pub async fn a_schema_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    let without = SchemaVersion { tag: None, ..version("A", "9", 3) };
    record(&store, &[version("a", "1", 1), version("a", "2", 2), without.clone()], 10).await;
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.schemas().latest(&id("a")).await.unwrap(), Some(version("a", "2", 2)));
    assert_eq!(
        tx.schemas().versions(&id("a")).await.unwrap(),
        [version("a", "2", 2).into(), version("a", "1", 1).into()]
    );
    assert_eq!(tx.schemas().find(&id("a"), "1").await.unwrap(), Some(version("a", "1", 1)));
    assert_eq!(tx.schemas().find(&id("a"), "digest of 2").await.unwrap(), Some(version("a", "2", 2)));
    assert_eq!(tx.schemas().find(&id("b"), "1").await.unwrap(), None);
    assert_eq!(tx.schemas().latest(&id("b")).await.unwrap(), None);
    assert_eq!(tx.schemas().list(10).await.unwrap(), [without.clone().into(), version("a", "2", 2).into()]);
    assert_eq!(tx.schemas().list(1).await.unwrap(), [without.into()]);
}

/// A document that the server has again is the last one again, and as old as it was.
pub async fn a_version_that_comes_back_is_the_last_again(store: Arc<dyn MetadataStore>) {
    let again = SchemaVersion { tag: Some("w".to_owned()), ..version("a", "1", 5) };
    record(&store, &[version("a", "1", 1), version("a", "2", 2), again.clone()], 10).await;
    let latest = store.read().await.unwrap().schemas().latest(&id("a")).await.unwrap();
    assert_eq!(latest, Some(SchemaVersion { first_seen: seconds_past_noon(1), ..again }));
    assert_eq!(versions(&store, "a").await, ["1", "2"]);
}

/// Of each schema so many versions stay as are asked for.
pub async fn only_the_last_versions_stay(store: Arc<dyn MetadataStore>) {
    let other = version("b", "1", 0);
    record(&store, &[other, version("a", "1", 1), version("a", "2", 2), version("a", "3", 3)], 2).await;
    assert_eq!(versions(&store, "a").await, ["3", "2"]);
    assert_eq!(versions(&store, "b").await, ["1"]);
}

/// What is noted of a table takes the place of what was; names are known without regard to case.
pub async fn tables_are_governed_one_by_one(store: Arc<dyn MetadataStore>) {
    let governed = |project: &str, name: &str, version: &str| GovernedTable {
        project: project_id(project),
        table: table(name),
        schema: id("orders.v1"),
        version: version.to_owned(),
        snapshot: SnapshotId::new(7).unwrap(),
        applied_at: seconds_past_noon(1),
    };
    let mut tx = store.write().await.unwrap();
    for noted in
        [governed("p1", "t", "1"), governed("p1", "T", "2"), governed("p1", "u", "1"), governed("p2", "t", "3")]
    {
        tx.schemas().govern(&noted).await.unwrap();
    }
    let found = tx.schemas().governed(&project_id("P1"), &table("t")).await.unwrap().unwrap();
    assert_eq!(found.table.table.as_str(), "T");
    assert_eq!(found, governed("p1", "T", "2"));
    tx.schemas().release(&project_id("p1"), Some(&table("T"))).await.unwrap();
    assert_eq!(tx.schemas().governed(&project_id("p1"), &table("t")).await.unwrap(), None);
    assert!(tx.schemas().governed(&project_id("p1"), &table("u")).await.unwrap().is_some());
    tx.schemas().release(&project_id("p1"), None).await.unwrap();
    assert_eq!(tx.schemas().governed(&project_id("p1"), &table("u")).await.unwrap(), None);
    assert!(tx.schemas().governed(&project_id("p2"), &table("t")).await.unwrap().is_some());
    tx.commit().await.unwrap();
}
