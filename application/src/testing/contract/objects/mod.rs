//! What object storage promises.

mod contents;
mod datasets;
mod listing;
mod names;
mod versions;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gadwall_domain::dataset::{ContentType, ObjectInfo, Precondition};
use gadwall_domain::ports::objects::{
    Content, ContentError, ObjectError, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored,
};

use crate::testing::builders::{dataset, lake, object};

pub use contents::*;
pub use datasets::*;
pub use listing::*;
pub use names::*;
pub use versions::*;

/// Tests that an adapter keeps every promise of `ObjectStorage`. The expression answers
/// `(Arc<dyn ObjectStorage>, guard)`: a fresh store, without datasets, for each test.
#[macro_export]
macro_rules! objects_contract {
    ($fresh:expr) => {
        $crate::objects_contract!(contract_tests, $fresh);
    };
    ($way:ident, $fresh:expr) => {
        $crate::$way! {
            $crate::testing::contract::objects, $fresh, [
                a_dataset_is_made_once,
                datasets_are_listed_by_name,
                a_missing_dataset_is_told_everywhere,
                only_an_empty_dataset_is_deleted,
                projects_files_are_apart,
                removing_all_leaves_nothing_of_that_project,
                bytes_read_back,
                any_range_reads_back,
                a_missing_object_is_told,
                an_object_is_deleted_once_and_for_all,
                content_types_are_kept,
                content_that_breaks_off_leaves_what_was_there,
                a_put_that_is_dropped_leaves_what_was_there,
                a_finished_file_is_moved_in,
                an_object_is_replaced_whole,
                the_same_bytes_again_are_another_version,
                what_is_open_stays_the_same,
                preconditions_are_kept,
                one_of_many_creates_an_object,
                names_of_any_kind_read_back,
                the_longest_names_read_back_or_are_refused,
                a_name_is_not_both_object_and_folder,
                folders_go_with_their_last_object,
                objects_are_listed_by_the_bytes_of_their_names,
                a_listing_tells_what_head_tells,
                prefix_and_cursor_bound_a_listing,
                pages_show_every_object_once,
            ]
        }
    };
}

/// The lake that promises work on.
const LAKE: u128 = 1;
/// The dataset that promises work on.
const DATASET: &str = "d";

type Store = Arc<dyn ObjectStorage>;

async fn fresh_dataset(store: &Store) {
    store.create_dataset(lake(LAKE), &dataset(DATASET)).await.unwrap();
}

fn chunks(parts: Vec<Result<&'static [u8], ContentError>>) -> Content {
    Box::pin(futures_util::stream::iter(parts.into_iter().map(|part| part.map(Bytes::from_static))))
}

fn content(bytes: impl Into<Bytes>) -> Content {
    Box::pin(futures_util::stream::iter([Ok(bytes.into())]))
}

async fn put_with(store: &Store, name: &str, bytes: &str, options: PutOptions) -> Result<Stored, ObjectError> {
    store.put(lake(LAKE), &dataset(DATASET), &object(name), content(bytes.to_owned()), options).await
}

async fn put(store: &Store, name: &str, bytes: &str) -> ObjectInfo {
    put_with(store, name, bytes, PutOptions::default()).await.unwrap().info
}

async fn head(store: &Store, name: &str) -> Result<ObjectInfo, ObjectError> {
    store.head(lake(LAKE), &dataset(DATASET), &object(name)).await
}

async fn open(store: &Store, name: &str) -> Box<dyn OpenObject> {
    store.get(lake(LAKE), &dataset(DATASET), &object(name)).await.unwrap()
}

async fn read(opened: Box<dyn OpenObject>, range: std::ops::Range<u64>) -> Vec<u8> {
    let parts: Vec<Bytes> = opened.read(range).await.unwrap().try_collect().await.unwrap();
    parts.concat()
}

/// All of an object, as text.
async fn text(store: &Store, name: &str) -> String {
    let opened = open(store, name).await;
    let size = opened.info().size;
    String::from_utf8(read(opened, 0..size).await).unwrap()
}

async fn delete(store: &Store, name: &str) {
    store.delete(lake(LAKE), &dataset(DATASET), &object(name), &Precondition::default()).await.unwrap();
}

async fn page(store: &Store, query: ObjectQuery) -> Vec<ObjectInfo> {
    store.list(lake(LAKE), &dataset(DATASET), &query).await.unwrap()
}

async fn listed(store: &Store, query: ObjectQuery) -> Vec<String> {
    page(store, query).await.into_iter().map(|info| info.name.to_string()).collect()
}

/// A query for all objects there are, in tests.
fn all() -> ObjectQuery {
    ObjectQuery { limit: 10_000, ..ObjectQuery::default() }
}

fn typed(content_type: &str) -> PutOptions {
    PutOptions { content_type: Some(ContentType::parse(content_type).unwrap()), ..PutOptions::default() }
}
