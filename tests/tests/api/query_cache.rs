//! Queries that are asked again: from the cache, by `ETag`, by GET and by QUERY.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const QUERY: &str = "/projects/p/query";
const SUM: &str = "SELECT sum(v) AS s FROM t";

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "v", "type": "DECIMAL(10,2)"}]);
    owner.post("/projects/p/buckets/main/tables", &json!({ "name": "t", "columns": columns })).await?;
    add(&owner, json!([{"id": 9_007_199_254_740_993_i64, "v": "1.50"}])).await?;
    Ok(owner)
}

async fn add(owner: &Client<'_>, rows: Value) -> Result<()> {
    let reply = owner.post("/projects/p/buckets/main/tables/t/rows", &rows).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(())
}

async fn get(owner: &Client<'_>, sql: &str, more: &[(&str, &str)], known: Option<&str>) -> Result<Reply> {
    let mut request = owner.request(Method::GET, QUERY).query(&[("query", sql)]).query(more);
    if let Some(known) = known {
        request = request.header("If-None-Match", known);
    }
    send(request).await
}

async fn safely(owner: &Client<'_>, sql: &str, known: Option<&str>) -> Result<Reply> {
    let mut request = owner.request(Method::from_bytes(b"QUERY")?, QUERY).header("Content-Type", "application/sql");
    if let Some(known) = known {
        request = request.header("If-None-Match", known);
    }
    send(request.body(sql.to_owned())).await
}

#[tokio::test]
async fn a_reader_waits_until_it_sees_its_own_write() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let body = json!({ "query": "SELECT count(*) FROM t", "timeout_seconds": 30 });
    let ask = |least: u64| send(owner.request(Method::POST, &format!("{QUERY}?min_snapshot={least}")).json(&body));
    let there = ask(2).await?;
    assert_eq!((there.status, there.header("x-snapshot-id")), (200, "2"), "{}", there.text);
    assert!(there.header("server-timing").starts_with("queue;dur="), "{}", there.header("server-timing"));
    // It is asked before the write is; the cache of the older snapshot is no answer.
    let (later, added) = tokio::join!(ask(3), add(&owner, json!([{"id": 2, "v": 1}])));
    added?;
    let later = later?;
    assert_eq!((later.status, later.header("x-snapshot-id"), &later.json()["rows"]), (200, "3", &json!([[2]])));

    let brief = [("min_snapshot", "9"), ("timeout", "1")];
    let never = get(&owner, SUM, &brief, None).await?;
    assert_eq!((never.status, never.code().as_str()), (504, "snapshot_not_reached"), "{}", never.text);
    assert_eq!(never.json()["details"], json!({ "min_snapshot": 9, "snapshot_id": 3 }));
    let preview = "/projects/p/buckets/main/tables/t/preview?min_snapshot=";
    assert_eq!(owner.get(&format!("{preview}3")).await?.header("x-snapshot-id"), "3");
    for wrong in ["3&snapshot=2", "x", "-1"] {
        let reply = owner.get(&format!("{preview}{wrong}")).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "validation_failed"), "{wrong}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn the_same_query_is_answered_again_until_something_is_committed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let first = owner.post(QUERY, &json!({ "query": SUM })).await?;
    assert_eq!((first.status, first.header("x-cache")), (200, "miss"), "{}", first.text);
    let again = owner.post(QUERY, &json!({ "query": SUM })).await?;
    assert_eq!((again.status, again.header("x-cache")), (200, "hit"), "{}", again.text);
    assert_eq!(again.json()["rows"], first.json()["rows"]);
    assert_eq!((again.header("etag"), again.header("x-snapshot-id")), (first.header("etag"), "2"));
    add(&owner, json!([{"id": 2, "v": 1}])).await?;
    let after = owner.post(QUERY, &json!({ "query": SUM })).await?;
    assert_eq!((after.header("x-cache"), after.header("x-snapshot-id")), ("miss", "3"));
    assert_eq!(after.json()["rows"], json!([[2.5]]));
    assert_ne!(after.header("etag"), first.header("etag"));
    // Another form or other values are another result.
    let precise = get(&owner, SUM, &[("precise", "true")], None).await?;
    assert_eq!((precise.header("x-cache"), &precise.json()["rows"]), ("miss", &json!([["2.50"]])));
    let csv = get(&owner, SUM, &[("format", "csv")], None).await?;
    assert_eq!((csv.header("x-cache"), csv.text.as_str()), ("miss", "s\r\n2.50\r\n"));
    for value in [1, 2] {
        let asked = json!({ "query": "SELECT $v AS v FROM t LIMIT 1", "params": {"v": value} });
        let reply = owner.post(QUERY, &asked).await?;
        assert_eq!((reply.header("x-cache"), &reply.json()["rows"]), ("miss", &json!([[value]])));
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_is_good_as_long_as_the_result_is() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let first = get(&owner, SUM, &[], None).await?;
    let tag = first.header("etag").to_owned();
    for reply in [get(&owner, SUM, &[], Some(&tag)).await?, safely(&owner, SUM, Some(&tag)).await?] {
        assert_eq!((reply.status, reply.text.as_str(), reply.header("etag")), (304, "", tag.as_str()));
    }
    let list = format!("\"other\", {tag}");
    assert_eq!(get(&owner, SUM, &[], Some(&list)).await?.status, 304);
    // A POST may change things, so it is never told that nothing did.
    let posted = owner.request(Method::POST, QUERY).header("If-None-Match", &tag).json(&json!({ "query": SUM }));
    assert_eq!(send(posted).await?.status, 200);
    add(&owner, json!([{"id": 2, "v": 1}])).await?;
    assert_eq!(get(&owner, SUM, &[], Some(&tag)).await?.status, 200);
    assert_eq!(safely(&owner, SUM, Some(&tag)).await?.json()["rows"], json!([[2.5]]));
    Ok(())
}

