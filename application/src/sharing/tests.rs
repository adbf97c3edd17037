//! Who may share and link, and what a statement may read by that.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::LakeWrite;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::query::QueryError;
use gadwall_domain::selection::Selection;
use gadwall_domain::sharing::SourceBucket;
use gadwall_domain::table::TableRef;

use super::{NewLink, reading};
use crate::caller::{Caller, Identity};
use crate::data::Data;
use crate::error::UseCaseError;
use crate::tables::Tables;
use crate::testing::builders::{api_key, bucket, column, origin, project_id, rows, schema};
use crate::versions::{Version, Versions};
use crate::world::{World, caller};

/// A project `a` with a bucket that is shared with `b`, and the keys of both.
async fn shared() -> (World, Caller, Caller) {
    let world = World::new();
    let ((_, owner), (_, reader)) = (world.project("a").await, world.project("b").await);
    world.buckets.create(&owner, &project_id("a"), bucket("sales"), None).await.unwrap();
    world.sharing.share(&owner, &project_id("a"), &bucket("sales"), &project_id("b")).await.unwrap();
    (world, owner, reader)
}

async fn link(world: &World, who: &Caller, name: &str) -> Result<(), UseCaseError> {
    let source = SourceBucket { project: project_id("a"), bucket: bucket("sales") };
    world.sharing.link(who, &project_id("b"), &bucket(name), NewLink { source, snapshot: None }).await.map(drop)
}

fn limited(project: &str, scopes: &[Scope], only: Option<&str>) -> Caller {
    caller(Identity::Known(Principal::Key {
        id: api_key(project, "x").id,
        project: project_id(project),
        scopes: scopes.iter().copied().collect(),
        bucket: only.map(bucket),
    }))
}

#[tokio::test]
async fn rows_of_a_linked_table_end_with_its_share() {
    let (world, owner, reader) = shared().await;
    link(&world, &reader, "ext").await.unwrap();
    let lake = world.access.open(&owner, &project_id("a"), Scope::Read).await.unwrap().lake;
    let named = |of: &str| TableRef { bucket: bucket(of), table: TableName::parse("t").unwrap() };
    let shape = schema(vec![column("i", "BIGINT")], &[]);
    let rows = rows(["i"], &[[Some("1")]]);
    for write in
        [LakeWrite::create_table(named("sales"), shape.clone()), LakeWrite::append(named("sales"), shape, rows)]
    {
        world.lakes.write(lake, write, origin("r")).await.unwrap();
    }
    let parts = || (Arc::clone(&world.store) as Arc<dyn MetadataStore>, Arc::clone(&world.lakes));
    let (access, projection, projects) =
        (Arc::clone(&world.access), Arc::clone(&world.projection), Arc::clone(&world.projects));
    let ((a, b), (c, d)) = (parts(), parts());
    let tables = Arc::new(Tables::new(a, b, Arc::clone(&access), projection, projects));
    let data = Data::new(Arc::clone(&world.lakes), access, tables, Arc::new(Versions::new(c, d as _)));
    let opened = data.open(&reader, &project_id("b"), &named("ext"), &Version::Head).await.unwrap();
    let patience = Duration::from_secs(10);
    let (read, _) = data.rows(&opened, Selection::default(), patience).await.unwrap();
    let (whole, _) = data.rows(&opened, Selection::default(), patience).await.unwrap();
    assert_eq!(whole.batches.count().await, 1);
    world.sharing.unshare(&owner, &project_id("a"), &bucket("sales"), &project_id("b")).await.unwrap();
    let ended: Vec<_> = read.batches.collect().await;
    assert!(matches!(ended[..], [Err(QueryError::Cancelled)]), "{ended:?}");
    let again = data.rows(&opened, Selection::default(), patience).await;
    assert!(matches!(again, Err(UseCaseError::LinkEnded { .. })));
    assert!(world.access.link_reads().all().is_empty());
}

