//! Opening a file: a new one, one's own, one from the future, one that isn't ours.

use gadwall_application::testing::builders::{bucket_created, commit, project_id, seconds_past_noon};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ports::metadata::{MetadataStore as _, StoreError};
use gadwall_domain::ports::system::HealthProbe as _;
use gadwall_metastore::{OpenError, SqliteMetadata};
use sqlx::Connection as _;

use crate::{config, database, fresh, insert, stranger};

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let (store, folder) = fresh().await;
    insert(&*store, "p1").await;
    store.close().await;
    let store = SqliteMetadata::open(config(&database(&folder))).await.unwrap();
    assert!(store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_committed_is_there_without_closing() {
    let (store, folder) = fresh().await;
    insert(&*store, "p1").await;
    // As after a crash: the file and its log are read as they lie there.
    let copy = tempfile::tempdir().unwrap();
    for name in ["metadata.sqlite", "metadata.sqlite-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let store = SqliteMetadata::open(config(&database(&copy))).await.unwrap();
    assert!(store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let (store, folder) = fresh().await;
    insert(&*store, "p1").await;
    let history = [commit(1, vec![bucket_created("b", None)]), commit(2, vec![bucket_created("c", None)])];
    let mut tx = store.write().await.unwrap();
    for commit in &history {
        assert!(tx.lake_index().apply(&project_id("p1"), commit).await.unwrap());
    }
    tx.commit().await.unwrap();
    store.close().await;
    let mut stranger = stranger(&folder).await;
    for undo in [
        "DROP TABLE access_version",
        "DROP TABLE maintenance",
        "DROP TABLE events_forgotten",
        "DROP TABLE event_tokens",
        "DROP TABLE change_consumers",
        "DROP TABLE webhook_dead_letters",
        "DROP TABLE webhooks",
        "DROP TABLE lineage_forwarding",
        "DROP TABLE lineage_forward",
        "DROP TABLE lineage_queue",
        "DROP TABLE lineage_columns",
        "DROP TABLE lineage_edges",
        "DROP TABLE lineage_uses",
        "DROP TABLE lineage_datasets",
        "DROP TABLE lineage_runs",
        "DROP TABLE lineage_jobs",
        "DROP TABLE keyed_writes",
        "DROP TABLE tags",
        "DROP TABLE idempotency",
        "DROP TABLE operations",
        "DROP TABLE usage_days",
        "DROP TABLE schema_versions",
        "DROP TABLE governed_tables",
        "DROP TABLE contracts",
        "DROP TABLE contract_results",
        "ALTER TABLE projects DROP COLUMN quota",
        "DROP TABLE instances",
        "DROP TABLE queries",
        "DROP TABLE readerships",
        "DROP TABLE shares",
        "DROP TABLE read_grants",
        "DROP TABLE links",
        "DROP INDEX projects_by_purge",
        "ALTER TABLE projects DROP COLUMN deletion_protection",
        "ALTER TABLE projects DROP COLUMN deleted_at",
        "ALTER TABLE projects DROP COLUMN purge_after",
        "ALTER TABLE projects DROP COLUMN claimed_until",
        "ALTER TABLE projects DROP COLUMN purged_at",
        "ALTER TABLE projects DROP COLUMN freed_bytes",
        "DROP TABLE audit",
        "CREATE TABLE audit (entry INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, principal TEXT NOT NULL,
            operation TEXT NOT NULL, project TEXT NOT NULL REFERENCES projects (id_key), resource TEXT NOT NULL,
            request_id TEXT NOT NULL, snapshot INTEGER) STRICT",
        "CREATE INDEX audit_by_project ON audit (project, entry)",
        "DROP INDEX table_facts_by_end",
        "DROP INDEX api_keys_by_replaced",
        "DROP INDEX api_keys_by_project",
        "CREATE INDEX api_keys_by_project ON api_keys (project)",
        "ALTER TABLE api_keys DROP COLUMN created_by",
        "ALTER TABLE api_keys DROP COLUMN last_used_at",
        "ALTER TABLE api_keys DROP COLUMN replaced_digest",
        "ALTER TABLE api_keys DROP COLUMN replaced_until",
        "ALTER TABLE api_keys DROP COLUMN request_digest",
        "DELETE FROM _sqlx_migrations WHERE version > 1",
    ] {
        sqlx::query(undo).execute(&mut stranger).await.unwrap();
    }
    stranger.close().await.unwrap();
    let store = SqliteMetadata::open(config(&database(&folder))).await.unwrap();
    let mut tx = store.write().await.unwrap();
    let then = ReadAt::Snapshot(history[0].snapshot);
    assert_eq!(tx.lake_index().buckets(&project_id("p1"), then).await.unwrap().len(), 1);
    assert_eq!(tx.lake_index().buckets(&project_id("p1"), ReadAt::Head).await.unwrap().len(), 2);
    assert!(tx.tags().list(&project_id("p1")).await.unwrap().is_empty());
    assert!(tx.operations().unfinished().await.unwrap().is_empty());
    assert_eq!(tx.queries().forget_before(seconds_past_noon(0)).await.unwrap(), 0);
    assert!(tx.sharing().links_of(&project_id("p1")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let (store, folder) = fresh().await;
    store.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'future', TRUE, x'00', 0)";
    let mut stranger = stranger(&folder).await;
    sqlx::query(newer).execute(&mut stranger).await.unwrap();
    // Closing moves the log into the file; that must not happen in between.
    stranger.close().await.unwrap();
    let before = std::fs::read(database(&folder)).unwrap();
    let error = SqliteMetadata::open(config(&database(&folder))).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { migration: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("newer version of Gadwall"), "{error}");
    assert_eq!(std::fs::read(database(&folder)).unwrap(), before);
}

#[tokio::test]
async fn a_database_with_another_past_is_refused() {
    let (store, folder) = fresh().await;
    store.close().await;
    let other = "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1";
    sqlx::query(other).execute(&mut stranger(&folder).await).await.unwrap();
    let error = SqliteMetadata::open(config(&database(&folder))).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { migration: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(database(&folder), "ducks, 4096 bytes of them".repeat(400)).unwrap();
    let error = SqliteMetadata::open(config(&database(&folder))).await.unwrap_err();
    assert!(matches!(error, OpenError::Failed { .. }), "{error:?}");
    let nowhere = folder.path().join("none").join("metadata.sqlite");
    let error = SqliteMetadata::open(config(&nowhere)).await.unwrap_err();
    assert!(error.to_string().contains("none"), "the path is named: {error}");
}

#[tokio::test]
async fn health_tells_whether_it_can_be_read() {
    let (store, folder) = fresh().await;
    let well = store.check().await;
    assert_eq!((well.name, well.ok, well.detail), ("metadata", true, None));
    store.close().await;
    let ill = store.check().await;
    assert!(!ill.ok);
    let folder = folder.path().to_string_lossy().into_owned();
    assert!(ill.detail.is_some_and(|detail| !detail.contains(&folder)));
    assert!(matches!(store.read().await.err(), Some(StoreError::Unavailable(_))));
}
