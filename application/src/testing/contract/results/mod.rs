//! What the keeping of results promises.

mod notes;
mod rows;

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use futures_util::TryStreamExt as _;
use gadwall_domain::ids::QueryId;
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::query::QueryError;
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::rows::RowStream;
use uuid::Uuid;

use crate::testing::builders::{lake, noon, project_id, request, seconds_past_noon};

pub use notes::*;
pub use rows::*;

/// Tests that an adapter keeps every promise of `ResultStore`. The expression answers
/// `(Arc<dyn ResultStore>, guard)`: a fresh store, without results, for each test.
#[macro_export]
macro_rules! results_contract {
    ($fresh:expr) => {
        $crate::results_contract!(contract_tests, $fresh);
    };
    ($way:ident, $fresh:expr) => {
        $crate::$way! {
            $crate::testing::contract::results, $fresh, [
                a_note_is_kept_until_another_one,
                what_is_not_kept_is_told,
                notes_of_queries_without_an_end_are_found,
                results_of_queries_that_ended_before_are_swept,
                projects_results_are_apart,
                rows_come_back_as_they_were,
                large_results_come_back,
                rows_that_break_off_are_not_kept,
                a_put_that_is_dropped_keeps_nothing,
                results_take_no_more_room_than_they_may,
                room_is_given_back,
                what_is_open_is_read_to_its_end,
            ]
        }
    };
}

/// The lake that promises work on.
const LAKE: u128 = 1;
/// More room than any result here takes.
const ROOMY: u64 = 1 << 40;

type Store = Arc<dyn ResultStore>;

fn id(number: u128) -> QueryId {
    QueryId::new(Uuid::from_u128(number))
}

/// The note of a query that ended at this second, if it did.
fn note(on: u128, number: u128, ended: Option<i64>) -> ResultNote {
    let query = QueryRecord {
        id: id(number),
        project: project_id("p1"),
        principal: "admin".to_owned(),
        sql: "SELECT 'é'".to_owned(),
        request_id: request("r1"),
        started_at: noon(),
        finished_at: ended.map(seconds_past_noon),
        state: if ended.is_some() { QueryState::Done } else { QueryState::Running },
        rows: 3,
        error_code: None,
        profile: None,
        progress: None,
    };
    ResultNote { lake: lake(on), query, snapshot: None, failure: None, instance: Uuid::from_u128(7) }
}

fn schema() -> SchemaRef {
    let metadata = [("ARROW:extension:name".to_owned(), "arrow.opaque".to_owned())].into();
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true).with_metadata(metadata)]))
}

/// So many rows that don't pack well: 8 bytes each.
fn batch(from: u64, rows: u64) -> RecordBatch {
    let mixed = (from..from + rows).map(|number| {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).cast_signed()
    });
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(mixed))]).unwrap()
}

fn stream(batches: Vec<Result<RecordBatch, QueryError>>) -> RowStream {
    RowStream { schema: schema(), batches: Box::pin(futures_util::stream::iter(batches)) }
}

async fn put(store: &Store, on: u128, number: u128, rows: u64, limit: u64) -> Result<(), ResultError> {
    store.put(lake(on), id(number), stream(vec![Ok(batch(0, rows))]), limit).await
}

async fn read(rows: RowStream) -> Vec<RecordBatch> {
    rows.batches.try_collect().await.unwrap()
}

/// A query's result, if there is one.
async fn kept(store: &Store, on: u128, number: u128) -> Option<Vec<RecordBatch>> {
    match store.open(lake(on), id(number)).await.unwrap() {
        Some(rows) => Some(read(rows).await),
        None => None,
    }
}
