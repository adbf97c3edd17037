//! What only a folder on a disk can do to datasets.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gadwall_application::testing::builders::{dataset, lake, object};
use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::dataset::{ContentType, Precondition};
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, ObjectQuery, ObjectStorage, PutOptions};
use gadwall_objects::LocalObjects;
use tempfile::TempDir;

fn open(root: &Path) -> LocalObjects {
    LocalObjects::open(root, Arc::new(FixedClock::default()), Arc::new(SeqIds::default())).unwrap()
}

/// A store with a dataset, and the folder of that.
async fn fresh() -> (LocalObjects, TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.create_dataset(lake(1), &dataset("d")).await.unwrap();
    let folder = PathBuf::from(store.engine_location(lake(1), &dataset("d")).await.unwrap());
    (store, dir, folder)
}

fn content(text: &'static str) -> Content {
    Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]))
}

async fn put(store: &LocalObjects, name: &str, text: &'static str) -> Result<(), ObjectError> {
    let options = PutOptions { content_type: Some(ContentType::parse("x/y").unwrap()), ..PutOptions::default() };
    store.put(lake(1), &dataset("d"), &object(name), content(text), options).await.map(drop)
}

async fn names(store: &LocalObjects) -> Vec<String> {
    let query = ObjectQuery { limit: 1_000, ..ObjectQuery::default() };
    let found = store.list(lake(1), &dataset("d"), &query).await.unwrap();
    found.into_iter().map(|info| info.name.to_string()).collect()
}

async fn text(store: &LocalObjects, name: &str) -> Result<String, ObjectError> {
    let opened = store.get(lake(1), &dataset("d"), &object(name)).await?;
    let size = opened.info().size;
    let parts: Vec<Bytes> = opened.read(0..size).await?.try_collect().await?;
    Ok(String::from_utf8(parts.concat()).unwrap())
}

#[tokio::test]
async fn objects_lie_under_their_own_names_and_nothing_lies_beside_them() {
    let (store, dir, folder) = fresh().await;
    let names = ["a/b c.csv", "a/%41.csv", "x#1", "é"];
    for name in names {
        put(&store, name, "x").await.unwrap();
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "x");
    }
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"half")), Err(ContentError::Interrupted)]);
    let (d, half) = (dataset("d"), object("a/half"));
    assert!(store.put(lake(1), &d, &half, Box::pin(broken), PutOptions::default()).await.is_err());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    assert_eq!(fs::read_dir(folder.join("a")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(dir.path().join(".incoming")).unwrap().count(), 0);
    // One type for each object, and none after it.
    let types = folder.parent().unwrap().join(".types/d");
    assert_eq!(fs::read_dir(&types).unwrap().count(), 4);
    for name in names {
        put_and_delete(&store, name).await;
    }
    assert_eq!(fs::read_dir(&types).unwrap().count(), 0);
}

async fn put_and_delete(store: &LocalObjects, name: &str) {
    put(store, name, "again").await.unwrap();
    store.delete(lake(1), &dataset("d"), &object(name), &Precondition::default()).await.unwrap();
}

