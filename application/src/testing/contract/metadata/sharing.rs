//! Shares, grants and links.

use std::sync::Arc;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::sharing::{Grant, Link, Readership, Share, SourceBucket};

use super::insert;
use crate::testing::builders::{bucket, project_id, seconds_past_noon};

fn source(project: &str, name: &str) -> SourceBucket {
    SourceBucket { project: project_id(project), bucket: bucket(name) }
}

fn share(of: &SourceBucket, target: &str) -> Share {
    let (created_at, created_by) = (seconds_past_noon(1), "admin".to_owned());
    Share { source: of.clone(), target: project_id(target), created_at, created_by }
}

fn grant(of: &SourceBucket) -> Grant {
    Grant { source: of.clone(), created_at: seconds_past_noon(2), created_by: "key:1".to_owned() }
}

fn link(project: &str, name: &str, of: &SourceBucket) -> Link {
    Link {
        project: project_id(project),
        name: bucket(name),
        source: of.clone(),
        snapshot: None,
        unconditional: false,
        created_at: seconds_past_noon(3),
        created_by: "admin".to_owned(),
    }
}

/// The links of a project that may be read, and those that may not, by name.
async fn links(store: &Arc<dyn MetadataStore>, project: &str) -> (Vec<String>, Vec<String>) {
    let known = store.read().await.unwrap().sharing().links_of(&project_id(project)).await.unwrap();
    let names = |open: bool| {
        let names = known.iter().filter(|known| known.open == open).map(|known| known.link.name.as_str().to_owned());
        names.collect()
    };
    (names(true), names(false))
}

/// The links to a bucket, or all, and whether they may be read.
async fn readers(store: &Arc<dyn MetadataStore>, of: Option<&SourceBucket>) -> Vec<String> {
    let known = store.read().await.unwrap().sharing().links_to(of).await.unwrap();
    known.iter().map(|known| format!("{}.{} {}", known.link.project, known.link.name, known.open)).collect()
}

async fn all_projects(store: &Arc<dyn MetadataStore>) {
    for id in ["A", "b", "c"] {
        insert(store, id).await;
    }
}

/// A bucket is shared with a project once, in whatever case it is named, and listed at both ends.
pub async fn a_share_is_there_once(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let mut tx = store.write().await.unwrap();
    for (name, target) in [("Sales", "c"), ("sales", "b"), ("costs", "b")] {
        tx.sharing().insert_share(&share(&source("a", name), target)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let again = store.write().await.unwrap().sharing().insert_share(&share(&source("A", "SALES"), "B")).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists)), "{again:?}");

    let mut tx = store.read().await.unwrap();
    let by: Vec<_> = tx.sharing().shares_by(&project_id("a")).await.unwrap();
    let spelled = |share: &Share| format!("{}.{} {}", share.source.project, share.source.bucket.as_str(), share.target);
    assert_eq!(by.iter().map(spelled).collect::<Vec<_>>(), ["A.costs b", "A.sales b", "A.Sales c"]);
    assert_eq!(by[0], share(&source("a", "costs"), "b"));
    assert_eq!(tx.sharing().shares_with(&project_id("B")).await.unwrap().len(), 2);
    assert!(tx.sharing().shares_by(&project_id("b")).await.unwrap().is_empty());
    drop(tx);

    let mut tx = store.write().await.unwrap();
    assert!(tx.sharing().remove_share(&source("a", "SALES"), &project_id("b")).await.unwrap());
    assert!(!tx.sharing().remove_share(&source("a", "sales"), &project_id("b")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.read().await.unwrap().sharing().shares_by(&project_id("a")).await.unwrap().len(), 2);
}

