//! The 22 queries of TPC-H give DuckDB's own answers.

use std::io::Cursor;

use anyhow::{Result, ensure};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type};
use arrow::ipc::reader::StreamReader;
use gadwall_tests::support::{Client, TestServer};
use gadwall_tests::tpch::{self, TABLES, parquet};
use reqwest::Method;
use serde_json::json;

async fn answer(client: &Client<'_>, sql: &str) -> Result<Vec<RecordBatch>> {
    let request = client.request(Method::POST, "/projects/p/query").json(&json!({ "query": sql }));
    let reply = request.header("accept", "application/vnd.apache.arrow.stream").send().await?;
    let (status, body) = (reply.status(), reply.bytes().await?);
    ensure!(status.is_success(), "{}", String::from_utf8_lossy(&body));
    Ok(StreamReader::try_new(Cursor::new(body), None)?.collect::<Result<_, _>>()?)
}

/// Whether both hold the same rows in the same order; sums of floats may differ in their last digits.
fn same(ours: &[RecordBatch], theirs: &[RecordBatch]) -> Result<bool> {
    let (Some(first), Some(other)) = (ours.first(), theirs.first()) else { return Ok(ours.len() == theirs.len()) };
    let (ours, theirs) = (concat_batches(&first.schema(), ours)?, concat_batches(&other.schema(), theirs)?);
    if (ours.num_rows(), ours.num_columns()) != (theirs.num_rows(), theirs.num_columns()) {
        return Ok(false);
    }
    for (one, other) in ours.columns().iter().zip(theirs.columns()) {
        let equal = if one.data_type() == &DataType::Float64 {
            let pairs = one.as_primitive::<Float64Type>().iter().zip(other.as_primitive::<Float64Type>());
            pairs.into_iter().all(|(one, other)| match (one, other) {
                (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * other.abs(),
                (one, other) => one == other,
            })
        } else {
            cast(one, &DataType::Utf8)? == cast(other, &DataType::Utf8)?
        };
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_queries_give_duckdbs_own_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    tpch::generate(folder.path(), 0.01)?;
    let lake = tpch::run::local(folder.path())?;
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for (table, columns) in TABLES {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let made = owner.post("/projects/p/buckets/main/tables", &json!({"name": table, "columns": columns})).await?;
        ensure!(made.status == 201, "{}", made.text);
        let rows = std::fs::read(parquet(folder.path(), table))?;
        let path = format!("/projects/p/buckets/main/tables/{table}/rows");
        let loaded = owner.send_as(&path, "application/vnd.apache.parquet", rows).await?;
        ensure!(loaded.status == 200, "{}", loaded.text);
    }
    let queries = tpch::queries();
    ensure!(queries.len() == 22, "{} queries", queries.len());
    for (number, sql) in queries.into_iter().enumerate() {
        let (ours, theirs) = (answer(&owner, sql).await?, tpch::run::ask(&lake, sql)?);
        ensure!(same(&ours, &theirs)?, "query {}:\n{ours:?}\n{theirs:?}", number + 1);
    }
    Ok(())
}
