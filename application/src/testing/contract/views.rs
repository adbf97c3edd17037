//! What a lake promises of its views. What they show is the business of the engine that runs SQL.

use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{LakeStore, LakeWrite, ViewEngine, WriteError};
use gadwall_domain::query::ReadScope;
use gadwall_domain::script::{ScriptError, ScriptFault};
use gadwall_domain::view::{View, ViewDefinition};

use crate::testing::builders::{bucket, column, lake, origin, schema, table};

/// A lake that keeps views.
pub trait ViewLake: LakeStore + ViewEngine {}

impl<T: LakeStore + ViewEngine> ViewLake for T {}

/// Tests that an adapter keeps every promise of `ViewEngine`. The expression answers
/// `(Arc<dyn ViewLake>, guard)`: a fresh store, without lakes, for each test.
#[macro_export]
macro_rules! views_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $crate::testing::contract::views, $fresh, [
                a_view_is_made_told_and_dropped,
                a_view_made_anew_takes_the_old_ones_place,
                a_view_and_a_table_share_no_name,
                views_are_told_as_of_a_version,
                a_view_is_content_of_its_bucket,
                what_is_not_there_is_told,
            ]
        }
    };
}

const LAKE: u128 = 1;
const PATIENCE: Duration = Duration::from_secs(30);

fn scope() -> ReadScope {
    ReadScope::of(lake(LAKE), ReadAt::Head)
}

async fn define(store: &Arc<dyn ViewLake>, name: &str, query: &str) -> Result<SnapshotId, ScriptError> {
    let definition = ViewDefinition { name: table(name), query: query.to_owned(), comment: Some(query.to_owned()) };
    store.define_view(scope(), definition, PATIENCE, origin("r1")).await
}

async fn dropped(store: &Arc<dyn ViewLake>, name: &str) -> Result<SnapshotId, ScriptError> {
    store.drop_view(scope(), table(name), PATIENCE, origin("r1")).await
}

async fn one(store: &Arc<dyn ViewLake>, name: &str, at: ReadAt) -> Option<View> {
    let name = table(name);
    store.views(lake(LAKE), &name.bucket, Some(&name.table), at).await.unwrap().pop()
}

async fn names(store: &Arc<dyn ViewLake>, name: &str) -> Vec<String> {
    let views = store.views(lake(LAKE), &bucket(name), None, ReadAt::Head).await.unwrap();
    views.into_iter().map(|view| view.name.to_string()).collect()
}

async fn buckets(store: &Arc<dyn ViewLake>) -> Vec<String> {
    let listed = store.buckets(lake(LAKE), ReadAt::Head).await.unwrap();
    listed.into_iter().map(|bucket| bucket.name.to_string()).collect()
}

fn fault(result: Result<SnapshotId, ScriptError>) -> WriteError {
    match result.unwrap_err().fault {
        ScriptFault::Write(fault) => fault.source,
        other => panic!("{other}"),
    }
}

async fn write(store: &Arc<dyn ViewLake>, write: LakeWrite) -> Result<SnapshotId, WriteError> {
    Ok(store.write(lake(LAKE), write, origin("r1")).await?.snapshot)
}

fn a_table(name: &str) -> LakeWrite {
    LakeWrite::create_table(table(name), schema(vec![column("id", "INTEGER")], &[]))
}

/// A view is told as it was given, in a snapshot of its own, until it is dropped.
pub async fn a_view_is_made_told_and_dropped(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    let before = store.head(lake(LAKE)).await.unwrap();
    let snapshot = define(&store, "main.Top", "SELECT 1 AS one").await.unwrap();
    assert_eq!(snapshot.get(), before.get() + 1);
    define(&store, "main.also", "SELECT 2 AS two").await.unwrap();
    assert_eq!(names(&store, "MAIN").await, ["main.also", "main.Top"]);
    let view = one(&store, "main.top", ReadAt::Head).await.unwrap();
    assert_eq!((view.name.to_string().as_str(), view.query.as_str()), ("main.Top", "SELECT 1 AS one"));
    assert_eq!((view.comment.as_deref(), view.snapshot), (Some("SELECT 1 AS one"), snapshot));
    assert!(view.changed_at.is_some());
    let told = store.commits_after(lake(LAKE), before, 1).await.unwrap().remove(0).writes.remove(0);
    assert_eq!((told.change.event_type(), told.origin.request_id.as_str()), ("view.created", "r1"));
    dropped(&store, "main.TOP").await.unwrap();
    assert_eq!(names(&store, "main").await, ["main.also"]);
}

