//! The lists of tables and columns that SQL can ask for, over real lakes.

use gadwall_application::testing::builders::{bucket, column, lake, names, origin, schema, table};
use gadwall_domain::alteration::Alteration;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite};
use gadwall_domain::query::ReadScope;
use gadwall_domain::types::DataType;

use crate::place::{ANY, Place};

const COLUMNS: &str = "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns
                       ORDER BY table_name, ordinal_position";

fn at(at: ReadAt) -> ReadScope {
    ReadScope::of(lake(1), at)
}

#[tokio::test]
async fn a_list_shows_the_version_that_is_read() {
    let place = Place::new().await;
    let shape =
        schema(vec![column("a", "INTEGER"), column("s", "STRUCT(x INTEGER, y VARCHAR[])"), column("b", "TEXT")], &[]);
    place.make(&shape).await;
    let before = place.head().await;
    let alteration = Alteration::SetType { column: names(&["a"]).remove(0), data_type: DataType::BigInt };
    place
        .write(LakeWrite::Alter { table: table("t"), schema: shape.clone(), alteration, expected: ANY })
        .await
        .unwrap();
    place.write(LakeWrite::create_table(table("u"), shape.clone())).await.unwrap();
    place.write(LakeWrite::CreateBucket { bucket: bucket("later"), description: None }).await.unwrap();

    let then = ["t.a INTEGER", "t.s STRUCT(x INTEGER, y VARCHAR[])", "t.b VARCHAR"];
    let then_scope = || at(ReadAt::Snapshot(before));
    assert_eq!(place.texts_in(then_scope(), COLUMNS).await.unwrap(), then);
    assert_eq!(place.texts_in(then_scope(), "SHOW TABLES").await.unwrap(), ["t"]);
    assert_eq!(place.texts_in(then_scope(), "SELECT schema_name FROM duckdb_schemas()").await.unwrap(), ["main"]);
    assert_eq!(
        place.texts_in(then_scope(), "SELECT column_type FROM (DESCRIBE t) LIMIT 1").await.unwrap(),
        ["INTEGER"]
    );
    assert!(place.texts_in(then_scope(), "SHOW TABLES FROM later").await.unwrap_err().contains("later"));

    let now = place.texts(COLUMNS).await;
    assert_eq!((now.len(), now[0].as_str()), (6, "t.a BIGINT"));
    assert_eq!(place.texts("SHOW TABLES").await, ["t", "u"]);
    assert_eq!(place.texts("SELECT schema_name FROM duckdb_schemas()").await, ["later", "main"]);
    assert_eq!(place.texts("SELECT count(*) FROM (SHOW TABLES FROM later)").await, ["0"]);

    let first = at(ReadAt::Snapshot(SnapshotId::new(0).unwrap()));
    assert!(place.texts_in(first, COLUMNS).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_shows_one_lake_and_one_bucket() {
    let place = Place::new().await;
    let shape = schema(vec![column("a", "INTEGER")], &[]);
    place.make(&shape).await;
    place.write(LakeWrite::CreateBucket { bucket: bucket("b"), description: None }).await.unwrap();
    let mut other = table("hidden");
    place.lakes.create(lake(2)).await.unwrap();
    place.lakes.write(lake(2), LakeWrite::create_table(other.clone(), shape.clone()), origin("r")).await.unwrap();
    other.bucket = bucket("b");
    other.table = table("inner").table;
    place.write(LakeWrite::create_table(other, shape)).await.unwrap();
    for (only, expected) in
        [(None, vec!["inner", "t"]), (Some(bucket("B")), vec!["inner"]), (Some(bucket("x")), vec![])]
    {
        for list in ["information_schema.tables", "duckdb_tables()", "duckdb_columns()", "information_schema.columns"] {
            let scope = ReadScope { only_bucket: only.clone(), ..ReadScope::of(lake(1), ReadAt::Head) };
            let sql = format!("SELECT table_name FROM {list} ORDER BY 1");
            assert_eq!(place.texts_in(scope, &sql).await.unwrap(), expected, "{list}");
        }
    }
}

#[tokio::test]
async fn thousands_of_columns_are_listed() {
    let place = Place::new().await;
    let columns: Vec<_> = (0..2_000).map(|number| column(&format!("column_{number}"), "DECIMAL(10,2)")).collect();
    let wide = schema(columns, &[]);
    for name in ["t", "u", "v"] {
        place.write(LakeWrite::create_table(table(name), wide.clone())).await.unwrap();
    }
    let started = std::time::Instant::now();
    assert_eq!(place.texts("SELECT count(*) FROM information_schema.columns").await, ["6000"]);
    assert_eq!(place.texts("SELECT sum(column_count)::BIGINT FROM duckdb_tables()").await, ["6000"]);
    eprintln!("{:?}", started.elapsed());
}
