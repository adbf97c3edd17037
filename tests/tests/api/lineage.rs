//! Jobs, runs, events of OpenLineage, and questions about what comes from what.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::sse::EventSource;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const RUN: &str = "01926f4e-7a3c-7d5e-8f00-0123456789ab";

fn event(kind: &str, job: &str, reads: &[&str], writes: &[&str]) -> Value {
    let sets = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| json!({ "namespace": "ducklake", "name": name })).collect()
    };
    json!({
        "eventType": kind, "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.org",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": RUN }, "job": { "namespace": "ducklake", "name": job },
        "inputs": sets(reads), "outputs": sets(writes),
    })
}

/// Waits until nothing waits to be worked off.
async fn worked_off(client: &Client<'_>) -> Result<()> {
    for _ in 0..200 {
        if client.get("/api/v1/lineage/queue").await?.json()["waiting"] == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the queue is not worked off within 10 s")
}

/// A graph's edges, once it has so many.
async fn edges(client: &Client<'_>, path: &str, count: usize) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for _ in 0..100 {
        let graph = client.get(path).await?;
        found = graph.json()["graph"].as_array().into_iter().flatten().flat_map(out_edges).collect();
        if found.len() == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    found.sort();
    Ok(found)
}

fn out_edges(node: &Value) -> Vec<String> {
    let edges = node["outEdges"].as_array().into_iter().flatten();
    edges
        .map(|edge| format!("{} > {}", edge["origin"].as_str().unwrap(), edge["destination"].as_str().unwrap()))
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "an answer is looked at once")]
fn of(reply: Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text);
    reply.json()
}