/// A view that is made again is what was asked for last, and told so.
pub async fn a_view_made_anew_takes_the_old_ones_place(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    define(&store, "main.v", "SELECT 1 AS one").await.unwrap();
    let second = define(&store, "main.v", "SELECT 2 AS two").await.unwrap();
    let view = one(&store, "main.v", ReadAt::Head).await.unwrap();
    assert_eq!((view.query.as_str(), view.snapshot), ("SELECT 2 AS two", second));
    assert_eq!(names(&store, "main").await.len(), 1);
}

/// Where a table is no view is made, and the other way around; also by renaming.
pub async fn a_view_and_a_table_share_no_name(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    write(&store, a_table("main.t")).await.unwrap();
    assert!(matches!(fault(define(&store, "main.T", "SELECT 1 AS one").await), WriteError::TableExists));
    define(&store, "main.v", "SELECT 1 AS one").await.unwrap();
    assert!(matches!(write(&store, a_table("main.V")).await, Err(WriteError::ViewExists)));
    let rename = LakeWrite::RenameTable {
        table: table("main.t"),
        to: table("main.V").table,
        expected: gadwall_domain::history::Expected::ANY,
    };
    assert!(matches!(write(&store, rename).await, Err(WriteError::ViewExists)));
}

/// Old versions tell the views of then.
pub async fn views_are_told_as_of_a_version(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    let empty = store.head(lake(LAKE)).await.unwrap();
    let first = define(&store, "main.v", "SELECT 1 AS one").await.unwrap();
    let second = define(&store, "main.v", "SELECT 2 AS two").await.unwrap();
    dropped(&store, "main.v").await.unwrap();
    assert!(one(&store, "main.v", ReadAt::Head).await.is_none());
    assert!(one(&store, "main.v", ReadAt::Snapshot(empty)).await.is_none());
    for (snapshot, query) in [(first, "SELECT 1 AS one"), (second, "SELECT 2 AS two")] {
        assert_eq!(one(&store, "main.v", ReadAt::Snapshot(snapshot)).await.unwrap().query, query);
    }
}

/// A bucket with a view isn't empty, and views go with their bucket. `main` is listed for a view alone.
pub async fn a_view_is_content_of_its_bucket(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    write(&store, LakeWrite::CreateBucket { bucket: bucket("sales"), description: None }).await.unwrap();
    define(&store, "sales.v", "SELECT 1 AS one").await.unwrap();
    assert_eq!(buckets(&store).await, ["sales"]);
    define(&store, "main.v", "SELECT 1 AS one").await.unwrap();
    assert_eq!(buckets(&store).await, ["main", "sales"]);
    for name in ["sales", "main"] {
        let drop_it = |cascade| LakeWrite::DropBucket { bucket: bucket(name), cascade };
        assert!(matches!(write(&store, drop_it(false)).await, Err(WriteError::BucketNotEmpty)), "{name}");
        write(&store, drop_it(true)).await.unwrap();
        assert!(names(&store, name).await.is_empty(), "{name}");
    }
    assert!(buckets(&store).await.is_empty());
}

/// Views of buckets that aren't there can't be made, nor can those be dropped that aren't there.
pub async fn what_is_not_there_is_told(store: Arc<dyn ViewLake>) {
    store.create(lake(LAKE)).await.unwrap();
    let head = store.head(lake(LAKE)).await.unwrap();
    assert!(matches!(fault(define(&store, "nope.v", "SELECT 1 AS one").await), WriteError::NoBucket));
    assert!(matches!(fault(dropped(&store, "main.v").await), WriteError::NoView));
    assert!(names(&store, "nope").await.is_empty());
    assert_eq!(store.head(lake(LAKE)).await.unwrap(), head);
}