/// The links that a statement of a caller may read, by name, and whether they show anything.
async fn read(world: &World, who: &Caller, sql: &str, default: Option<&str>) -> Vec<(String, bool)> {
    let project = world.access.open(who, &project_id("b"), Scope::Read).await.unwrap();
    let default: Option<BucketName> = default.map(bucket);
    let found = reading(&world.access, &*world.lakes, who, &project, [sql], default.as_ref()).await.unwrap();
    found.links.into_iter().map(|link| (link.name.to_string(), link.source.is_some())).collect()
}

#[tokio::test]
async fn only_who_manages_a_project_shares_and_links() {
    let (world, _, reader) = shared().await;
    let (a, b, sales) = (project_id("a"), project_id("b"), bucket("sales"));
    for who in [&reader, &limited("a", &[Scope::Read, Scope::Write], None), &limited("a", &[Scope::Manage], Some("x"))]
    {
        let refused = [
            world.sharing.share(who, &a, &sales, &b).await.map(drop),
            world.sharing.unshare(who, &a, &sales, &b).await,
            world.sharing.grant(who, &a, &sales).await,
            world.sharing.revoke(who, &a, &sales).await,
        ];
        assert!(refused.iter().all(|done| matches!(done, Err(UseCaseError::Forbidden))), "{refused:?}");
    }
    let narrow = limited("b", &[Scope::Read, Scope::Manage], Some("ext"));
    assert!(matches!(link(&world, &narrow, "other").await, Err(UseCaseError::Forbidden)));
    assert!(matches!(link(&world, &limited("b", &[Scope::Read], None), "ext").await, Err(UseCaseError::Forbidden)));
    link(&world, &narrow, "ext").await.unwrap();
    link(&world, &reader, "other").await.unwrap();
    let names = async |who: &Caller| world.sharing.links(who, &b).await.unwrap().len();
    assert_eq!((names(&reader).await, names(&narrow).await), (2, 1));
    assert_eq!(read(&world, &narrow, "FROM ext.t, other.t", None).await, [("ext".to_owned(), true)]);
}

#[tokio::test]
async fn a_statement_reads_the_links_that_it_names_while_they_are_open() {
    let (world, owner, reader) = shared().await;
    link(&world, &reader, "Ext").await.unwrap();
    let open = [("Ext".to_owned(), true)];
    assert_eq!(read(&world, &reader, "FROM mine", None).await, []);
    assert_eq!(read(&world, &reader, "FROM EXT.t", None).await, open);
    assert_eq!(read(&world, &reader, "SHOW ALL TABLES", None).await, open);
    assert_eq!(read(&world, &reader, "FROM t", Some("ext")).await, open);
    world.sharing.unshare(&owner, &project_id("a"), &bucket("sales"), &project_id("b")).await.unwrap();
    assert_eq!(read(&world, &reader, "FROM ext.t", None).await, [("Ext".to_owned(), false)]);
    let opened = world.access.open_to_read(&reader, &project_id("b"), &bucket("ext")).await;
    assert!(matches!(opened, Err(UseCaseError::LinkEnded { .. })));
    let opened = world.access.open_bucket(&reader, &project_id("b"), &bucket("ext"), Scope::Write).await;
    assert!(matches!(opened, Err(UseCaseError::LinkedBucket { .. })));
}

#[tokio::test]
async fn a_share_that_ends_ends_what_an_admin_linked_too() {
    let (world, owner, reader) = shared().await;
    let (a, b, sales) = (project_id("a"), project_id("b"), bucket("sales"));
    world.sharing.unshare(&owner, &a, &sales, &b).await.unwrap();
    assert!(matches!(link(&world, &reader, "ext").await, Err(UseCaseError::Forbidden)));
    link(&world, &world.admin(), "ext").await.unwrap();
    assert_eq!(read(&world, &reader, "FROM ext.t", None).await, [("ext".to_owned(), true)]);
    world.sharing.unshare(&owner, &a, &sales, &b).await.unwrap();
    assert_eq!(read(&world, &reader, "FROM ext.t", None).await, [("ext".to_owned(), false)]);
}
