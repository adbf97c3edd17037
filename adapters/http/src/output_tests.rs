//! Results on their way out: whole, broken, in pieces.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use poem_openapi::types::Any;

use super::*;

type Item = Result<RecordBatch, QueryError>;

fn ids(from: i64, rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

fn document() -> Document {
    let tail = |rows: u64| format!("],\"rows\":{rows}}}");
    Document { rows: ARRAYS, head: "{\"r\":[".to_owned(), tail: Box::new(tail) }
}

async fn sent(format: OutputFormat, items: Vec<Item>) -> ApiResult<Response> {
    let schema = items.iter().flatten().next().map_or_else(|| ids(0, 0).schema(), RecordBatch::schema);
    let rows = RowStream { schema, batches: futures_util::stream::iter(items).boxed() };
    let output = usual(format, document());
    let streamed: Streamed<Any<serde_json::Value>> = respond(rows, Wanted::plain(format), output, "q").await?;
    Ok(streamed.into_response())
}

/// The chunks of a body, and why it broke off if it did.
async fn chunks(response: Response) -> (Vec<Bytes>, Option<String>) {
    let mut stream = response.into_body().into_bytes_stream();
    let mut found = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => found.push(chunk),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}

fn late() -> QueryError {
    QueryError::Sql("late".to_owned())
}

#[tokio::test]
async fn a_document_surrounds_its_rows() {
    let (found, broken) =
        chunks(sent(OutputFormat::Json, vec![Ok(ids(0, 2)), Ok(ids(0, 0)), Ok(ids(2, 1))]).await.unwrap()).await;
    assert_eq!((found.concat().as_slice(), broken), (&b"{\"r\":[[0],[1],[2]],\"rows\":3}"[..], None));
    let (found, _) = chunks(sent(OutputFormat::Json, vec![]).await.unwrap()).await;
    assert_eq!(found.concat(), b"{\"r\":[],\"rows\":0}");
}

#[tokio::test]
async fn a_failure_before_the_first_rows_is_an_answer_and_after_them_a_break() {
    for format in OutputFormat::ALL {
        assert!(sent(format, vec![Err(late())]).await.is_err(), "{format:?}");
        let (_, broken) = chunks(sent(format, vec![Ok(ids(0, 3)), Err(late())]).await.unwrap()).await;
        assert_eq!(broken.as_deref(), Some("late"), "{format:?}");
    }
}

#[tokio::test]
async fn a_batch_of_wide_rows_is_sent_in_pieces() {
    let wide = || {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..64).map(|_| "x".repeat(256 * 1024))));
        RecordBatch::try_from_iter([("t", texts)]).unwrap()
    };
    for format in [OutputFormat::NdJson, OutputFormat::Csv, OutputFormat::ArrowStream] {
        let response = sent(format, vec![Ok(wide())]).await.unwrap();
        let (found, broken) = chunks(response).await;
        assert_eq!(broken, None);
        let (total, longest) = found.iter().fold((0, 0), |(sum, max), chunk| (sum + chunk.len(), max.max(chunk.len())));
        assert!(total > 16 << 20 && longest < 5 << 20, "{format:?}: {longest} of {total}");
    }
}

#[tokio::test]
async fn small_batches_are_gathered_into_chunks() {
    let batches = |count: i64| (0..count).map(|at| Ok(ids(at * 100, 100))).collect::<VecDeque<Item>>();
    let (found, _) = chunks(sent(OutputFormat::NdJson, batches(1_000).into()).await.unwrap()).await;
    assert!(found.len() < 40 && found.iter().all(|chunk| chunk.len() < 2 * CHUNK), "{}", found.len());
    assert_eq!(String::from_utf8(found.concat()).unwrap().lines().count(), 100_000);
}

#[test]
fn files_are_named_so_that_no_name_can_forge_a_header() {
    let named = |name| disposition(OutputFormat::Csv, name).unwrap();
    assert_eq!(named("query_result"), "attachment; filename=query_result.csv");
    assert_eq!(named("a\"; x=\r\ny"), "attachment; filename=a___x___y.csv; filename*=UTF-8''a%22%3B%20x%3D%0D%0Ay.csv");
    assert_eq!(named("účty"), "attachment; filename=__ty.csv; filename*=UTF-8''%C3%BA%C4%8Dty.csv");
    assert_eq!(disposition(OutputFormat::Json, "x"), None);
}
