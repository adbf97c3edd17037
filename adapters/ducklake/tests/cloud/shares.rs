//! What a reader's role reaches of an owner's catalog.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use gadwall_application::testing::builders::{bucket, column, lake, origin, rows, schema};
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::TableName;
use gadwall_domain::ports::lake::{LakeLink, LakeStore as _, LakeWrite, QueryEngine as _};
use gadwall_domain::query::{Linked, LinkedSource, NamedFiles, Parameters, Query, ReadScope};
use gadwall_domain::table::TableRef;
use gadwall_ducklake::{CloudLakes, DataPlace};
use gadwall_test_services::PostgresProcess;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::place::{LIMITS, config, postgres_place};

const OWNER: u128 = 1;
const READER: u128 = 2;

fn role(number: u128) -> String {
    format!("p_{}", lake(number).uuid().simple())
}

/// Logs in as a project's role does, with its password.
async fn log_in(url: &str, number: u128) -> PgConnection {
    let mut mac = Hmac::<Sha256>::new_from_slice(postgres_place(url).secret_key.as_bytes()).unwrap();
    mac.update(format!("gadwall lake role 1 {}", lake(number).uuid().simple()).as_bytes());
    let password = hex::encode(mac.finalize().into_bytes());
    let options: PgConnectOptions = url.parse().unwrap();
    PgConnection::connect_with(&options.username(&role(number)).password(&password)).await.unwrap()
}

async fn make(lakes: &CloudLakes, name: &str) {
    let table = TableRef { bucket: bucket(name), table: TableName::parse(&format!("of_{name}")).unwrap() };
    let shape = schema(vec![column("i", "BIGINT")], &[]);
    for write in [
        LakeWrite::CreateBucket { bucket: bucket(name), description: None },
        LakeWrite::create_table(table.clone(), shape.clone()),
        LakeWrite::append(table, shape, rows(["i"], &[[Some("1")]])),
    ] {
        lakes.write(lake(OWNER), write, origin("r")).await.unwrap();
    }
}

async fn read(lakes: &CloudLakes, name: &str) -> usize {
    let at = lakes.head(lake(OWNER)).await.unwrap();
    let source = LinkedSource { lake: lake(OWNER), bucket: bucket(name), at, pinned: false };
    let links = vec![Linked { name: bucket("ext"), source: Some(source) }];
    let scope =
        ReadScope { lake: lake(READER), only_bucket: None, at: ReadAt::Head, files: NamedFiles::default(), links };
    let sql = format!("FROM ext.of_{name}");
    let timeout = Duration::from_mins(1);
    let query = Query { sql, parameters: Parameters::None, default_bucket: None, timeout };
    let batches: Vec<_> = lakes.query(scope, query).await.unwrap().rows.batches.try_collect().await.unwrap();
    batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readers_role_sees_the_linked_bucket_and_nothing_else() {
    let postgres = PostgresProcess::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let lakes =
        CloudLakes::open(&config(&dir, DataPlace::Local), &postgres_place(postgres.url()), LIMITS).await.unwrap();
    for number in [OWNER, READER, 3] {
        lakes.create(lake(number)).await.unwrap();
    }
    make(&lakes, "sales").await;
    make(&lakes, "secret").await;
    assert_eq!(read(&lakes, "sales").await, 1);

    let mut reader = log_in(postgres.url(), READER).await;
    let found = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'share\\_%'";
    let schema: String = sqlx::query_scalar(found).fetch_one(&mut reader).await.unwrap();
    let texts = async |connection: &mut PgConnection, select: String| {
        sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(select)).fetch_all(connection).await
    };
    let some = |names: &[&str]| names.iter().map(|name| Some((*name).to_owned())).collect::<Vec<_>>();
    for (select, expected) in [
        ("schema_name::text FROM {}.ducklake_schema", some(&["main", "sales"])),
        ("table_name::text FROM {}.ducklake_table", some(&["of_sales"])),
        ("count(*)::text FROM {}.ducklake_data_file", some(&["1"])),
        ("count(*)::text FROM {}.ducklake_column", some(&["1"])),
        ("DISTINCT changes_made::text FROM {}.ducklake_snapshot_changes", vec![None]),
        ("DISTINCT commit_extra_info::text FROM {}.ducklake_snapshot_changes", vec![None]),
    ] {
        let select = format!("SELECT {} ORDER BY 1", select.replace("{}", &schema));
        assert_eq!(texts(&mut reader, select.clone()).await.unwrap(), expected, "{select}");
    }
    // Every table, whatever DuckLake adds: no text of the other bucket is in any.
    let views = format!("SELECT viewname::text FROM pg_views WHERE schemaname = '{schema}'");
    let views = texts(&mut reader, views).await.unwrap();
    assert!(views.len() > 20, "{views:?}");
    for view in views.into_iter().flatten() {
        let rows = texts(&mut reader, format!("SELECT v::text FROM {schema}.{view} v")).await.unwrap();
        assert!(!format!("{rows:?}").contains("secret"), "{view}: {rows:?}");
    }
    let mut run = async |statement: String| sqlx::query(AssertSqlSafe(statement)).execute(&mut reader).await;
    for refused in [
        format!("SELECT * FROM {}.ducklake_table", role(OWNER)),
        format!("INSERT INTO {schema}.ducklake_snapshot (snapshot_id) VALUES (999)"),
        format!("DELETE FROM {schema}.ducklake_table"),
        format!("CREATE VIEW {schema}.mine AS SELECT 1"),
        format!("DROP VIEW {schema}.ducklake_table"),
        format!("SET ROLE {}", role(OWNER)),
    ] {
        assert!(run(refused.clone()).await.is_err(), "{refused}");
    }
    let mut other = log_in(postgres.url(), 3).await;
    assert!(texts(&mut other, format!("SELECT table_name::text FROM {schema}.ducklake_table")).await.is_err());

    // What ends is gone at once, also for who is in the middle of reading it.
    let mut beside = log_in(postgres.url(), READER).await;
    sqlx::query("BEGIN").execute(&mut beside).await.unwrap();
    texts(&mut beside, format!("SELECT table_name::text FROM {schema}.ducklake_table")).await.unwrap();
    let link = LakeLink { reader: lake(READER), owner: lake(OWNER), bucket: bucket("sales") };
    assert_eq!(lakes.held_links().await.unwrap(), std::slice::from_ref(&link));
    lakes.end_link(&link).await.unwrap();
    lakes.end_link(&link).await.unwrap();
    assert_eq!(lakes.held_links().await.unwrap(), []);
    for connection in [&mut beside, &mut reader] {
        assert!(texts(connection, format!("SELECT table_name::text FROM {schema}.ducklake_table")).await.is_err());
    }
    // A lake that goes takes along what it shows and what it is shown.
    assert_eq!(read(&lakes, "secret").await, 1);
    lakes.remove(lake(READER)).await.unwrap();
    assert_eq!(lakes.held_links().await.unwrap(), []);
}
