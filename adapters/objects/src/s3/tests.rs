//! The adapter over a store in memory, which lists by the bytes of its keys, as S3 does.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::{ListResult, ObjectStore as _};

use super::keys::Keys;
use super::store::Store;
use super::{S3Objects, S3Results, S3Store};

/// Lists the store in memory as S3 does, two keys at a time.
struct Pages(Arc<InMemory>);

#[async_trait]
impl PaginatedListStore for Pages {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> object_store::Result<PaginatedListResult> {
        let after = options.page_token.or(options.offset).unwrap_or_default();
        let mut objects: Vec<_> = self.0.list(None).try_collect().await?;
        objects.retain(|object| {
            let key = object.location.as_ref();
            key.starts_with(prefix.unwrap_or_default()) && key > after.as_str()
        });
        objects.sort_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
        let most = options.max_keys.unwrap_or(2).min(2);
        let more = objects.len() > most;
        objects.truncate(most);
        let page_token = objects.last().filter(|_| more).map(|last| last.location.to_string());
        let result =
            ListResult { common_prefixes: Vec::new(), objects, extensions: object_store::Extensions::default() };
        Ok(PaginatedListResult { result, page_token })
    }
}

fn store(ordered: bool) -> S3Store {
    let objects = Arc::new(InMemory::new());
    let pages = Arc::new(Pages(Arc::clone(&objects)));
    let bucket = "bucket".to_owned();
    let (keys, signer) = (Keys::new("some/prefix"), None);
    S3Store(Arc::new(Store { objects, pages, signer, bucket, keys, ordered, conditional: true }))
}

fn fresh(ordered: bool) -> (Arc<dyn ObjectStorage>, ()) {
    let objects = S3Objects::new(&store(ordered), Arc::new(FixedClock::default()), Arc::new(SeqIds::default()));
    (Arc::new(objects), ())
}

mod ordered {
    gadwall_application::objects_contract!(super::fresh(true));
}

mod unordered {
    gadwall_application::objects_contract!(super::fresh(false));
}

mod results {
    use arrow_array::{Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};
    use chrono::DateTime;
    use gadwall_application::testing::builders::lake;
    use gadwall_domain::ids::QueryId;
    use gadwall_domain::ports::results::ResultError;
    use gadwall_domain::ports::system::IdGenerator as _;
    use gadwall_domain::rows::RowStream;

    use super::*;

    async fn fresh() -> (Arc<dyn ResultStore>, ()) {
        (Arc::new(S3Results::open(&store(true)).await.unwrap()), ())
    }

    gadwall_application::results_contract!(fresh().await);

    fn rows() -> RowStream {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![1, 2]))]).unwrap();
        RowStream { schema, batches: Box::pin(futures_util::stream::iter([Ok(batch)])) }
    }

    #[tokio::test]
    async fn results_that_another_server_deleted_make_room() {
        let (store, ids) = (store(true), SeqIds::default());
        let (one, other) = (S3Results::open(&store).await.unwrap(), S3Results::open(&store).await.unwrap());
        let mut kept = Vec::new();
        let refused = loop {
            let id = QueryId::new(ids.next_id());
            match one.put(lake(1), id, rows(), 2_000).await {
                Ok(()) => kept.push(id),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, ResultError::LimitReached { .. }) && !kept.is_empty(), "{refused:?}");
        for id in &kept {
            other.delete(lake(1), *id).await.unwrap();
        }
        one.sweep(DateTime::UNIX_EPOCH).await.unwrap();
        one.put(lake(1), QueryId::new(ids.next_id()), rows(), 2_000).await.unwrap();
    }
}