/// A bucket is open to all, or it isn't.
pub async fn a_grant_is_there_once(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let mut tx = store.write().await.unwrap();
    for of in [source("b", "y"), source("a", "X"), source("a", "w")] {
        tx.sharing().insert_grant(&grant(&of)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let again = store.write().await.unwrap().sharing().insert_grant(&grant(&source("A", "x"))).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists)), "{again:?}");
    let mut tx = store.write().await.unwrap();
    let all = tx.sharing().grants(None, 10).await.unwrap();
    assert_eq!(all, [grant(&source("a", "w")), grant(&source("a", "x")), grant(&source("b", "y"))]);
    assert_eq!(all[1].source.bucket.as_str(), "X");
    assert_eq!(tx.sharing().grants(None, 2).await.unwrap().len(), 2);
    assert_eq!(tx.sharing().grants(Some(&project_id("B")), 10).await.unwrap(), [grant(&source("b", "y"))]);
    assert!(tx.sharing().remove_grant(&source("a", "x")).await.unwrap());
    assert!(!tx.sharing().remove_grant(&source("a", "x")).await.unwrap());
}

/// A link reads back as it was stored; its name is free again when it is removed.
pub async fn a_link_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let of = source("a", "Sales");
    let pinned = Link { snapshot: Some(SnapshotId::new(7).unwrap()), ..link("b", "Old", &of) };
    let free = Link { unconditional: true, created_by: "key:1".to_owned(), ..link("b", "ext", &of) };
    let mut tx = store.write().await.unwrap();
    for link in [&pinned, &free, &link("c", "ext", &of)] {
        tx.sharing().insert_link(link).await.unwrap();
    }
    tx.commit().await.unwrap();
    let taken = store.write().await.unwrap().sharing().insert_link(&link("B", "EXT", &source("c", "x"))).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)), "{taken:?}");
    let mut tx = store.write().await.unwrap();
    let known = tx.sharing().links_of(&project_id("B")).await.unwrap();
    assert_eq!(known.iter().map(|known| &known.link).collect::<Vec<_>>(), [&free, &pinned]);
    assert_eq!((known[1].link.name.as_str(), known[1].link.source.bucket.as_str()), ("Old", "Sales"));
    assert!(tx.sharing().remove_link(&project_id("b"), &bucket("OLD")).await.unwrap());
    assert!(!tx.sharing().remove_link(&project_id("b"), &bucket("old")).await.unwrap());
    tx.sharing().insert_link(&pinned).await.unwrap();
    tx.commit().await.unwrap();
}

