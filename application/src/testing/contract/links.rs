//! What `LakeStore` and `QueryEngine` promise of lakes that read each other's buckets.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use futures_util::TryStreamExt as _;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{LakeLink, LakeStore, LakeWrite, QueryEngine};
use gadwall_domain::query::{Linked, LinkedSource, NamedFiles, Parameters, Query, QueryError, ReadScope};
use gadwall_domain::table::TableRef;

use crate::testing::builders::{bucket, column, lake, origin, rows, schema};

/// A lake that reads others.
pub trait LinkLake: LakeStore + QueryEngine {}

impl<T: LakeStore + QueryEngine> LinkLake for T {}

/// Tests that an adapter keeps every promise of links. The expression answers `(Arc<dyn LinkLake>, guard)`: a fresh
/// store, without lakes, for each test.
#[macro_export]
macro_rules! links_contract {
    ($fresh:expr) => {
        $crate::links_contract!(contract_tests, $fresh);
    };
    ($kind:ident, $fresh:expr) => {
        $crate::$kind! {
            $crate::testing::contract::links, $fresh, [
                a_link_shows_what_its_owner_has_now,
                a_link_shows_one_version_where_that_is_wanted,
                a_link_shows_nothing_else_of_its_owner,
                a_link_that_ended_can_begin_again,
            ]
        }
    };
}

const OWNER: u128 = 1;
const READER: u128 = 2;

type Store = Arc<dyn LinkLake>;

fn table_of(of: &str, name: &str) -> TableRef {
    TableRef { bucket: bucket(of), table: TableName::parse(name).unwrap() }
}

async fn write(store: &Store, write: LakeWrite) {
    store.write(lake(OWNER), write, origin("r")).await.unwrap();
}

async fn put(store: &Store, table: &TableRef, value: &str) {
    let shape = schema(vec![column("i", "BIGINT")], &[]);
    write(store, LakeWrite::append(table.clone(), shape, rows(["i"], &[[Some(value)]]))).await;
}

/// An owner with a table in each of two buckets, and a reader.
async fn two(store: &Store) {
    for number in [OWNER, READER] {
        store.create(lake(number)).await.unwrap();
    }
    for name in ["sales", "secret"] {
        write(store, LakeWrite::CreateBucket { bucket: bucket(name), description: None }).await;
        let shape = schema(vec![column("i", "BIGINT")], &[]);
        write(store, LakeWrite::create_table(table_of(name, "t"), shape)).await;
        put(store, &table_of(name, "t"), "1").await;
    }
}

/// A scope with links to the owner's buckets under their own names.
async fn scope(store: &Store, buckets: &[&str], pinned: Option<SnapshotId>) -> ReadScope {
    let newest = store.head(lake(OWNER)).await.unwrap();
    let link = |name: &&str| Linked {
        name: bucket(name),
        source: Some(LinkedSource {
            lake: lake(OWNER),
            bucket: bucket(name),
            at: pinned.unwrap_or(newest),
            pinned: pinned.is_some(),
        }),
    };
    let links = buckets.iter().map(link).collect();
    ReadScope { lake: lake(READER), only_bucket: None, at: ReadAt::Head, files: NamedFiles::default(), links }
}

/// The one number that a statement answers.
async fn number(store: &Store, scope: ReadScope, sql: &str) -> Result<i64, QueryError> {
    let timeout = Duration::from_mins(1);
    let query = Query { sql: sql.to_owned(), parameters: Parameters::None, default_bucket: None, timeout };
    let batches: Vec<_> = store.query(scope, query).await?.rows.batches.try_collect().await?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

/// Rows, and tables that come and go, are seen with the next statement.
pub async fn a_link_shows_what_its_owner_has_now(store: Arc<dyn LinkLake>) {
    two(&store).await;
    let sum = "SELECT sum(i)::BIGINT FROM sales.t";
    assert_eq!(number(&store, scope(&store, &["sales"], None).await, sum).await, Ok(1));
    put(&store, &table_of("sales", "t"), "41").await;
    assert_eq!(number(&store, scope(&store, &["sales"], None).await, sum).await, Ok(42));
    let late = "SELECT count(*) FROM sales.late";
    assert!(number(&store, scope(&store, &["sales"], None).await, late).await.is_err());
    let shape = schema(vec![column("i", "BIGINT")], &[]);
    write(&store, LakeWrite::create_table(table_of("sales", "late"), shape)).await;
    put(&store, &table_of("sales", "late"), "1").await;
    assert_eq!(number(&store, scope(&store, &["sales"], None).await, late).await, Ok(1));
    write(&store, LakeWrite::drop_table(table_of("sales", "late"))).await;
    assert!(number(&store, scope(&store, &["sales"], None).await, late).await.is_err());
}

/// A link to a version shows that one, beside what is newer.
pub async fn a_link_shows_one_version_where_that_is_wanted(store: Arc<dyn LinkLake>) {
    two(&store).await;
    let before = store.head(lake(OWNER)).await.unwrap();
    put(&store, &table_of("sales", "t"), "2").await;
    let count = "SELECT count(*) FROM sales.t";
    assert_eq!(number(&store, scope(&store, &["sales"], Some(before)).await, count).await, Ok(1));
    assert_eq!(number(&store, scope(&store, &["sales"], None).await, count).await, Ok(2));
    let then = format!("{count} AT (VERSION => {before})");
    assert_eq!(number(&store, scope(&store, &["sales"], None).await, &then).await, Ok(1));
}

/// Other buckets aren't there, neither by name nor in lists.
pub async fn a_link_shows_nothing_else_of_its_owner(store: Arc<dyn LinkLake>) {
    two(&store).await;
    let linked = scope(&store, &["sales"], None).await;
    assert!(number(&store, linked.clone(), "SELECT count(*) FROM secret.t").await.is_err());
    let listed = "SELECT count(*) FROM information_schema.tables";
    assert_eq!(number(&store, linked, listed).await, Ok(1));
    // Once it is linked, too, it is.
    let both = "SELECT (SELECT count(*) FROM sales.t) + (SELECT count(*) FROM secret.t)";
    assert_eq!(number(&store, scope(&store, &["sales", "secret"], None).await, both).await, Ok(2));
}

/// What ended doesn't end what else is read of the same owner, and can be begun anew.
pub async fn a_link_that_ended_can_begin_again(store: Arc<dyn LinkLake>) {
    two(&store).await;
    let end = async |name: &str| {
        let bucket: BucketName = bucket(name);
        let link = LakeLink { reader: lake(READER), owner: lake(OWNER), bucket };
        store.end_link(&link).await.unwrap();
        assert!(!store.held_links().await.unwrap().contains(&link));
    };
    let both = "SELECT (SELECT count(*) FROM sales.t) + (SELECT count(*) FROM secret.t)";
    end("sales").await;
    for _ in 0..2 {
        assert_eq!(number(&store, scope(&store, &["sales", "secret"], None).await, both).await, Ok(2));
        end("secret").await;
        let count = "SELECT count(*) FROM sales.t";
        assert_eq!(number(&store, scope(&store, &["sales"], None).await, count).await, Ok(1));
        end("sales").await;
    }
    assert_eq!(store.held_links().await.unwrap(), []);
}
