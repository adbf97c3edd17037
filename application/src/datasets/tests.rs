//! The use cases of datasets over object storage in memory.

use bytes::Bytes;
use gadwall_domain::access::Principal;
use gadwall_domain::error::Classify as _;

use super::*;
use crate::caller::Identity;
use crate::testing::builders::{api_key, bucket, dataset, object, project_id};
use crate::world::{World, caller};

fn content(text: &'static str) -> Content {
    Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]))
}

async fn put(world: &World, caller: &Caller, name: &str) -> Result<Stored, UseCaseError> {
    let open = world.datasets.open_for_put(caller, &project_id("p"), &dataset("d"), &object(name)).await?;
    world.datasets.put(open, content("x"), PutOptions::default()).await
}

/// What each use case answers, by the scope that it needs; `None` when it is allowed.
async fn refusals(world: &World, caller: &Caller) -> [Option<&'static str>; 4] {
    let (p, d) = (project_id("p"), dataset("d"));
    let code = |error: UseCaseError| error.code();
    let list = world.datasets.list(caller, &p).await.err().map(code);
    let get = world.datasets.get(caller, &p, &d, &object("o")).await.err().map(code);
    let put = put(world, caller, "o").await.err().map(code);
    let create = world.datasets.create(caller, &p, &dataset("new")).await.err().map(code);
    [list, get, put, create]
}

fn key(scopes: &[Scope], only: Option<&str>) -> Caller {
    caller(Identity::Known(Principal::Key {
        id: api_key("p", "x").id,
        project: project_id("p"),
        scopes: scopes.iter().copied().collect(),
        bucket: only.map(bucket),
    }))
}

#[tokio::test]
async fn scopes_hold_and_a_key_of_one_bucket_has_no_part_in_files() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let (_, stranger) = world.project("q").await;
    world.datasets.create(&owner, &project_id("p"), &dataset("d")).await.unwrap();
    put(&world, &owner, "o").await.unwrap();
    let no = Some("forbidden");
    assert_eq!(refusals(&world, &key(&[Scope::Read], None)).await, [None, None, no, no]);
    assert_eq!(refusals(&world, &key(&[Scope::Write], None)).await, [no, no, None, no]);
    assert_eq!(refusals(&world, &key(&[Scope::Manage], None)).await, [no, no, no, None]);
    let all = [Scope::Read, Scope::Write, Scope::Manage];
    for refused in [key(&all, Some("d")), stranger, caller(Identity::Unknown)] {
        assert_eq!(refusals(&world, &refused).await, [no; 4]);
    }
}

#[tokio::test]
async fn what_is_missing_or_taken_is_named() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let (p, d) = (project_id("p"), dataset("d"));
    assert_eq!(put(&world, &owner, "o").await.unwrap_err().code(), "dataset_not_found");
    world.datasets.create(&owner, &p, &d).await.unwrap();
    let again = world.datasets.create(&owner, &p, &dataset("D")).await.unwrap_err();
    assert_eq!(again.code(), "dataset_exists");
    let missing = world.datasets.head(&owner, &p, &d, &object("o")).await.unwrap_err();
    assert_eq!(missing.code(), "object_not_found");
    put(&world, &owner, "o").await.unwrap();
    assert_eq!(put(&world, &owner, "o/x").await.unwrap_err().code(), "object_name_clash");
    assert_eq!(world.datasets.delete(&owner, &p, &d).await.unwrap_err().code(), "dataset_not_empty");
    world.datasets.delete_object(&owner, &p, &d, &object("o"), &Precondition::default()).await.unwrap();
    world.datasets.delete(&owner, &p, &d).await.unwrap();
    assert!(world.datasets.list(&owner, &p).await.unwrap().is_empty());
}

#[tokio::test]
async fn files_go_with_their_project() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    world.datasets.create(&owner, &project_id("p"), &dataset("d")).await.unwrap();
    put(&world, &owner, "o").await.unwrap();
    let lake = world.projects.get(&owner, &project_id("p")).await.unwrap().lake;
    assert_eq!(world.objects.datasets(lake).await.unwrap().len(), 1);
    world.projects.delete(&owner, &project_id("p")).await.unwrap();
    assert!(world.objects.datasets(lake).await.unwrap().is_empty());
}
