//! The servers themselves: each is alone, can be stopped, and is gone afterwards.

use gadwall_test_services::{Postgres, PostgresProcess};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

async fn ask(url: &str, sql: &str) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?.try_get(0)
}

#[tokio::test]
async fn a_database_is_empty_and_on_a_server_that_is_new_enough() {
    let database = Postgres::database().await.unwrap();
    let version = ask(database.url(), "SHOW server_version_num").await.unwrap();
    assert!(version.parse::<u32>().unwrap() >= 140_000, "{version}");
    let tables = "SELECT count(*)::text FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(ask(database.url(), tables).await.unwrap(), "0");
}

#[tokio::test]
async fn what_is_committed_outlives_a_stop_and_a_kill() {
    let mut server = PostgresProcess::durable().await.unwrap();
    assert_eq!(ask(server.url(), "SHOW fsync").await.unwrap(), "on");
    let url = server.database().await.unwrap();
    assert!(matches!(ask(&url, "CREATE TABLE t AS SELECT 'kept' AS x").await, Err(sqlx::Error::RowNotFound)));
    server.stop().unwrap();
    assert!(ask(&url, "SELECT x FROM t").await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(ask(&url, "SELECT x FROM t").await.unwrap(), "kept");
    server.kill().unwrap();
    assert!(ask(&url, "SELECT x FROM t").await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(ask(&url, "SELECT x FROM t").await.unwrap(), "kept");
}

#[tokio::test]
async fn a_server_ends_with_its_owner() {
    let server = PostgresProcess::start().await.unwrap();
    let url = server.url().to_owned();
    let folder = ask(&url, "SHOW unix_socket_directories").await.unwrap();
    assert!(std::path::Path::new(&folder).exists());
    drop(server);
    assert!(ask(&url, "SELECT 'there'").await.is_err());
    assert!(!std::path::Path::new(&folder).exists());
}
