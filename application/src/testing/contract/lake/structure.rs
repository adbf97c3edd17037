//! Lakes, buckets and tables.

use std::sync::Arc;

use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Lake, LakeError, LakeWrite, WriteError};
use gadwall_domain::schema::Column;

use super::{LAKE, append, bucket_names, fresh_lake, make_bucket, make_table, refused, table_names, write};
use crate::testing::builders::{bucket, column, defaulted, lake, origin, required, rows, schema, table};

/// Making a lake that is there leaves it as it is.
pub async fn making_a_lake_again_leaves_it_as_it_is(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    make_bucket(&store, "sales").await;
    let head = store.head(lake(LAKE)).await.unwrap();
    store.create(lake(LAKE)).await.unwrap();
    assert_eq!(store.head(lake(LAKE)).await.unwrap(), head);
    assert_eq!(bucket_names(&store).await, ["sales"]);
}

/// Whatever is asked of a lake that was never made, it is missing.
pub async fn a_missing_lake_is_told(store: Arc<dyn Lake>) {
    let missing = |error: LakeError| assert!(matches!(error, LakeError::NoLake), "{error:?}");
    missing(store.head(lake(LAKE)).await.unwrap_err());
    missing(store.commits_after(lake(LAKE), SnapshotId::ZERO, 10).await.unwrap_err());
    missing(store.buckets(lake(LAKE), ReadAt::Head).await.unwrap_err());
    missing(store.tables(lake(LAKE), &bucket("main"), ReadAt::Head).await.unwrap_err());
    missing(store.table(lake(LAKE), &bucket("main"), &table("t").table, ReadAt::Head).await.unwrap_err());
    assert!(super::read(&store, "t", 1).await.is_err());
    let error = refused(&store, create_bucket("sales")).await;
    assert!(matches!(error, WriteError::Lake(LakeError::NoLake)), "{error:?}");
}

/// A removed lake is missing; removing it again is fine, and so is removing one that never was.
pub async fn a_removed_lake_is_gone(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let id_only = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    append(&store, "t", &id_only, rows(["id"], &[[Some("1")]])).await;
    for _ in 0..2 {
        store.remove(lake(LAKE)).await.unwrap();
        assert!(matches!(store.head(lake(LAKE)).await, Err(LakeError::NoLake)));
    }
    store.remove(lake(LAKE + 1)).await.unwrap();
}

/// What is done in one lake isn't seen in another.
pub async fn lakes_are_apart(store: Arc<dyn Lake>) {
    let other = lake(LAKE + 1);
    fresh_lake(&store).await;
    store.create(other).await.unwrap();
    let head = store.head(other).await.unwrap();
    make_bucket(&store, "sales").await;
    make_table(&store, "sales.t", schema(vec![column("id", "INTEGER")], &[])).await;
    assert!(store.buckets(other, ReadAt::Head).await.unwrap().is_empty());
    assert_eq!(store.head(other).await.unwrap(), head);
    let drop_it = LakeWrite::drop_table(table("sales.t"));
    assert!(store.write(other, drop_it, origin("r1")).await.is_err());
    store.remove(other).await.unwrap();
    assert_eq!(table_names(&store, "sales").await, ["sales.t"]);
}

/// `main` is always there, but listed only while it holds a table.
pub async fn main_is_always_there(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    assert!(bucket_names(&store).await.is_empty());
    assert!(table_names(&store, "main").await.is_empty());
    assert!(matches!(refused(&store, create_bucket("Main")).await, WriteError::BucketExists));
    make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    assert_eq!(bucket_names(&store).await, ["main"]);
    assert_eq!(table_names(&store, "MAIN").await, ["main.t"]);
    write(&store, LakeWrite::drop_table(table("t"))).await;
    assert!(bucket_names(&store).await.is_empty());
}

