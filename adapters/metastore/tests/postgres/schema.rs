//! The tables: the same in both databases.

use std::collections::BTreeSet;
use std::time::Duration;

use gadwall_application::testing::builders::{project, project_id};
use gadwall_domain::ports::metadata::MetadataStore as _;
use gadwall_metastore::{SqliteConfig, SqliteMetadata};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use crate::{fresh, stranger};

/// Tables with their columns, whether these may be NULL, and the indexes that have names of their own.
type Schema = BTreeSet<(String, String, bool)>;

async fn of_sqlite() -> Schema {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sqlite");
    let patience = Duration::from_secs(5);
    let config = SqliteConfig { path: path.clone(), max_readers: 1, acquire_timeout: patience, busy_timeout: patience };
    SqliteMetadata::open(config).await.unwrap().close().await;
    let mut file = SqliteConnection::connect(&path.display().to_string()).await.unwrap();
    let schema = "SELECT m.name, c.name, c.\"notnull\" = 0 FROM sqlite_schema m, pragma_table_info(m.name) c
                   WHERE m.type = 'table' AND m.name NOT LIKE '%sql%'
                   UNION ALL SELECT tbl_name, name, false FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    let rows = sqlx::query(schema).fetch_all(&mut file).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let (_store, database) = fresh().await;
    let schema = "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns
                   WHERE table_schema = 'public' AND table_name NOT LIKE '%sql%'
                   UNION ALL SELECT tablename::text, indexname::text, false FROM pg_indexes
                   WHERE schemaname = 'public' AND indexname !~ '(pkey|_key)$'";
    let rows = sqlx::query(schema).fetch_all(&mut stranger(database.url()).await).await.unwrap();
    let found: Schema = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let mut expected = of_sqlite().await;
    // What is counted up by SQLite itself may not be NULL, though it doesn't say so.
    let counted = [
        ("events", "position"),
        ("audit", "entry"),
        ("lineage_queue", "position"),
        ("lineage_forward", "position"),
        ("lineage_forwarding", "id"),
        ("contract_results", "number"),
    ];
    for counted in counted {
        assert!(expected.remove(&(counted.0.to_owned(), counted.1.to_owned(), true)));
        expected.insert((counted.0.to_owned(), counted.1.to_owned(), false));
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn text_is_compared_by_its_bytes() {
    let (_store, database) = fresh().await;
    let other = "SELECT count(*) FROM information_schema.columns
                  WHERE table_schema = 'public' AND table_name NOT LIKE '%sql%'
                    AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'";
    let row = sqlx::query(other).fetch_one(&mut stranger(database.url()).await).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_sign_stands_for_the_character_that_text_can_not_hold() {
    let (store, _database) = fresh().await;
    let mut odd = project("p1");
    odd.name = Some("a\0b".to_owned());
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&odd).await.unwrap();
    tx.commit().await.unwrap();
    let found = store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().unwrap();
    assert_eq!(found.name.as_deref(), Some("a\u{2400}b"));
}
