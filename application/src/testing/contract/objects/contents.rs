//! Promises about bytes and types.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::dataset::ContentType;
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, PutOptions};

use super::{
    DATASET, LAKE, Store, all, chunks, content, delete, fresh_dataset, head, listed, open, put, put_with, read, text,
    typed,
};
use crate::testing::builders::{dataset, lake, object};

async fn store_bytes(store: &Store, name: &str, content: Content) -> Result<u64, ObjectError> {
    let stored = store.put(lake(LAKE), &dataset(DATASET), &object(name), content, PutOptions::default()).await?;
    Ok(stored.info.size)
}

/// Bytes read back as they were put, from none to some megabytes.
pub async fn bytes_read_back(store: Store) {
    fresh_dataset(&store).await;
    assert_eq!(store_bytes(&store, "none", chunks(vec![])).await.unwrap(), 0);
    assert_eq!(text(&store, "none").await, "");
    let parts = chunks(vec![Ok(b"ab"), Ok(b""), Ok(b"c\0\xff")]);
    assert_eq!(store_bytes(&store, "parts", parts).await.unwrap(), 5);
    assert_eq!(read(open(&store, "parts").await, 0..5).await, b"abc\0\xff");
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let parts: Vec<Result<Bytes, ContentError>> = large.chunks(70_001).map(|part| Ok(part.to_vec().into())).collect();
    let size = store_bytes(&store, "large", Box::pin(futures_util::stream::iter(parts))).await.unwrap();
    assert_eq!(size, 3_000_000);
    assert!(read(open(&store, "large").await, 0..size).await == large);
}

/// Any part of an object can be read, and nothing beyond it.
pub async fn any_range_reads_back(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a", "0123456789").await;
    for (range, expected) in [(0..10, "0123456789"), (3..5, "34"), (9..10, "9"), (0..0, ""), (10..10, "")] {
        assert_eq!(read(open(&store, "a").await, range.clone()).await, expected.as_bytes(), "{range:?}");
    }
    let beyond = async {
        let parts: Vec<Bytes> = open(&store, "a").await.read(5..11).await.ok()?.try_collect().await.ok()?;
        Some(parts)
    };
    assert!(beyond.await.is_none());
}

/// An object that isn't there is told, also where its name is a folder of others.
pub async fn a_missing_object_is_told(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a/b", "x").await;
    for missing in ["b", "a", "a/b/c", "A/b", "a/b/c/d"] {
        assert!(matches!(head(&store, missing).await, Err(ObjectError::NoObject)), "{missing}");
        let got = store.get(lake(LAKE), &dataset(DATASET), &object(missing)).await;
        assert!(matches!(got, Err(ObjectError::NoObject)), "{missing}");
    }
}

/// A deleted object is gone; deleting what isn't there does nothing.
pub async fn an_object_is_deleted_once_and_for_all(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a/b", "x").await;
    put(&store, "a/c", "y").await;
    for name in ["a/b", "a/b", "none", "a", "a/c/d"] {
        delete(&store, name).await;
    }
    assert!(matches!(head(&store, "a/b").await, Err(ObjectError::NoObject)));
    assert_eq!(listed(&store, all()).await, ["a/c"]);
}

/// A type is kept as told, follows its version, and is guessed when none is told.
pub async fn content_types_are_kept(store: Store) {
    fresh_dataset(&store).await;
    let seen = async |name: &str| head(&store, name).await.unwrap().content_type.as_str().to_owned();
    for told in ["image/png", "text/csv; charset=utf-8", "text/csv", "application/octet-stream"] {
        let stored = put_with(&store, "a/x.csv", "1", typed(told)).await.unwrap();
        assert_eq!(stored.info.content_type.as_str(), told);
        assert_eq!(seen("a/x.csv").await, told);
        assert_eq!(open(&store, "a/x.csv").await.info().content_type.as_str(), told);
    }
    put(&store, "a/x.csv", "1").await;
    assert_eq!(seen("a/x.csv").await, "text/csv");
    put_with(&store, "a/x.csv", "1", typed("a/b")).await.unwrap();
    delete(&store, "a/x.csv").await;
    put(&store, "a/x.csv", "1").await;
    assert_eq!(seen("a/x.csv").await, "text/csv");
    put(&store, "plain", "1").await;
    assert_eq!(seen("plain").await, "application/octet-stream");
}

/// Content that breaks off is not stored: the old object stays, and a new one is not there.
pub async fn content_that_breaks_off_leaves_what_was_there(store: Store) {
    fresh_dataset(&store).await;
    let before = put(&store, "a/old", "old").await;
    let broken = || chunks(vec![Ok(b"new "), Err(ContentError::Interrupted)]);
    for name in ["a/old", "a/new", "b/new"] {
        let refused = store_bytes(&store, name, broken()).await;
        assert!(matches!(refused, Err(ObjectError::Content(ContentError::Interrupted))), "{name}");
    }
    let large = store_bytes(&store, "a/old", chunks(vec![Err(ContentError::TooLarge { limit: 1 })])).await;
    assert!(matches!(large, Err(ObjectError::Content(ContentError::TooLarge { limit: 1 }))));
    assert_eq!(head(&store, "a/old").await.unwrap(), before);
    assert_eq!(text(&store, "a/old").await, "old");
    assert_eq!(listed(&store, all()).await, ["a/old"]);
    put(&store, "b", "no folder is left in its way").await;
}

/// A put whose caller goes away in the middle leaves nothing.
pub async fn a_put_that_is_dropped_leaves_what_was_there(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a", "old").await;
    for name in ["a", "b/c"] {
        let endless = chunks(vec![Ok(b"new")]).chain(futures_util::stream::pending());
        let putting = store_bytes(&store, name, Box::pin(endless));
        let cut = tokio::time::timeout(std::time::Duration::from_millis(50), putting).await;
        assert!(cut.is_err(), "{name}");
    }
    assert_eq!(text(&store, "a").await, "old");
    assert_eq!(listed(&store, all()).await, ["a"]);
}

/// A local file is moved in: new, over an object, and only where a put could go.
pub async fn a_finished_file_is_moved_in(store: Store) {
    fresh_dataset(&store).await;
    let file = std::env::temp_dir().join(format!("gadwall-adopted-{}", std::process::id()));
    let csv = ContentType::parse("text/x-made").unwrap();
    let adopt = async |name: &str, bytes: &str| {
        std::fs::write(&file, bytes).unwrap();
        store.adopt(lake(LAKE), &dataset(DATASET), &object(name), file.clone(), csv.clone()).await
    };
    for (bytes, replaced) in [("first", false), ("second", true)] {
        let stored = adopt("out/x.csv", bytes).await.unwrap();
        assert_eq!((stored.replaced, stored.info.size), (replaced, bytes.len() as u64));
        assert!(!file.exists());
        assert_eq!(text(&store, "out/x.csv").await, bytes);
        assert_eq!(head(&store, "out/x.csv").await.unwrap(), stored.info);
        assert_eq!(stored.info.content_type, csv);
    }
    assert!(matches!(adopt("out", "x").await, Err(ObjectError::NameClash)));
    let _ = std::fs::remove_file(&file);
    let gone = store.adopt(lake(LAKE), &dataset(DATASET), &object("y"), file.clone(), csv.clone()).await;
    assert!(matches!(gone, Err(ObjectError::Fault(_))));
    assert_eq!(listed(&store, all()).await, ["out/x.csv"]);
    store_bytes(&store, "out/x.csv", content("third")).await.unwrap();
    assert_eq!(head(&store, "out/x.csv").await.unwrap().content_type.as_str(), "text/csv");
}
