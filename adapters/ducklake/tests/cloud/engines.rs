//! Engines, roles and places.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use gadwall_application::testing::builders::{batch, column, lake, origin, schema, source, table};
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{LakeError, LakeStore as _, LakeWrite};
use gadwall_domain::schema::TableSchema;
use gadwall_ducklake::{CloudLakes, DataPlace, EngineLimits};
use gadwall_test_services::{PostgresProcess, S3};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::place::{LIMITS, config, fresh_data, postgres_place};

fn numbers() -> TableSchema {
    schema(vec![column("i", "BIGINT")], &[])
}

async fn has_table(lakes: &CloudLakes, number: u128) -> bool {
    let (bucket, name) = (BucketName::main(), TableName::parse("t").unwrap());
    lakes.table(lake(number), &bucket, &name, ReadAt::Head).await.unwrap().is_some()
}

async fn make_table(lakes: &CloudLakes, number: u128) {
    lakes.create(lake(number)).await.unwrap();
    let write = LakeWrite::create_table(table("t"), numbers());
    lakes.write(lake(number), write, origin("r")).await.unwrap();
}

/// Sessions of the lakes' own roles.
async fn sessions(beside: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'p\\_%'");
    count.fetch_one(beside).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_are_few_and_closed_when_nobody_uses_them() {
    let postgres = PostgresProcess::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let limits = EngineLimits { max_open: 2, idle: Duration::from_secs(1) };
    // Catalogs in PostgreSQL go with data on this machine, too.
    let lakes =
        CloudLakes::open(&config(&dir, DataPlace::Local), &postgres_place(postgres.url()), limits).await.unwrap();
    for number in 1..=5 {
        make_table(&lakes, number).await;
        assert!(lakes.open_engines() <= 2, "{} engines", lakes.open_engines());
    }
    for number in 1..=5 {
        assert!(has_table(&lakes, number).await);
    }
    let mut beside = PgConnection::connect(postgres.url()).await.unwrap();
    let most = i64::from(postgres_place(postgres.url()).max_connections_per_lake) * 2;
    let open = sessions(&mut beside).await;
    assert!(open <= most, "{open} sessions");
    for _ in 0..600 {
        if lakes.open_engines() == 0 && sessions(&mut beside).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((lakes.open_engines(), sessions(&mut beside).await), (0, 0));
    assert!(has_table(&lakes, 3).await, "it is opened again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projects_role_reaches_its_own_catalog_only() {
    let postgres = PostgresProcess::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let lakes =
        CloudLakes::open(&config(&dir, DataPlace::Local), &postgres_place(postgres.url()), LIMITS).await.unwrap();
    make_table(&lakes, 1).await;
    make_table(&lakes, 2).await;
    let name = |number: u128| format!("p_{}", lake(number).uuid().simple());
    let mut beside = PgConnection::connect(postgres.url()).await.unwrap();
    let mut run = async |statement: String| sqlx::query(AssertSqlSafe(statement)).execute(&mut beside).await;
    let become_the_first = format!("SET SESSION AUTHORIZATION {}", name(1));
    run(become_the_first).await.unwrap();
    run(format!("SELECT * FROM {}.ducklake_table", name(1))).await.unwrap();
    for refused in [
        format!("SELECT * FROM {}.ducklake_table", name(2)),
        format!("SET ROLE {}", name(2)),
        "CREATE SCHEMA mine".to_owned(),
        "CREATE ROLE mine".to_owned(),
        "CREATE DATABASE mine".to_owned(),
        "SELECT pg_read_file('/etc/passwd')".to_owned(),
    ] {
        assert!(run(refused.clone()).await.is_err(), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_lake_leaves_neither_schema_nor_role_nor_files() {
    let (postgres, s3) = tokio::join!(PostgresProcess::start(), S3::start());
    let (postgres, s3) = (postgres.unwrap(), s3.unwrap());
    let dir = tempfile::tempdir().unwrap();
    let place = fresh_data(&s3);
    let store = std::sync::Arc::clone(&place.store);
    let prefix = object_store::path::Path::from(format!("{}/lakes", place.prefix));
    let mut encrypted = config(&dir, DataPlace::S3(place));
    encrypted.encrypted = true;
    let lakes = CloudLakes::open(&encrypted, &postgres_place(postgres.url()), LIMITS).await.unwrap();
    make_table(&lakes, 1).await;
    let rows = source(vec![batch(["i"], &[[Some("1")], [Some("2")]])]);
    let write = LakeWrite::append(table("t"), numbers(), rows);
    lakes.write(lake(1), write, origin("r")).await.unwrap();
    let files = async || store.list(Some(&prefix)).try_collect::<Vec<_>>().await.unwrap().len();
    assert_eq!(files().await, 1);
    lakes.remove(lake(1)).await.unwrap();
    lakes.remove(lake(1)).await.unwrap();
    assert_eq!(files().await, 0);
    let mut beside = PgConnection::connect(postgres.url()).await.unwrap();
    for left in [
        "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'p\\_%'",
        "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'p\\_%'",
    ] {
        assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut beside).await.unwrap(), 0, "{left}");
    }
    assert!(matches!(lakes.head(lake(1)).await, Err(LakeError::NoLake)));
}