/// A link may be read while there is a share with its project, or a grant, or if an admin made it so.
pub async fn a_link_is_open_by_a_share_a_grant_or_an_admin(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let (shared, granted, other) = (source("a", "shared"), source("a", "granted"), source("a", "other"));
    let mut tx = store.write().await.unwrap();
    tx.sharing().insert_share(&share(&shared, "b")).await.unwrap();
    tx.sharing().insert_share(&share(&other, "c")).await.unwrap();
    tx.sharing().insert_grant(&grant(&granted)).await.unwrap();
    for link in [link("b", "s", &shared), link("b", "g", &granted), link("b", "o", &other), link("c", "s", &shared)] {
        tx.sharing().insert_link(&link).await.unwrap();
    }
    tx.sharing().insert_link(&Link { unconditional: true, ..link("b", "u", &other) }).await.unwrap();
    tx.commit().await.unwrap();
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(links(&store, "b").await, (texts(&["g", "s", "u"]), texts(&["o"])));
    assert_eq!(links(&store, "c").await, (texts(&[]), texts(&["s"])));
    assert_eq!(readers(&store, Some(&source("A", "Shared"))).await, ["b.s true", "c.s false"]);
    assert_eq!(readers(&store, Some(&source("b", "shared"))).await, [""; 0]);
    let all = ["b.g true", "b.o false", "b.s true", "b.u true", "c.s false"];
    assert_eq!(readers(&store, None).await, all);

    let mut tx = store.write().await.unwrap();
    tx.sharing().remove_share(&shared, &project_id("b")).await.unwrap();
    tx.sharing().remove_grant(&granted).await.unwrap();
    tx.sharing().end_unconditional(&other, &project_id("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(links(&store, "b").await, (texts(&[]), texts(&["g", "o", "s", "u"])));
}

/// A bucket or a project that is gone takes its shares, grants and links with it, and no others.
pub async fn what_is_gone_ends_its_shares_and_links(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let mut tx = store.write().await.unwrap();
    for of in [source("a", "x"), source("a", "y"), source("c", "x")] {
        tx.sharing().insert_share(&share(&of, "b")).await.unwrap();
        tx.sharing().insert_grant(&grant(&of)).await.unwrap();
        let name = BucketName::parse(&format!("{}_{}", of.project.as_str(), of.bucket.as_str())).unwrap();
        tx.sharing().insert_link(&Link { name, ..link("b", "any", &of) }).await.unwrap();
    }
    tx.sharing().insert_link(&link("c", "ax", &source("a", "x"))).await.unwrap();
    tx.sharing().forget_bucket(&source("A", "X")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(links(&store, "b").await.0, ["a_y", "c_x"]);
    assert_eq!(links(&store, "c").await, (Vec::new(), Vec::new()));

    let mut tx = store.write().await.unwrap();
    tx.sharing().forget_project(&project_id("c")).await.unwrap();
    assert_eq!(tx.sharing().shares_with(&project_id("b")).await.unwrap(), [share(&source("a", "y"), "b")]);
    assert_eq!(tx.sharing().grants(None, 9).await.unwrap(), [grant(&source("a", "y"))]);
    tx.sharing().forget_project(&project_id("b")).await.unwrap();
    assert!(tx.sharing().shares_by(&project_id("a")).await.unwrap().is_empty());
    assert!(tx.sharing().links_of(&project_id("b")).await.unwrap().is_empty());
}

fn read(of: &SourceBucket, name: &str, reader: &str, reads: u64, last: i64) -> Readership {
    let (reader, last_read_at) = (project_id(reader), seconds_past_noon(last));
    Readership { source: of.clone(), table: TableName::parse(name).unwrap(), reader, reads, last_read_at }
}

/// Reads add up by bucket, table and reader, in whatever case they are named; the latest time counts. They go with what is gone.
pub async fn reads_through_links_add_up(store: Arc<dyn MetadataStore>) {
    all_projects(&store).await;
    let (x, y) = (source("A", "x"), source("A", "y"));
    let mut tx = store.write().await.unwrap();
    let first =
        [read(&y, "t", "b", 1, 5), read(&x, "t", "b", 2, 9), read(&x, "t", "c", 1, 1), read(&x, "r", "c", 4, 2)];
    tx.sharing().add_reads(&first).await.unwrap();
    let gone = read(&x, "t", "nobody", 1, 1);
    tx.sharing().add_reads(&[read(&source("a", "X"), "T", "B", 3, 7), read(&x, "t", "c", 1, 8), gone]).await.unwrap();
    tx.sharing().add_reads(&[]).await.unwrap();
    let known = tx.sharing().readers(&project_id("a"), 9).await.unwrap();
    let wanted =
        [read(&x, "r", "c", 4, 2), read(&x, "t", "b", 5, 9), read(&x, "t", "c", 2, 8), read(&y, "t", "b", 1, 5)];
    assert_eq!(known, wanted);
    assert_eq!(tx.sharing().readers(&project_id("a"), 2).await.unwrap(), wanted[..2]);
    assert!(tx.sharing().readers(&project_id("b"), 9).await.unwrap().is_empty());
    tx.sharing().forget_bucket(&source("a", "Y")).await.unwrap();
    tx.sharing().forget_project(&project_id("b")).await.unwrap();
    let left = tx.sharing().readers(&project_id("a"), 9).await.unwrap();
    assert_eq!(left, [wanted[0].clone(), wanted[2].clone()]);
}
