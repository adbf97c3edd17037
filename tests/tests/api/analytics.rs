//! The engine's health, statistics and circuit breaker over HTTP.

use std::time::Duration;

use anyhow::Result;
use gadwall_tests::cloud::passes_over;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const HEALTH: &str = "/api/v1/duckdb/health";
const STATISTICS: &str = "/api/v1/duckdb/statistics";
const RESET: &str = "/api/v1/duckdb/circuit-breaker/reset";
const ENDLESS: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";

async fn query(client: &Client<'_>, sql: &str) -> Result<Reply> {
    client.post("/projects/p/query", &json!({ "query": sql, "timeout_seconds": 1 })).await
}

async fn health(server: &TestServer) -> Result<Value> {
    let reply = send(server.request(Method::GET, HEALTH)).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(reply.json())
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[track_caller]
fn assert_holds(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "{key} is missing in {value}");
    }
}

const BREAKER: [&str; 10] = [
    "name",
    "state",
    "failure_count",
    "success_count",
    "recent_failures",
    "next_attempt_time",
    "seconds_until_retry",
    "success_rate",
    "config",
    "metrics",
];
const METRICS: [&str; 9] = [
    "total_connections",
    "active_connections",
    "total_queries",
    "successful_queries",
    "failed_queries",
    "success_rate",
    "avg_query_time",
    "memory_usage_mb",
    "last_query_time",
];
const SYSTEM: [&str; 6] = [
    "process_memory_mb",
    "process_memory_percent",
    "cpu_percent",
    "system_memory_percent",
    "system_cpu_percent",
    "disk_usage_percent",
];

#[tokio::test]
async fn health_needs_no_key_and_holds_everything() -> Result<()> {
    if passes_over("the size of a bucket is not counted") {
        return Ok(());
    }
    let server = TestServer::start().await?;
    let body = health(&server).await?;
    assert_holds(
        &body,
        &["status", "timestamp", "service_initialized", "database_path", "database_exists", "database_size_mb"],
    );
    assert_holds(&body, &["query_test", "connection_pool", "circuit_breaker", "metrics", "system", "errors"]);
    assert_holds(&body["query_test"], &["success", "execution_time", "memory_usage"]);
    assert_holds(&body["connection_pool"], &["total_connections", "available_connections", "max_connections"]);
    assert_holds(&body["circuit_breaker"], &BREAKER);
    assert_holds(&body["circuit_breaker"]["config"], &["failure_threshold", "success_threshold", "timeout_seconds"]);
    assert_holds(&body["metrics"], &METRICS);
    assert_holds(&body["system"], &SYSTEM);
    assert_eq!((&body["status"], &body["errors"]), (&json!("healthy"), &json!([])));
    assert_eq!((&body["database_path"], &body["database_exists"]), (&json!("embedded"), &json!(true)));
    assert_eq!(body["query_test"]["success"], true);
    assert!(body["query_test"]["execution_time"].as_f64() > Some(0.0));
    assert!(body["database_size_mb"].as_f64() > Some(0.0), "the lake of `default`: {body}");
    assert_eq!(body["connection_pool"]["available_connections"], body["connection_pool"]["max_connections"]);
    let breaker = &body["circuit_breaker"];
    assert_eq!((&breaker["name"], &breaker["state"]), (&json!("duckdb"), &json!("closed")));
    let config = json!({ "failure_threshold": 5, "success_threshold": 3, "timeout_seconds": 30.0 });
    assert_eq!(breaker["config"], config);
    for part in ["process_memory_mb", "process_memory_percent", "system_memory_percent", "disk_usage_percent"] {
        assert!(body["system"][part].as_f64() > Some(0.0), "{part} in {body}");
    }
    Ok(())
}

#[tokio::test]
async fn mistakes_in_queries_never_open_the_breaker() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for sql in ["SELEC 1", "SELECT nope", "SELECT 'x'::INT", "SELECT * FROM no.such", "SET threads = 1"] {
        for _ in 0..10 {
            let reply = query(&owner, sql).await?;
            assert!(matches!(reply.status, 400 | 403), "{sql}: {}", reply.text);
        }
    }
    assert_eq!(query(&owner, "SELECT 1").await?.status, 200);
    let breaker = &health(&server).await?["circuit_breaker"];
    assert_eq!((&breaker["state"], &breaker["failure_count"]), (&json!("closed"), &json!(0)));
    assert_eq!(breaker["metrics"]["failed_requests"], 0);
    assert_eq!(breaker["metrics"]["total_requests"], 51);
    Ok(())
}

