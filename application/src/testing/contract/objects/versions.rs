//! Promises about versions: what replaces what, and who may.

use std::sync::Arc;

use gadwall_domain::dataset::{EntityTag, Precondition, Tags};
use gadwall_domain::ports::objects::{ObjectError, PutOptions};

use super::{DATASET, LAKE, Store, all, delete, fresh_dataset, head, listed, open, put, put_with, read, text};
use crate::testing::builders::{dataset, lake, object};

fn only_if(if_match: Option<Tags>, if_none_match: Option<Tags>) -> PutOptions {
    PutOptions { precondition: Precondition { if_match, if_none_match }, ..PutOptions::default() }
}

/// A put over an object replaces all of it, and says so.
pub async fn an_object_is_replaced_whole(store: Store) {
    fresh_dataset(&store).await;
    let first = put_with(&store, "a/b", "a long first version", PutOptions::default()).await.unwrap();
    let second = put_with(&store, "a/b", "short", PutOptions::default()).await.unwrap();
    assert_eq!((first.replaced, second.replaced), (false, true));
    assert_eq!(text(&store, "a/b").await, "short");
    assert_eq!(head(&store, "a/b").await.unwrap(), second.info);
    assert_eq!(listed(&store, all()).await, ["a/b"]);
}

/// Each put has a tag of its own, also with the same bytes in the same moment; reading doesn't change it.
pub async fn the_same_bytes_again_are_another_version(store: Store) {
    fresh_dataset(&store).await;
    let mut tags: Vec<EntityTag> = Vec::new();
    for _ in 0..30 {
        let info = put(&store, "a", "same").await;
        assert_eq!(head(&store, "a").await.unwrap(), info);
        assert!(!tags.contains(&info.etag), "{:?}", info.etag);
        tags.push(info.etag);
    }
}

/// What is open reads to its end as it was, whatever becomes of the name.
pub async fn what_is_open_stays_the_same(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a", "first").await;
    let (before, deleted) = (open(&store, "a").await, open(&store, "a").await);
    put(&store, "a", "second one").await;
    assert_eq!(read(before, 0..5).await, b"first");
    delete(&store, "a").await;
    assert_eq!((deleted.info().size, read(deleted, 1..5).await), (5, b"irst".to_vec()));
}

/// A put or a deletion is done only where its precondition holds.
pub async fn preconditions_are_kept(store: Store) {
    fresh_dataset(&store).await;
    let refused = async |name: &str, options: PutOptions| {
        let answer = put_with(&store, name, "no", options).await;
        assert!(matches!(answer, Err(ObjectError::PreconditionFailed)), "{answer:?}");
    };
    refused("a", only_if(Some(Tags::Any), None)).await;
    let made = put_with(&store, "a", "1", only_if(None, Some(Tags::Any))).await.unwrap().info;
    refused("a", only_if(None, Some(Tags::Any))).await;
    let this = || Tags::OneOf(vec![made.etag.clone()]);
    refused("a", only_if(None, Some(this()))).await;
    let next = put_with(&store, "a", "2", only_if(Some(this()), None)).await.unwrap();
    refused("a", only_if(Some(this()), None)).await;
    assert_eq!(text(&store, "a").await, "2");
    let last = put_with(&store, "a", "3", only_if(Some(Tags::Any), Some(this()))).await.unwrap();
    assert_ne!(next.info.etag, last.info.etag);
    let delete = async |if_match: Tags| {
        let precondition = Precondition { if_match: Some(if_match), if_none_match: None };
        store.delete(lake(LAKE), &dataset(DATASET), &object("a"), &precondition).await
    };
    assert!(matches!(delete(this()).await, Err(ObjectError::PreconditionFailed)));
    assert_eq!(text(&store, "a").await, "3");
    delete(Tags::OneOf(vec![last.info.etag])).await.unwrap();
    assert!(matches!(delete(Tags::Any).await, Err(ObjectError::PreconditionFailed)));
    put(&store, "a", "4").await;
    assert_eq!(listed(&store, all()).await, ["a"]);
}

/// Of many that put an object if it isn't there, one does; of many that know a version, one replaces it.
pub async fn one_of_many_creates_an_object(store: Store) {
    fresh_dataset(&store).await;
    let race = async |options: PutOptions| {
        let contest = (0..12).map(|number| {
            let (store, options) = (Arc::clone(&store), options.clone());
            tokio::spawn(async move { put_with(&store, "a/b", &number.to_string(), options).await.is_ok() })
        });
        let contest: Vec<_> = contest.collect();
        let mut winners = Vec::new();
        for (number, one) in contest.into_iter().enumerate() {
            if one.await.unwrap() {
                winners.push(number.to_string());
            }
        }
        winners
    };
    let winners = race(only_if(None, Some(Tags::Any))).await;
    assert_eq!(winners, [text(&store, "a/b").await]);
    let known = head(&store, "a/b").await.unwrap().etag;
    let winners = race(only_if(Some(Tags::OneOf(vec![known])), None)).await;
    assert_eq!(winners, [text(&store, "a/b").await]);
}