#[tokio::test]
async fn what_depends_on_clock_or_chance_is_never_kept() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let samples = "SELECT * FROM t USING SAMPLE 50%";
    for sql in ["SELECT now()", "SELECT random() FROM t", "SELECT uuid()", samples, "SELECT current_date"] {
        for _ in 0..2 {
            let reply = get(&owner, sql, &[], None).await?;
            assert_eq!((reply.status, reply.header("x-cache"), reply.header("etag")), (200, "", ""), "{sql}");
        }
        assert_eq!(get(&owner, sql, &[], Some("\"x\"")).await?.status, 200, "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_kept_for_one_is_not_shown_to_another() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let tag = get(&owner, SUM, &[], None).await?.header("etag").to_owned();
    let stranger = server.project("q").await?;
    let refused = get(&stranger, SUM, &[], Some(&tag)).await?;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    // The same text in the own project means another table, or none.
    let own = stranger.request(Method::GET, "/projects/q/query").query(&[("query", SUM)]).header("If-None-Match", &tag);
    let own = send(own).await?;
    assert_eq!((own.status, own.code().as_str()), (400, "sql_error"), "{}", own.text);
    Ok(())
}

#[tokio::test]
async fn the_past_is_read_by_snapshot_time_and_tag() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let tagged = owner.request(Method::PUT, "/projects/p/tags/then").json(&json!({ "snapshot_id": 2 }));
    assert!(send(tagged).await?.status < 300);
    add(&owner, json!([{"id": 2, "v": 1}])).await?;
    for version in [("snapshot", "2"), ("tag", "then")] {
        for _ in 0..2 {
            let reply = get(&owner, SUM, &[version], None).await?;
            assert_eq!((reply.status, &reply.json()["rows"]), (200, &json!([[1.5]])), "{version:?}: {}", reply.text);
            assert_eq!(reply.header("x-snapshot-id"), "2");
        }
    }
    assert_eq!(get(&owner, SUM, &[], None).await?.json()["rows"], json!([[2.5]]));
    let none = get(&owner, SUM, &[("snapshot", "99")], None).await?;
    assert_eq!((none.status, none.code().as_str()), (404, "snapshot_not_found"));
    assert_eq!(get(&owner, SUM, &[("snapshot", "2"), ("tag", "then")], None).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn query_is_a_method_of_queries_alone() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let answered = safely(&owner, SUM, None).await?;
    assert_eq!((answered.status, &answered.json()["rows"]), (200, &json!([[1.5]])), "{}", answered.text);
    for path in ["/projects/p/buckets", "/projects/p", "/tables/t/query"] {
        let refused = send(owner.request(Method::from_bytes(b"QUERY")?, path)).await?;
        assert_eq!(refused.status, 405, "{path}: {}", refused.text);
    }
    let unknown = send(server.request(Method::from_bytes(b"QUERY")?, QUERY).body(SUM)).await?;
    assert_eq!(unknown.status, 401, "{}", unknown.text);
    Ok(())
}

#[tokio::test]
async fn answers_are_compressed_for_who_can_read_that() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let many = "SELECT repeat('abc', 10) AS s FROM range(1000)";
    let plain = get(&owner, many, &[], None).await?;
    assert_eq!(
        (plain.status, plain.header("content-encoding"), plain.header("vary")),
        (200, "", "Accept, Accept-Encoding")
    );
    for coding in ["gzip", "zstd", "br", "deflate"] {
        let ask = |known: Option<&str>| {
            let request = owner.request(Method::GET, QUERY).query(&[("query", many)]).header("Accept-Encoding", coding);
            known.map_or_else(
                || request.try_clone().unwrap(),
                |known| request.try_clone().unwrap().header("If-None-Match", known),
            )
        };
        let reply = ask(None).send().await?;
        assert_eq!((reply.status().as_u16(), reply.headers()["content-encoding"].to_str()?), (200, coding));
        let tag = reply.headers()["etag"].to_str()?.to_owned();
        assert!(tag.ends_with(&format!("-{coding}\"")) && tag != plain.header("etag"), "{tag}");
        let bytes = reply.bytes().await?;
        assert!(!bytes.is_empty() && bytes.len() * 5 < plain.text.len(), "{coding}: {}", bytes.len());
        let known = ask(Some(&tag)).send().await?;
        assert_eq!((known.status().as_u16(), known.headers()["etag"].to_str()?), (304, tag.as_str()));
    }
    // What is known to be small isn't worth it; of what is streamed the size isn't known.
    get(&owner, SUM, &[], None).await?;
    let small =
        send(owner.request(Method::GET, QUERY).query(&[("query", SUM)]).header("Accept-Encoding", "gzip")).await?;
    assert_eq!((small.header("x-cache"), small.header("content-encoding")), ("hit", ""));
    Ok(())
}