#[tokio::test]
async fn statistics_count_what_was_asked() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let none = owner.get(STATISTICS).await?.json();
    assert_eq!((&none["query_analysis"], &none["metrics"]["total_queries"]), (&json!(null), &json!(0)));
    for sql in ["SELECT 1", "SELECT 2", "WITH x AS (SELECT 3) SELECT * FROM x", "SELEC 4"] {
        query(&owner, sql).await?;
    }
    let body = owner.get(STATISTICS).await?.json();
    assert_holds(&body, &["service", "metrics", "performance", "system", "circuit_breaker", "database_file"]);
    assert_holds(
        &body["service"],
        &["initialized", "uptime_seconds", "database_path", "memory_limit", "worker_threads"],
    );
    assert_holds(&body["metrics"], &METRICS);
    assert_holds(&body["system"], &SYSTEM);
    assert_holds(&body["circuit_breaker"], &BREAKER);
    assert_holds(&body["database_file"], &["size_mb", "created", "modified"]);

    let metrics = &body["metrics"];
    let counts = ["total_queries", "successful_queries", "failed_queries", "total_connections", "active_connections"];
    assert_eq!(counts.map(|name| metrics[name].as_u64().unwrap()), [4, 3, 1, 4, 0]);
    assert_eq!((&metrics["success_rate"], &body["performance"]["success_rate"]), (&json!(75.0), &json!(75.0)));
    assert_eq!(metrics["operations"], json!({ "other": 1, "select": 2, "with": 1 }));
    assert!(metrics["avg_query_time"].as_f64() > Some(0.0) && metrics["last_query_time"].is_string(), "{metrics}");
    let analysis = &body["query_analysis"];
    assert_eq!((&analysis["total_queries"], &analysis["queries_over_1s"]), (&json!(4), &json!(0)));
    assert!(analysis["min_time"].as_f64() <= analysis["median_time"].as_f64());
    assert!(analysis["median_time"].as_f64() <= analysis["max_time"].as_f64());
    assert_eq!(body["performance"]["recent_query_times"].as_array().unwrap().len(), 4);
    assert_eq!((&body["performance"]["queries_over_1s"], &analysis["queries_over_5s"]), (&json!(0), &json!(0)));
    let breaker = &body["circuit_breaker"];
    assert_eq!((&breaker["success_rate"], &breaker["metrics"]["success_rate"]), (&json!(100.0), &json!(100.0)));
    assert_eq!(&body["circuit_breakers"]["duckdb"], breaker);
    Ok(())
}

#[tokio::test]
async fn heavy_queries_never_open_it() -> Result<()> {
    let server = TestServer::start_with(|config| config.breaker.failure_threshold = 2).await?;
    let owner = server.project("p").await?;
    for _ in 0..3 {
        assert_eq!(query(&owner, ENDLESS).await?.code(), "query_timeout");
    }
    assert_eq!(query(&owner, "SELECT 1").await?.status, 200);
    let breaker = &health(&server).await?["circuit_breaker"];
    assert_eq!((&breaker["state"], &breaker["failure_count"]), (&json!("closed"), &json!(0)));
    Ok(())
}

