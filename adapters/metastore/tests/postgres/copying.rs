//! All of a file of SQLite, in PostgreSQL.

use std::time::Duration;

use gadwall_application::testing::builders::{project, project_id};
use gadwall_domain::ports::metadata::MetadataStore as _;
use gadwall_metastore::{SqliteConfig, SqliteMetadata, copy, has_gone_on};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::{fresh, insert, stranger};

/// More rows than go in one statement, of every type, with and without values; the last of the log are gone.
const FILL: &str = "
    INSERT INTO events (project, event_type, subject, occurred_at, request_id, snapshot, data)
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      SELECT 'p1', 'e' || i, 's', i, 'r', CASE WHEN i % 2 = 0 THEN i END, '{}' FROM n;
    DELETE FROM events WHERE position > 4990;
    INSERT INTO idempotency (caller, idempotency_key, instance, created_at, body) VALUES
      ('c', 'none', 'i', 1, NULL), ('c', 'empty', 'i', 1, x''), ('c', 'some', 'i', 1, x'00ff');
    INSERT INTO operations (id, project, kind, subject, started_by, request_id, created_at, state, percent, rows_done, bytes_done)
      VALUES ('o', 'p1', 'import', 's', 'admin', 'r', 1, 'running', 12.5, 9223372036854775807, -1);";

#[tokio::test]
async fn every_row_of_every_table_is_there_once_however_often_it_is_copied() {
    let (folder, patience) = (tempfile::tempdir().unwrap(), Duration::from_secs(5));
    let path = folder.path().join("m.sqlite");
    let config = SqliteConfig { path: path.clone(), max_readers: 1, acquire_timeout: patience, busy_timeout: patience };
    let source = SqliteMetadata::open(config).await.unwrap();
    let mut odd = project("p1");
    odd.name = Some("a\0ü".to_owned());
    let mut tx = source.write().await.unwrap();
    tx.projects().insert(&odd).await.unwrap();
    tx.commit().await.unwrap();
    let mut file = SqliteConnection::connect(&path.display().to_string()).await.unwrap();
    file.execute(FILL).await.unwrap();

    let (target, database) = fresh().await;
    assert!(!has_gone_on(&source, &target).await.unwrap());
    let copied = copy(&source, &target).await.unwrap();
    assert_eq!(copy(&source, &target).await.unwrap(), copied);
    let rows = |name: &str| copied.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!((rows("projects"), rows("events"), rows("idempotency"), rows("tags")), (1, 4_990, 3, 0));
    let found = target.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().unwrap();
    assert_eq!((found.lake, found.name.as_deref()), (odd.lake, Some("a\u{2400}ü")));

    let mut other = stranger(database.url()).await;
    let values = "SELECT (SELECT string_agg(coalesce(encode(body, 'hex'), 'null'), ',' ORDER BY idempotency_key) FROM idempotency)
        || ' ' || (SELECT percent || ' ' || rows_done || ' ' || bytes_done FROM operations)
        || ' ' || (SELECT count(snapshot) || ' ' || sum(position) FROM events)";
    let values: String = other.fetch_one(values).await.unwrap().get(0);
    assert_eq!(values, ",null,00ff 12.5 9223372036854775807 -1 2495 12452545");

    // Positions of what is gone are not given again, and what is added is not copied over.
    assert!(!has_gone_on(&source, &target).await.unwrap());
    let add = "INSERT INTO events (project, event_type, subject, occurred_at, request_id, data)
        VALUES ('p1', 'e', 's', 1, 'r', '{}') RETURNING position";
    assert_eq!(other.fetch_one(add).await.unwrap().get::<i64, _>(0), 5_001);
    assert!(has_gone_on(&source, &target).await.unwrap());
}

#[tokio::test]
async fn what_was_there_goes() {
    let (folder, patience) = (tempfile::tempdir().unwrap(), Duration::from_secs(5));
    let path = folder.path().join("m.sqlite");
    let config = SqliteConfig { path, max_readers: 1, acquire_timeout: patience, busy_timeout: patience };
    let source = SqliteMetadata::open(config).await.unwrap();
    let (target, _database) = fresh().await;
    insert(&*target, "old").await;
    insert(&source, "new").await;
    copy(&source, &target).await.unwrap();
    let mut tx = target.read().await.unwrap();
    assert!(tx.projects().find(&project_id("old")).await.unwrap().is_none());
    assert!(tx.projects().find(&project_id("new")).await.unwrap().is_some());
}