#[tokio::test]
async fn a_job_runs_and_says_what_it_read_and_wrote() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(of(owner.get("/jobs").await?, 200)["jobs"], json!([]));
    let body = json!({ "name": "nightly", "description": "d", "metadata": { "team": "x" } });
    assert!(of(owner.post("/jobs", &body).await?, 200)["request_id"].is_string());
    let jobs = of(owner.get("/jobs").await?, 200);
    assert_eq!(jobs["jobs"][0]["name"], "nightly");
    assert_eq!((&jobs["jobs"][0]["metadata"], &jobs["jobs"][0]["total_runs"]), (&json!({ "team": "x" }), &json!(0)));

    let begun = of(owner.post("/jobs/nightly/runs", &json!({ "metadata": { "src": "s3" } })).await?, 200);
    let run = begun["run_id"].as_str().context("no run")?.to_owned();
    let path = format!("/jobs/nightly/runs/{run}");
    let found = of(owner.get(&path).await?, 200);
    assert_eq!((&found["state"], &found["ended_at"], &found["inputs"]), (&json!("RUNNING"), &Value::Null, &json!([])));
    let done = json!({ "success": true, "metadata": {
        "inputs": ["raw"], "outputs": ["clean", { "name": "files", "uri": "s3://b/files", "description": "f" }],
    } });
    assert_eq!(of(owner.put(&format!("{path}/complete"), &done).await?, 200)["run_id"], run.as_str());
    let found = of(owner.get(&path).await?, 200);
    assert_eq!(found["state"], "COMPLETE");
    assert_eq!(found["inputs"], json!([{ "namespace": "ducklake", "name": "raw", "uri": "ducklake://tables/raw" }]));
    assert_eq!(found["outputs"][1], json!({ "namespace": "ducklake", "name": "files", "uri": "s3://b/files" }));

    let again = owner.put(&format!("{path}/complete"), &json!({})).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "run_finished"));
    assert_eq!(owner.put(&format!("/jobs/other/runs/{run}/complete"), &json!({})).await?.status, 404);
    assert_eq!(owner.put("/jobs/nightly/runs/xyz/complete", &json!({})).await?.status, 422);
    assert_eq!(owner.get("/jobs/unknown").await?.status, 404);
    assert_eq!(owner.get(&format!("/jobs/nightly/runs/{RUN}")).await?.code(), "run_not_found");
    for (ending, state) in [("fail", "FAIL"), ("abort", "ABORT")] {
        // Without a body, as from a shell.
        let begun = send(owner.request(Method::POST, "/jobs/nightly/runs")).await?;
        let run = of(begun, 200)["run_id"].as_str().context("no run")?.to_owned();
        of(owner.put(&format!("/jobs/nightly/runs/{run}/{ending}"), &json!({})).await?, 200);
        assert_eq!(of(owner.get(&format!("/jobs/nightly/runs?state={state}")).await?, 200)["runs"][0]["run_id"], *run);
    }
    assert_eq!(of(owner.get("/jobs/nightly").await?, 200)["runs"].as_array().map(Vec::len), Some(3));
    let first = of(owner.get("/api/v1/jobs/nightly/runs?limit=2").await?, 200);
    let cursor = first["next_cursor"].as_str().context("no cursor")?;
    let second = of(owner.get(&format!("/jobs/nightly/runs?limit=2&after={cursor}")).await?, 200);
    assert_eq!((&second["runs"][0]["run_id"], &second["next_cursor"]), (&json!(run), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn events_make_a_graph_that_is_asked_as_marquez_is() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(of(owner.post("/api/v1/lineage", &event("START", "load", &[], &[])).await?, 200)["status"], "success");
    let state = of(owner.get(&format!("/api/v1/runs/{RUN}")).await?, 200);
    assert_eq!(state["state"], "RUNNING", "readable at once");
    let mut complete = event("COMPLETE", "load", &["raw"], &["clean"]);
    complete["outputs"][0]["facets"] = json!({
        "schema": { "fields": [{ "name": "id", "type": "INT" }] },
        "columnLineage": { "fields": { "id": { "inputFields": [
            { "namespace": "ducklake", "name": "raw", "field": "rid" },
        ] } } },
    });
    let events = json!([complete, { "eventTime": "x" }, {
        "eventTime": "2026-01-01T00:00:00Z", "job": { "namespace": "ducklake", "name": "report" },
        "inputs": [{ "namespace": "ducklake", "name": "clean" }],
    }]);
    let batch = of(owner.post("/api/v1/lineage/batch", &events).await?, 200);
    assert_eq!(batch["status"], "partial_success");
    let summary = json!({ "received": 3, "successful": 2, "failed": 1, "retriable": 0, "non_retriable": 1 });
    assert_eq!((&batch["summary"], &batch["failed_events"][0]["index"]), (&summary, &json!(1)));
    worked_off(&owner).await?;

    let graph = of(owner.get("/api/v1/lineage?nodeId=dataset:ducklake:clean&depth=1").await?, 200);
    let found: Vec<String> = graph["graph"].as_array().context("no graph")?.iter().flat_map(out_edges).collect();
    assert_eq!(found, ["job:ducklake:load > dataset:ducklake:clean", "dataset:ducklake:clean > job:ducklake:report"]);
    let mermaid = owner.get("/api/v1/lineage?nodeId=job:ducklake:load&direction=downstream&format=mermaid").await?;
    assert!(mermaid.text.starts_with("flowchart LR\n") && mermaid.text.contains("report"), "{}", mermaid.text);
    let columns = "/api/v1/column-lineage?nodeId=datasetField:ducklake:clean:id";
    let columns = of(owner.get(columns).await?, 200);
    assert_eq!(columns["graph"][0]["data"]["inputFields"][0]["field"], "rid");
    assert_eq!(of(owner.get("/api/v1/namespaces").await?, 200)["namespaces"][0]["name"], "ducklake");
    let job = of(owner.get("/api/v1/namespaces/ducklake/jobs/load").await?, 200);
    assert_eq!((&job["latestRun"]["state"], &job["inputs"][0]["name"]), (&json!("COMPLETED"), &json!("raw")));
    let set = of(owner.get("/api/v1/namespaces/ducklake/datasets/clean").await?, 200);
    assert_eq!(set["fields"][0]["type"], "INT");
    assert_eq!(of(owner.get("/api/v1/search?q=CLE").await?, 200)["results"][0]["nodeId"], "dataset:ducklake:clean");
    assert_eq!(owner.get("/api/v1/lineage?nodeId=dataset:ducklake:nothing").await?.status, 404);
    assert_eq!(owner.get("/api/v1/lineage?nodeId=dataset:ducklake:clean&depth=101").await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn writes_tell_of_themselves_with_what_they_read() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    of(owner.post("/jobs/etl/runs", &json!({ "run_id": RUN })).await?, 200);
    of(owner.post("/tables", &json!({ "name": "raw", "schema": { "i": "INT" } })).await?, 200);
    let batch = json!({ "queries": ["CREATE TABLE clean AS SELECT i + 1 AS j FROM raw"] });
    let request = owner.request(Method::POST, "/projects/p/batch").header("X-Run-Id", RUN).json(&batch);
    let snapshot = of(send(request).await?, 200)["snapshot_id"].as_u64().context("no snapshot")?;
    let found = edges(&owner, "/api/v1/lineage?nodeId=dataset:ducklake:clean", 3).await?;
    assert_eq!(
        found,
        [
            "dataset:ducklake:raw > job:gadwall:table.created clean",
            "job:gadwall:table.created clean > dataset:ducklake:clean",
            "job:gadwall:table.created raw > dataset:ducklake:raw",
        ]
    );
    let made = of(owner.get(&format!("/projects/p/snapshots/{snapshot}/runs")).await?, 200);
    assert_eq!(made["runs"][0]["state"], "COMPLETED");
    assert_eq!(made["runs"][0]["facets"]["parent"]["run"]["runId"], RUN);
    let set = of(owner.get("/api/v1/namespaces/ducklake/datasets/clean").await?, 200);
    assert_eq!(set["facets"]["version"]["datasetVersion"], snapshot.to_string());
    assert_eq!(of(owner.get("/jobs").await?, 200)["jobs"].as_array().map(Vec::len), Some(1), "writes are elsewhere");
    Ok(())
}

#[tokio::test]
async fn what_waits_is_worked_off_by_the_next_life() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    let many: Vec<Value> = (0..2_000)
        .map(|number| {
            let mut told = event("COMPLETE", &format!("j{number}"), &["raw"], &[&format!("d{number}")]);
            told["run"]["runId"] = json!(format!("01926f4e-7a3c-7d5e-8f00-{number:012}"));
            told
        })
        .collect();
    of(owner.post("/api/v1/lineage/batch", &json!(many)).await?, 200);
    let dir = server.stop().await?;
    let server = TestServer::start_in(dir, |_| {}).await?;
    let owner = server.with_key(&key);
    worked_off(&owner).await?;
    let graph = of(owner.get("/api/v1/lineage?nodeId=job:ducklake:j1999").await?, 200);
    assert_eq!(graph["graph"].as_array().map(Vec::len), Some(3));
    let whole = of(owner.get("/api/v1/lineage?nodeId=dataset:ducklake:raw&direction=downstream").await?, 200);
    assert_eq!((whole["graph"].as_array().map(Vec::len), &whole["truncated"]), (Some(4_001), &json!(false)));
    Ok(())
}

#[tokio::test]
async fn hostile_events_are_refused_or_set_aside() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let stranger = server.project("q").await?;
    let strange = "a b/c:d\"e'f\\g<h>\u{202e}%2F?#é🦆";
    let told = event("COMPLETE", strange, &[strange], &[strange]);
    of(owner.post("/api/v1/lineage", &told).await?, 200);
    let mut wide = event("COMPLETE", "wide", &[], &["wide"]);
    let fields: Vec<Value> = (0..10_000).map(|number| json!({ "name": format!("c{number}"), "type": "INT" })).collect();
    wide["outputs"][0]["facets"] = json!({ "schema": { "fields": fields } });
    of(owner.post("/api/v1/lineage", &wide).await?, 200);
    let mut broken = event("COMPLETE", "broken", &[], &["broken"]);
    broken["outputs"][0]["facets"] = json!({ "columnLineage": { "fields": [] } });
    of(owner.post("/api/v1/lineage", &broken).await?, 200);
    let mut lying = event("COMPLETE", "x", &[], &[]);
    lying["schemaURL"] = json!("https://example.org/Evil.json");
    assert_eq!(owner.post("/api/v1/lineage", &lying).await?.code(), "invalid_lineage_event");
    let mut huge = event("COMPLETE", "huge", &[], &[]);
    huge["run"]["facets"] = json!({ "x": "y".repeat(20 << 20) });
    assert_eq!(owner.post("/api/v1/lineage", &huge).await?.status, 413);
    let cyclic = json!([event("COMPLETE", "one", &["a"], &["b"]), event("COMPLETE", "two", &["b"], &["a"])]);
    of(owner.post("/api/v1/lineage/batch", &cyclic).await?, 200);
    worked_off(&owner).await?;

    let dead = of(owner.get("/api/v1/lineage/dead-letters").await?, 200);
    let dead = dead["events"].as_array().context("no list")?;
    assert_eq!((dead.len(), &dead[0]["event"]["job"]["name"]), (1, &json!("broken")));
    let id = dead[0]["id"].as_u64().context("no id")?;
    for of_stranger in [format!("/api/v1/lineage/dead-letters/{id}"), "/api/v1/lineage/dead-letters/x".to_owned()] {
        assert!(matches!(stranger.delete(&of_stranger).await?.status, 404 | 422), "{of_stranger}");
    }
    assert_eq!(owner.delete(&format!("/api/v1/lineage/dead-letters/{id}")).await?.status, 200);
    let whole = of(owner.get("/api/v1/lineage?nodeId=dataset:ducklake:a&depth=100").await?, 200);
    assert_eq!(whole["graph"].as_array().map(Vec::len), Some(4));
    // Another tenant's names, runs and namespaces are nothing to it.
    assert_eq!(of(stranger.get("/api/v1/namespaces").await?, 200)["namespaces"], json!([]));
    assert_eq!(stranger.get(&format!("/api/v1/runs/{RUN}")).await?.status, 404);
    assert_eq!(stranger.get("/projects/p/snapshots/1/runs").await?.status, 403);
    let url = reqwest::Url::parse_with_params(
        &server.url("/api/v1/lineage"),
        [("nodeId", format!("dataset:ducklake:{strange}")), ("format", "dot".to_owned())],
    )?;
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let drawn = owner.get(&path).await?;
    assert_eq!(drawn.status, 200, "{}", drawn.text);
    Ok(())
}

