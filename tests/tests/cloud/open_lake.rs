//! The lake is open: plain DuckDB reads, joins and writes what a server serves, and the server sees it at once.

use anyhow::Result;
use duckdb::Connection;
use gadwall_tests::support::{Reply, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::servers::{Api, Place};

const TABLES: &str = "/projects/acme/buckets/sales/tables";
const ORDERS: &str = "/projects/acme/buckets/sales/tables/orders";
const QUERY: &str = "/projects/acme/query";
const TOTAL: &str = "SELECT count(*), sum(amount) FROM sales.orders";

async fn filled(place: &Place) -> Result<(Api, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let api = Api::start(folder.path(), place.env()).await?;
    api.post("/projects", &json!({ "id": "acme" })).await?;
    api.post("/projects/acme/buckets", &json!({ "name": "sales" })).await?;
    let orders = json!({ "name": "orders", "primary_key": ["id"], "columns": [
        {"name": "id", "type": "BIGINT"}, {"name": "customer", "type": "VARCHAR(10)"}, {"name": "amount", "type": "DOUBLE"}] });
    api.post(TABLES, &orders).await?;
    let customers = json!({ "name": "customers", "columns": [
        {"name": "name", "type": "VARCHAR"}, {"name": "city", "type": "VARCHAR"}] });
    api.post(TABLES, &customers).await?;
    api.post(
        &format!("{ORDERS}/rows"),
        &json!([{"id": 1, "customer": "ann", "amount": 10.5}, {"id": 2, "customer": "bob"}]),
    )
    .await?;
    let rows = json!([{"name": "ann", "city": "Oslo"}, {"name": "bob", "city": "Rome"}]);
    api.post(&format!("{TABLES}/customers/rows"), &rows).await?;
    Ok((api, folder))
}

/// Plain DuckDB with the project's lake attached as `lake`, as docs/open-lake.md says.
fn attached(place: &Place) -> Result<Connection> {
    let duckdb = place.duckdb()?;
    let lake = "SELECT lake FROM pg.public.projects WHERE id_key = 'acme'";
    let lake: String = duckdb.query_row(lake, [], |row| row.get(0))?;
    let schema = format!("p_{}", lake.replace('-', ""));
    duckdb.execute_batch(&format!(
        "ATTACH 'ducklake:postgres:' AS lake (METADATA_SCHEMA '{schema}', META_SECRET 'pg', CREATE_IF_NOT_EXISTS false)"
    ))?;
    Ok(duckdb)
}

fn text(duckdb: &Connection, sql: &str) -> Result<String> {
    Ok(duckdb.query_row(&format!("SELECT CAST(({sql}) AS VARCHAR)"), [], |row| row.get(0))?)
}

async fn ask(api: &Api, sql: &str) -> Result<Reply> {
    api.post(QUERY, &json!({ "query": sql })).await
}

async fn rows(api: &Api, sql: &str) -> Result<Value> {
    Ok(ask(api, sql).await?.json()["rows"].clone())
}

/// Answers that may be kept: a query by its tag, a table's document, and its rows.
async fn conditional(api: &Api, path: &str, tag: &str) -> Result<Reply> {
    send(api.request(Method::GET, path).header("If-None-Match", tag)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_duckdb_reads_and_writes_and_nothing_is_stale() -> Result<()> {
    let place = Place::new().await?;
    let (api, _folder) = filled(&place).await?;
    let duckdb = attached(&place)?;
    let joined = "SELECT string_agg(c.city, ',' ORDER BY o.id) FROM lake.sales.orders o \
                  JOIN lake.sales.customers c ON c.name = o.customer";
    assert_eq!(text(&duckdb, joined)?, "Oslo,Rome");

    // Everything that keeps answers has kept one.
    let query = format!("{QUERY}?query=SELECT+count(*)+FROM+sales.orders");
    let kept = [api.get(&query).await?, api.get(ORDERS).await?];
    let tags: Vec<&str> = kept.iter().map(|reply| reply.header("etag")).collect();
    assert_eq!(conditional(&api, ORDERS, tags[1]).await?.status, 304);
    assert_eq!(rows(&api, TOTAL).await?, json!([[2, 10.5]]));

    duckdb.execute_batch("INSERT INTO lake.sales.orders VALUES (3, 'cid', 4.5)")?;
    assert_eq!(rows(&api, TOTAL).await?, json!([[3, 15.0]]));
    let query_again = conditional(&api, &query, tags[0]).await?;
    assert_eq!((query_again.status, &query_again.json()["rows"]), (200, &json!([[3]])));
    let table_again = conditional(&api, ORDERS, tags[1]).await?;
    assert_eq!((table_again.status, &table_again.json()["row_count"]), (200, &json!(3)), "{}", table_again.text);
    let preview = api.get(&format!("{ORDERS}/preview")).await?;
    assert_eq!(preview.json()["total_row_count"], 3, "{}", preview.text);

    // A table made there is one here: listed, read and written to.
    duckdb.execute_batch("CREATE TABLE lake.sales.made AS SELECT 7 AS id, 'x' AS word")?;
    assert!(api.get(TABLES).await?.text.contains("\"made\""));
    assert_eq!(rows(&api, "SELECT * FROM sales.made").await?, json!([[7, "x"]]));
    api.post(&format!("{TABLES}/made/rows"), &json!([{"id": 8, "word": "y"}])).await?;
    assert_eq!(text(&duckdb, "SELECT count(*) FROM lake.sales.made")?, "2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_hold_and_shapes_follow_what_plain_duckdb_did() -> Result<()> {
    let place = Place::new().await?;
    let (api, _folder) = filled(&place).await?;
    let duckdb = attached(&place)?;
    duckdb.execute_batch("INSERT INTO lake.sales.orders VALUES (3, 'cid', 4.5)")?;

    // The key knows the row that came from elsewhere.
    let taken = json!([{"id": 3, "customer": "dan"}]);
    let again = send(api.request(Method::POST, &format!("{ORDERS}/rows")).json(&taken)).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "duplicate_key"), "{}", api.server.log());
    api.post(&format!("{ORDERS}/rows?mode=upsert"), &json!([{"id": 3, "customer": "eva", "amount": 1.0}])).await?;
    assert_eq!(text(&duckdb, "SELECT string_agg(customer, ',' ORDER BY id) FROM lake.sales.orders")?, "ann,bob,eva");

    // So do its columns, for documents, rows and SQL.
    duckdb.execute_batch("ALTER TABLE lake.sales.orders ADD COLUMN note VARCHAR")?;
    assert!(api.get(ORDERS).await?.text.contains("\"note\""));
    api.post(&format!("{ORDERS}/rows"), &json!([{"id": 4, "customer": "fay", "note": "late"}])).await?;
    assert_eq!(text(&duckdb, "SELECT note FROM lake.sales.orders WHERE id = 4")?, "late");
    let document = api.get(ORDERS).await?.json();
    assert_eq!(document["primary_key"], json!(["id"]), "{document}");
    duckdb.execute_batch("ALTER TABLE lake.sales.orders DROP COLUMN amount")?;
    let gone = json!([{"id": 5, "amount": 1.0}]);
    let refused = send(api.request(Method::POST, &format!("{ORDERS}/rows")).json(&gone)).await?;
    assert_eq!(refused.code(), "unknown_column", "{}", refused.text);
    api.post(&format!("{ORDERS}/rows"), &json!([{"id": 5, "customer": "gus"}])).await?;

    // The past is as it was, and what is gone is gone.
    let past = api.get(&format!("{QUERY}?query=SELECT+sum(amount)+FROM+sales.orders&snapshot=4")).await?;
    assert_eq!(past.json()["rows"], json!([[10.5]]), "{}", past.text);
    duckdb.execute_batch("DROP TABLE lake.sales.customers")?;
    assert_eq!(send(api.request(Method::GET, &format!("{TABLES}/customers"))).await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_once_and_nothing_is_lost() -> Result<()> {
    const EACH: i64 = 15;
    let place = Place::new().await?;
    let (api, _folder) = filled(&place).await?;
    let duckdb = attached(&place)?;
    let other = tokio::task::spawn_blocking(move || {
        (0..EACH).try_for_each(|number| {
            duckdb.execute_batch(&format!("INSERT INTO lake.sales.orders VALUES ({}, 'there', 1)", 1_000 + number))
        })
    });
    for number in 0..EACH {
        let row = json!([{"id": 2_000 + number, "customer": "here", "amount": 1.0}]);
        // Who comes second is told so, and that nothing was written.
        loop {
            let reply = send(api.request(Method::POST, &format!("{ORDERS}/rows")).json(&row)).await?;
            if (reply.status, reply.code().as_str()) != (503, "busy") {
                assert_eq!(reply.status, 200, "{}", reply.text);
                break;
            }
        }
    }
    other.await??;
    let counted = "SELECT customer, count(*) FROM sales.orders WHERE id >= 1000 GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&api, counted).await?, json!([["here", EACH], ["there", EACH]]));
    Ok(())
}