/// Dropping `main` drops its tables; then it isn't listed, and there is nothing to drop any more.
pub async fn dropping_main_empties_it(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    assert!(matches!(refused(&store, drop_bucket("main", true)).await, WriteError::NoBucket));
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("1")]])).await;
    assert!(matches!(refused(&store, drop_bucket("main", false)).await, WriteError::BucketNotEmpty));
    write(&store, drop_bucket("main", true)).await;
    assert!(bucket_names(&store).await.is_empty());
    assert!(matches!(refused(&store, drop_bucket("main", true)).await, WriteError::NoBucket));
    make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    assert_eq!(row_count(&store, "t").await, 0);
}

/// Buckets are listed by name with what they hold.
pub async fn buckets_are_listed_by_name(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    for name in ["b", "in-c_Sales", "A", "2024", "select"] {
        make_bucket(&store, name).await;
    }
    for name in ["b.x", "b.y"] {
        make_table(&store, name, schema(vec![column("id", "INTEGER")], &[])).await;
    }
    assert_eq!(bucket_names(&store).await, ["2024", "A", "b", "in-c_Sales", "select"]);
    let listed = store.buckets(lake(LAKE), ReadAt::Head).await.unwrap();
    let counts: Vec<u64> = listed.iter().map(|bucket| bucket.table_count).collect();
    assert_eq!(counts, [0, 0, 2, 0, 0]);
}

/// A bucket is made once, whatever the case of its name, and dropped once.
pub async fn a_bucket_is_made_and_dropped_once(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    make_bucket(&store, "Sales").await;
    assert!(matches!(refused(&store, create_bucket("sALES")).await, WriteError::BucketExists));
    write(&store, drop_bucket("SALES", false)).await;
    assert!(bucket_names(&store).await.is_empty());
    assert!(store.tables(lake(LAKE), &bucket("Sales"), ReadAt::Head).await.unwrap().is_none());
    assert!(matches!(refused(&store, drop_bucket("Sales", true)).await, WriteError::NoBucket));
    make_bucket(&store, "sales").await;
    assert_eq!(bucket_names(&store).await, ["sales"]);
}

/// A bucket that holds tables is dropped only with them.
pub async fn a_bucket_with_tables_is_dropped_only_with_them(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    make_bucket(&store, "sales").await;
    make_bucket(&store, "other").await;
    for name in ["sales.a", "sales.b", "other.a"] {
        make_table(&store, name, schema(vec![column("id", "INTEGER")], &[])).await;
    }
    assert!(matches!(refused(&store, drop_bucket("sales", false)).await, WriteError::BucketNotEmpty));
    assert_eq!(table_names(&store, "sales").await, ["sales.a", "sales.b"]);
    write(&store, drop_bucket("sales", true)).await;
    assert_eq!(bucket_names(&store).await, ["other"]);
    make_bucket(&store, "sales").await;
    assert!(table_names(&store, "sales").await.is_empty());
    assert_eq!(table_names(&store, "other").await, ["other.a"]);
}

/// A table's columns read back as they were declared, without lengths, with nullability and defaults.
pub async fn a_tables_columns_read_back(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let declared = schema(
        vec![
            column("id", "BIGINT"),
            required("it's (m²)", "VARCHAR(20)"),
            column("code", "CHAR(3)"),
            column("price", "DECIMAL(10,2)"),
            column("at", "TIMESTAMPTZ"),
            column("day", "DATE"),
            column("flag", "BOOLEAN"),
            column("small", "UTINYINT"),
            column("ratio", "FLOAT"),
            column("key", "UUID"),
            column("doc", "JSON"),
            column("raw", "BLOB"),
            column("tags", "VARCHAR[]"),
            column("place", "STRUCT(name VARCHAR, at STRUCT(x DOUBLE, y DOUBLE)[])"),
            column("counts", "MAP(VARCHAR, INTEGER)"),
            defaulted("state", "VARCHAR(10)", "'it''s new'"),
            defaulted("n", "INTEGER", "-5"),
            defaulted("yes", "BOOLEAN", "TRUE"),
            defaulted("empty", "VARCHAR", "''"),
        ],
        &["ID"],
    );
    make_table(&store, "t", declared.clone()).await;
    let found = store.table(lake(LAKE), &bucket("main"), &table("T").table, ReadAt::Head).await.unwrap().unwrap();
    let expected: Vec<Column> = declared
        .columns()
        .iter()
        .map(|column| Column { data_type: column.data_type.without_lengths(), ..column.clone() })
        .collect();
    assert_eq!(found.columns, expected);
    assert_eq!(found.columns[1].name.as_str(), "it's (m²)");
    assert!(!found.columns[0].nullable, "a key's column is never NULL");
    assert_eq!(found.size.row_count, 0);
    assert_eq!(store.tables(lake(LAKE), &bucket("main"), ReadAt::Head).await.unwrap(), Some(vec![found]));
}