#[tokio::test]
async fn links_are_not_followed() {
    let (store, _dir, folder) = fresh().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), folder.join("folder")).unwrap();
    symlink(outside.path().join("secret"), folder.join("file")).unwrap();
    symlink(outside.path(), folder.parent().unwrap().join("linked")).unwrap();
    for name in ["file", "folder/secret", "folder"] {
        assert!(matches!(text(&store, name).await, Err(ObjectError::NoObject)), "{name}");
        assert!(matches!(store.head(lake(1), &dataset("d"), &object(name)).await, Err(ObjectError::NoObject)));
        store.delete(lake(1), &dataset("d"), &object(name), &Precondition::default()).await.unwrap();
    }
    assert!(names(&store).await.is_empty());
    assert_eq!(store.datasets(lake(1)).await.unwrap(), [dataset("d")]);
    assert!(matches!(put(&store, "folder/new", "x").await, Err(ObjectError::NameClash)));
    let linked = store.put(lake(1), &dataset("linked"), &object("new"), content("x"), PutOptions::default()).await;
    assert!(matches!(linked, Err(ObjectError::NoDataset)));
    // A put replaces the link, not what it leads to.
    put(&store, "file", "mine").await.unwrap();
    assert_eq!(text(&store, "file").await.unwrap(), "mine");
    let adopted = outside.path().join("link");
    symlink(outside.path().join("secret"), &adopted).unwrap();
    let taken = store.adopt(lake(1), &dataset("d"), &object("x"), adopted, ContentType::parse("a/b").unwrap()).await;
    assert!(matches!(taken, Err(ObjectError::Fault(_))));
    store.remove_all(lake(1)).await.unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_a_crash_left_unfinished_goes_at_the_next_start() {
    let (store, dir, folder) = fresh().await;
    put(&store, "a/b", "kept").await.unwrap();
    drop(store);
    let incoming = dir.path().join(".incoming");
    fs::write(incoming.join("half"), "half").unwrap();
    fs::create_dir_all(incoming.join("removed/deep/folder")).unwrap();
    // Folders made for an object that never came, and one removed halfway.
    fs::create_dir_all(folder.join("empty/e/e")).unwrap();
    let store = open(dir.path());
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(names(&store).await, ["a/b"]);
    put(&store, "empty", "an object now").await.unwrap();
    fs::create_dir_all(folder.join("rest/r")).unwrap();
    let kept = store.head(lake(1), &dataset("d"), &object("a/b")).await.unwrap();
    assert_eq!(kept.content_type.as_str(), "x/y");
    for name in ["a/b", "empty"] {
        store.delete(lake(1), &dataset("d"), &object(name), &Precondition::default()).await.unwrap();
    }
    store.delete_dataset(lake(1), &dataset("d")).await.unwrap();
    assert_eq!(fs::read_dir(folder.parent().unwrap().join(".types")).unwrap().count(), 0);
}

#[tokio::test]
async fn files_of_others_are_objects_and_what_is_no_file_is_not() {
    let (store, _dir, folder) = fresh().await;
    fs::create_dir(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/x.csv"), "1").unwrap();
    fs::write(folder.join("no\\name"), "1").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(names(&store).await, ["sub/x.csv"]);
    let info = store.head(lake(1), &dataset("d"), &object("sub/x.csv")).await.unwrap();
    assert_eq!(info.content_type.as_str(), "text/csv");
    assert!(matches!(text(&store, "pipe").await, Err(ObjectError::NoObject)));
    let deleted = store.delete_dataset(lake(1), &dataset("d")).await;
    assert!(matches!(deleted, Err(ObjectError::DatasetNotEmpty)));
    assert!(folder.join("no\\name").exists());
}

#[tokio::test]
async fn a_file_of_another_file_system_is_copied_in() {
    let (store, _dir, _) = fresh().await;
    // Where there is no second file system, there is nothing to test.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let file = other.path().join("made");
    fs::write(&file, "made elsewhere").unwrap();
    let kind = ContentType::parse("a/b").unwrap();
    store.adopt(lake(1), &dataset("d"), &object("a/made"), file.clone(), kind).await.unwrap();
    assert!(!file.exists());
    assert_eq!(text(&store, "a/made").await.unwrap(), "made elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_come_and_go_are_in_nobodys_way() {
    let (store, _dir, _) = fresh().await;
    let store = Arc::new(store);
    let worker = |number: usize| {
        let store = Arc::clone(&store);
        async move {
            let name = format!("a/b/{number}");
            for _ in 0..60 {
                put(&store, &name, "x").await.unwrap();
                assert_eq!(text(&store, &name).await.unwrap(), "x");
                store.delete(lake(1), &dataset("d"), &object(&name), &Precondition::default()).await.unwrap();
            }
        }
    };
    let workers: Vec<_> = (0..4).map(|number| tokio::spawn(worker(number))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(names(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_one_version_with_its_own_type() {
    let (store, _dir, _) = fresh().await;
    let store = Arc::new(store);
    let writing = Arc::clone(&store);
    let put = move |kind: &'static str| {
        let options = PutOptions { content_type: Some(ContentType::parse(kind).unwrap()), ..PutOptions::default() };
        let store = Arc::clone(&writing);
        async move { store.put(lake(1), &dataset("d"), &object("o"), content(kind), options).await.unwrap() }
    };
    put("x/first").await;
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            put("x/second-one").await;
            put("x/first").await;
        }
    });
    while !writer.is_finished() {
        let opened = store.get(lake(1), &dataset("d"), &object("o")).await.unwrap();
        let info = opened.info().clone();
        let parts: Vec<Bytes> = opened.read(0..info.size).await.unwrap().try_collect().await.unwrap();
        assert_eq!(info.content_type.as_str().as_bytes(), parts.concat());
    }
    writer.await.unwrap();
}
