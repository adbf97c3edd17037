//! Which columns the statements of a project make of which.

use std::time::Duration;

use anyhow::{Result, bail};
use gadwall_tests::support::{Client, Reply, TestServer};
use serde_json::{Value, json};

async fn run(client: &Client<'_>, project: &str, sql: &str) -> Result<()> {
    let reply = client.post(&format!("/projects/{project}/query"), &json!({ "query": sql })).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(())
}

async fn batch(client: &Client<'_>, sql: &[&str]) -> Result<()> {
    let reply = client.post("/projects/p/batch", &json!({ "queries": sql })).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(())
}

async fn worked_off(client: &Client<'_>) -> Result<()> {
    for _ in 0..200 {
        if client.get("/api/v1/lineage/queue").await?.json()["waiting"] == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the queue is not worked off within 10 s")
}

/// What a table's columns come from directly: a line for each, and whether that is all.
async fn made_of(client: &Client<'_>, table: &str) -> Result<(Vec<String>, bool)> {
    worked_off(client).await?;
    let path = format!("/api/v1/column-lineage?nodeId=dataset:ducklake:{table}&depth=1");
    let reply: Reply = client.get(&path).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let graph = reply.json();
    let mut lines = Vec::new();
    for node in graph["graph"].as_array().into_iter().flatten().filter(|node| node["data"]["dataset"] == table) {
        for input in node["data"]["inputFields"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            lines.push(format!(
                "{} < {}.{} {}",
                text(&node["data"]["field"]),
                text(&input["dataset"]),
                text(&input["field"]),
                text(&input["transformationDescription"]),
            ));
        }
    }
    lines.sort();
    lines.dedup();
    Ok((lines, graph["partial"] == json!(true)))
}

#[track_caller]
fn is((lines, partial): &(Vec<String>, bool), wanted: &[&str]) {
    assert_eq!(
        (lines.as_slice(), *partial),
        (wanted.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(), false)
    );
}

async fn prepared(client: &Client<'_>) -> Result<()> {
    batch(
        client,
        &[
            "CREATE TABLE raw (id INTEGER, name VARCHAR, price DOUBLE, day DATE)",
            "CREATE TABLE keyed (id INTEGER PRIMARY KEY, name VARCHAR(20), total DOUBLE)",
            "INSERT INTO raw VALUES (1, 'a', 1.5, '2026-01-01'), (2, 'b', 2.5, '2026-01-02')",
        ],
    )
    .await
}

#[tokio::test]
async fn each_way_of_writing_tells_its_columns() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    prepared(&owner).await?;
    run(&owner, "p", "CREATE TABLE made AS SELECT id AS key, price * 2 AS twice FROM raw WHERE day > '2025-01-01'")
        .await?;
    is(
        &made_of(&owner, "made").await?,
        &["* < raw.day FILTER", "key < raw.id IDENTITY", "twice < raw.price TRANSFORMATION"],
    );

    run(&owner, "p", "INSERT INTO keyed (id, total) SELECT id, sum(price) FROM raw GROUP BY id").await?;
    is(
        &made_of(&owner, "keyed").await?,
        &["* < raw.id GROUP_BY", "id < raw.id IDENTITY", "total < raw.price AGGREGATION"],
    );

    run(&owner, "p", "CREATE TABLE other (id INTEGER, cost DOUBLE)").await?;
    run(&owner, "p", "INSERT INTO other VALUES (1, 3), (2, 5)").await?;
    run(&owner, "p", "UPDATE made SET twice = o.cost FROM other o WHERE o.id = made.key").await?;
    let told = made_of(&owner, "made").await?;
    for wanted in ["* < made.key FILTER", "* < other.id FILTER", "twice < other.cost IDENTITY"] {
        assert!(told.0.iter().any(|line| line == wanted), "{wanted}: {told:?}");
    }

    let merge = "MERGE INTO keyed AS k USING other AS o ON k.id = o.id
                 WHEN MATCHED AND o.cost > 4 THEN UPDATE SET total = k.total + o.cost
                 WHEN NOT MATCHED THEN INSERT (id, total) VALUES (o.id, 0)";
    run(&owner, "p", merge).await?;
    let told = made_of(&owner, "keyed").await?;
    for wanted in [
        "* < keyed.id JOIN",
        "* < other.cost CONDITIONAL",
        "* < other.id JOIN",
        "id < other.id IDENTITY",
        "total < keyed.total TRANSFORMATION",
        "total < other.cost TRANSFORMATION",
    ] {
        assert!(told.0.iter().any(|line| line == wanted), "{wanted}: {told:?}");
    }
    assert!(!told.1);

    let upsert = "INSERT INTO keyed SELECT id, name, price FROM raw
                  ON CONFLICT (id) DO UPDATE SET total = excluded.total + 1, name = excluded.name";
    run(&owner, "p", upsert).await?;
    let told = made_of(&owner, "keyed").await?;
    for wanted in ["name < raw.name IDENTITY", "total < raw.price IDENTITY", "total < raw.price TRANSFORMATION"] {
        assert!(told.0.iter().any(|line| line == wanted), "{wanted}: {told:?}");
    }
    assert!(!told.0.iter().any(|line| line.starts_with("name < raw.price")), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_added_stays_until_the_rows_are_replaced() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    prepared(&owner).await?;
    let made = ["CREATE TABLE more AS SELECT 7 AS id", "CREATE TABLE all_ids (id INTEGER)"];
    batch(&owner, &made).await?;
    for from in ["raw", "more"] {
        run(&owner, "p", &format!("INSERT INTO all_ids SELECT id FROM {from}")).await?;
    }
    is(&made_of(&owner, "all_ids").await?, &["id < more.id IDENTITY", "id < raw.id IDENTITY"]);
    run(&owner, "p", "CREATE OR REPLACE TABLE all_ids AS SELECT id FROM more").await?;
    is(&made_of(&owner, "all_ids").await?, &["id < more.id IDENTITY"]);
    run(&owner, "p", "INSERT INTO all_ids SELECT id FROM raw").await?;
    run(&owner, "p", "TRUNCATE all_ids").await?;
    is(&made_of(&owner, "all_ids").await?, &[]);
    Ok(())
}

#[tokio::test]
async fn what_lies_between_is_seen_through() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    prepared(&owner).await?;
    run(&owner, "p", "CREATE VIEW cheap (k, p) AS SELECT id, price FROM raw WHERE price < 2").await?;
    is(&made_of(&owner, "cheap").await?, &["* < raw.price FILTER", "k < raw.id IDENTITY", "p < raw.price IDENTITY"]);
    run(&owner, "p", "CREATE VIEW cheaper AS SELECT * FROM cheap WHERE k > 0").await?;
    run(&owner, "p", "CREATE TABLE of_view AS SELECT * FROM cheaper").await?;
    is(
        &made_of(&owner, "of_view").await?,
        &["* < raw.id FILTER", "* < raw.price FILTER", "k < raw.id IDENTITY", "p < raw.price IDENTITY"],
    );
    batch(
        &owner,
        &[
            "CREATE TEMP TABLE step AS SELECT id, upper(name) AS n FROM raw",
            "INSERT INTO step SELECT id, name FROM keyed",
            "CREATE VIEW late AS SELECT id FROM keyed",
            "CREATE TABLE of_step AS SELECT s.id, s.n FROM step AS s JOIN late USING (id)",
        ],
    )
    .await?;
    is(
        &made_of(&owner, "of_step").await?,
        &[
            "* < keyed.id JOIN",
            "* < raw.id JOIN",
            "id < keyed.id IDENTITY",
            "id < raw.id IDENTITY",
            "n < keyed.name IDENTITY",
            "n < raw.name TRANSFORMATION",
        ],
    );
    run(&owner, "p", "CREATE TABLE turned AS PIVOT raw ON id IN (1, 2) USING sum(price)").await?;
    let (lines, partial) = made_of(&owner, "turned").await?;
    assert!(lines.is_empty() && partial, "what isn't known is told: {lines:?}");
    Ok(())
}

#[tokio::test]
async fn linked_tables_go_by_the_readers_names() -> Result<()> {
    let server = TestServer::start().await?;
    let (giver, owner) = (server.project("a").await?, server.project("p").await?);
    for sql in ["CREATE SCHEMA sales", "CREATE TABLE sales.t AS SELECT 1 AS id, 'x' AS name"] {
        run(&giver, "a", sql).await?;
    }
    let shared = giver.post("/projects/a/buckets/sales/share", &json!({ "target_project_id": "p" })).await?;
    assert_eq!(shared.status, 200, "{}", shared.text);
    let source = json!({ "source_project_id": "a", "source_bucket_name": "sales" });
    assert_eq!(owner.post("/projects/p/buckets/ext/link", &source).await?.status, 201);
    run(&owner, "p", "CREATE TABLE mine AS SELECT * FROM ext.t WHERE ext.t.id > 0").await?;
    is(
        &made_of(&owner, "mine").await?,
        &["* < ext.t.id FILTER", "id < ext.t.id IDENTITY", "name < ext.t.name IDENTITY"],
    );
    Ok(())
}