/// A table is made once, in a bucket that is there, and dropped once.
pub async fn a_table_is_made_and_dropped_once(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = schema(vec![column("id", "INTEGER")], &[]);
    assert!(matches!(refused(&store, create_table("none.t", &shape)).await, WriteError::NoBucket));
    make_table(&store, "t", shape.clone()).await;
    assert!(matches!(refused(&store, create_table("T", &shape)).await, WriteError::TableExists));
    write(&store, LakeWrite::drop_table(table("T"))).await;
    for gone in ["t", "none.t"] {
        assert!(matches!(refused(&store, LakeWrite::drop_table(table(gone))).await, WriteError::NoTable));
        let found = store.table(lake(LAKE), &table(gone).bucket, &table(gone).table, ReadAt::Head).await;
        assert_eq!(found.unwrap(), None);
        assert!(super::read(&store, gone, 1).await.is_err());
    }
}

/// A table that is dropped and made again starts empty, with its new columns.
pub async fn a_table_made_again_starts_empty(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let old = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &["id"])).await;
    append(&store, "t", &old, rows(["id"], &[[Some("1")]])).await;
    write(&store, LakeWrite::drop_table(table("t"))).await;
    let new = make_table(&store, "t", schema(vec![column("id", "VARCHAR")], &["id"])).await;
    assert_eq!(row_count(&store, "t").await, 0);
    append(&store, "t", &new, rows(["id"], &[[Some("1")]])).await;
    assert_eq!(row_count(&store, "t").await, 1);
}

/// Tables are listed by name, found in any case, and spelled as they were made.
pub async fn tables_are_listed_by_name(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    make_bucket(&store, "Sales").await;
    for name in ["sales.b", "SALES.in-2024", "Sales.Ab", "sales.aa"] {
        make_table(&store, name, schema(vec![column("id", "INTEGER")], &[])).await;
    }
    assert_eq!(table_names(&store, "sales").await, ["Sales.aa", "Sales.Ab", "Sales.b", "Sales.in-2024"]);
    let found = store.table(lake(LAKE), &bucket("SALES"), &table("AB").table, ReadAt::Head).await.unwrap().unwrap();
    assert_eq!(found.name.to_string(), "Sales.Ab");
    assert!(store.tables(lake(LAKE), &bucket("none"), ReadAt::Head).await.unwrap().is_none());
    assert!(store.table(lake(LAKE), &bucket("none"), &table("b").table, ReadAt::Head).await.unwrap().is_none());
}

fn create_bucket(name: &str) -> LakeWrite {
    LakeWrite::CreateBucket { bucket: bucket(name), description: None }
}

fn drop_bucket(name: &str, cascade: bool) -> LakeWrite {
    LakeWrite::DropBucket { bucket: bucket(name), cascade }
}

fn create_table(name: &str, schema: &gadwall_domain::schema::TableSchema) -> LakeWrite {
    LakeWrite::create_table(table(name), schema.clone())
}

async fn row_count(store: &Arc<dyn Lake>, name: &str) -> u64 {
    super::stored(store, name).await.size.row_count
}