#[tokio::test]
async fn a_run_is_watched_step_by_step_and_the_queue_with_it() -> Result<()> {
    let server = TestServer::start_with(|config| config.events.metrics_interval = Duration::from_secs(1)).await?;
    let owner = server.project("p").await?;
    let mut jobs =
        EventSource::open(owner.request(Method::GET, "/events/stream?events=job_status,lineage_event")).await?;
    jobs.next_of("connected").await?;
    let begun = of(owner.post("/jobs/nightly/runs", &json!({})).await?, 200);
    let run = begun["run_id"].as_str().context("no run")?;
    of(owner.put(&format!("/jobs/nightly/runs/{run}/complete"), &json!({})).await?, 200);
    let mut told = Vec::new();
    for _ in 0..8 {
        let event = jobs.next().await?.context("the stream ended")?;
        assert_eq!((&event.data["data"]["job_name"], &event.data["data"]["run_id"]), (&json!("nightly"), &json!(run)));
        told.push(format!("{} {}", event.kind, event.data["data"]["status"].as_str().unwrap_or_default()));
    }
    assert_eq!(
        told,
        [
            "job_status starting",
            "lineage_event processing",
            "lineage_event completed",
            "job_status running",
            "job_status completing",
            "lineage_event processing",
            "lineage_event completed",
            "job_status completed",
        ]
    );
    let mut figures = EventSource::open(owner.request(Method::GET, "/events/metrics")).await?;
    let queue = figures.next_of("queue_status").await?.data["data"].clone();
    let names: Vec<&String> = queue.as_object().context("no figures")?.keys().collect();
    let wanted = ["lineage_events", "lineage_events_dlq", "lineage_notifications", "total_messages", "timestamp"];
    assert_eq!(names, wanted, "{queue}");
    Ok(())
}