/// Makes a table whose file is gone.
async fn break_table(server: &TestServer, owner: &Client<'_>) -> Result<()> {
    for sql in ["CREATE TABLE t (i INT)", "INSERT INTO t SELECT range FROM range(1000)"] {
        let made = query(owner, sql).await?;
        assert_eq!(made.status, 200, "{}", made.text);
    }
    let mut folders = vec![server.data_dir().join("lakes")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn faults_open_it_and_an_admin_closes_it() -> Result<()> {
    if passes_over("it removes a data file from the data directory") {
        return Ok(());
    }
    let server = TestServer::start_with(|config| {
        config.breaker.failure_threshold = 2;
        config.breaker.timeout = Duration::from_secs(100);
    })
    .await?;
    let owner = server.project("p").await?;
    break_table(&server, &owner).await?;
    // What writes and what reads have one engine, and so one breaker.
    for sql in ["SELECT sum(i) FROM t", "UPDATE t SET i = i + 1"] {
        let failed = query(&owner, sql).await?;
        assert_eq!((failed.status, failed.code().as_str()), (500, "internal_error"), "{sql}: {}", failed.text);
    }
    let batch = owner.post("/projects/p/batch", &json!({ "queries": ["SELECT 1"] })).await?;
    assert_eq!((batch.status, batch.code().as_str()), (503, "circuit_open"), "{}", batch.text);
    let refused = query(&owner, "SELECT 1").await?;
    assert_eq!((refused.status, refused.code().as_str()), (503, "circuit_open"), "{}", refused.text);
    let wait: u64 = refused.header("retry-after").parse()?;
    assert!((90..=100).contains(&wait), "{wait}");
    assert_eq!(refused.json()["retryable"], true);

    let sick = health(&server).await?;
    assert_eq!((&sick["status"], &sick["query_test"]["success"]), (&json!("unhealthy"), &json!(true)));
    assert_eq!((&sick["circuit_breaker"]["state"], sick["errors"].as_array().unwrap().len()), (&json!("open"), 1));
    assert!(sick["circuit_breaker"]["seconds_until_retry"].as_f64() > Some(90.0));
    // Its own tables can be read all the same: only queries go through the breaker.
    assert_eq!(owner.get("/projects/p/buckets").await?.status, 200);

    assert_eq!(owner.post(RESET, &json!({})).await?.status, 403);
    assert_eq!(query(&owner, "SELECT 1").await?.status, 503);
    let reset = send(server.admin().request(Method::POST, RESET)).await?;
    assert_eq!((reset.status, &reset.json()["status"]), (200, &json!("success")), "{}", reset.text);
    assert_eq!(query(&owner, "SELECT 1").await?.status, 200);
    let breaker = &health(&server).await?["circuit_breaker"];
    assert_eq!((&breaker["state"], &breaker["metrics"]["circuit_open_count"]), (&json!("closed"), &json!(1)));
    assert_eq!(breaker["metrics"]["refused_requests"], 3);
    Ok(())
}

#[tokio::test]
async fn who_may_ask_what() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for (method, path) in [(Method::GET, "/api/v1/duckdb/"), (Method::GET, STATISTICS), (Method::POST, RESET)] {
        assert_eq!(send(server.request(method.clone(), path)).await?.status, 401, "{path}");
        let wrong = send(server.with_key("wrong").request(method.clone(), path)).await?;
        assert!(matches!(wrong.status, 401 | 403), "{path}: {}", wrong.text);
        let admin = send(server.admin().request(method, path)).await?;
        assert_eq!(admin.status, 200, "{path}: {}", admin.text);
    }
    assert_eq!(owner.get("/api/v1/duckdb/").await?.status, 200);
    let foreign = send(owner.request(Method::GET, STATISTICS).header("X-Project", "default")).await?;
    assert_eq!(foreign.status, 403, "{}", foreign.text);
    let reset = send(owner.request(Method::POST, RESET)).await?;
    assert_eq!((reset.status, reset.code().as_str()), (403, "forbidden"), "{}", reset.text);
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_where_files_lie() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    query(&owner, "SELECT 1").await?;
    let own = owner.get(STATISTICS).await?;
    assert_eq!(own.json()["service"]["database_path"], "p");
    let all = server.admin().get(STATISTICS).await?;
    assert_eq!(all.json()["service"]["database_path"], "embedded");
    let named = send(server.admin().request(Method::GET, STATISTICS).header("X-Project", "p")).await?;
    assert_eq!(named.json()["service"]["database_path"], "p");
    let open = send(server.request(Method::GET, HEALTH)).await?;
    let dir = server.data_dir().to_string_lossy().into_owned();
    for text in [own.text, all.text, named.text, open.text] {
        assert!(!text.contains(&dir) && !text.contains("lakes") && !text.contains("/tmp"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_storage_is_told_with_200() -> Result<()> {
    let server = TestServer::start().await?;
    std::fs::rename(server.data_dir().join("lakes"), server.data_dir().join("gone"))?;
    let body = health(&server).await?;
    assert_eq!((&body["status"], &body["database_exists"]), (&json!("unhealthy"), &json!(false)), "{body}");
    assert_eq!(body["database_size_mb"], json!(null));
    Ok(())
}
