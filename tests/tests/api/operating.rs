//! Running the service: settings, the log, memory, performance, and figures.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

/// The names of an object's members.
fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<&str> {
    names.into()
}

async fn fetch(client: &Client<'_>, path: &str) -> Result<Value> {
    let reply = client.get(path).await?;
    anyhow::ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.text);
    Ok(reply.json())
}

/// What an admin did that is in the log.
async fn audited(server: &TestServer, action: &str) -> Result<Vec<Value>> {
    let listed = fetch(&server.admin(), &format!("/audit?action={action}")).await?;
    Ok(listed["entries"].as_array().context("no entries")?.clone())
}

#[tokio::test]
async fn the_machine_is_told_in_bytes_and_percent() -> Result<()> {
    let server = TestServer::start().await?;
    let told = fetch(&server.admin(), "/monitoring/metrics/system").await?;
    assert_eq!(keys(&told), names(["cpu", "memory", "disk"]));
    assert_eq!(keys(&told["cpu"]), names(["usage_percent", "count"]));
    assert_eq!(keys(&told["memory"]), names(["total", "available", "used", "percent"]));
    assert_eq!(keys(&told["disk"]), names(["total", "used", "free", "percent"]));
    let number = |part: &str, name: &str| told[part][name].as_f64().unwrap();
    assert!(number("memory", "total") >= number("memory", "used") && number("cpu", "count") >= 1.0, "{told}");
    assert!((0.0..=100.0).contains(&number("disk", "percent")), "{told}");
    Ok(())
}

#[tokio::test]
async fn the_level_of_the_log_changes_at_once_and_is_written_down() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = server.admin();
    assert_eq!(fetch(&admin, "/admin/logging/level").await?, json!({ "current_level": "INFO" }));
    let set = admin.post("/admin/logging/level", &json!({ "level": "WARNING" })).await?;
    assert_eq!((set.status, set.json()), (200, json!({ "message": "Logging level set to WARNING" })));
    let set = admin.post("/admin/logging/level", &json!({ "level": "DEBUG", "module": "gadwall_http" })).await?;
    assert_eq!(set.json(), json!({ "message": "Logging level set to DEBUG" }));
    let now = json!({ "current_level": "WARNING", "modules": { "gadwall_http": "DEBUG" } });
    assert_eq!(fetch(&admin, "/admin/logging/level").await?, now);
    assert_eq!(fetch(&admin, "/config/summary").await?["log_level"], "WARNING");
    for wrong in [
        json!({ "level": "debug" }),
        json!({ "level": "WARN" }),
        json!({ "level": "TRACE" }),
        json!({ "level": 10 }),
        json!({}),
        json!({ "level": "INFO", "module": "a=trace,b" }),
    ] {
        let refused = admin.post("/admin/logging/level", &wrong).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"), "{wrong}: {}", refused.text);
    }
    assert_eq!(fetch(&admin, "/admin/logging/level").await?, now, "what was refused changed nothing");
    let told: Vec<_> =
        audited(&server, "logging.level_set").await?.iter().map(|entry| entry["resource"].clone()).collect();
    assert_eq!(told, ["gadwall_http=DEBUG", "WARNING"]);
    Ok(())
}

#[tokio::test]
async fn settings_are_shown_without_secrets() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = server.admin();
    let summary = fetch(&admin, "/config/summary").await?;
    let wanted = [
        "environment",
        "debug",
        "log_level",
        "host",
        "port",
        "database",
        "ducklake",
        "storage",
        "features_enabled",
        "monitoring_enabled",
    ];
    assert_eq!(keys(&summary), names(wanted));
    assert_eq!(keys(&summary["storage"]), names(["endpoint", "secure", "default_bucket"]));
    for key in ["host", "port", "database", "pool_size"] {
        assert!(summary["database"].get(key).is_some(), "{key}: {summary}");
    }
    assert_eq!((&summary["environment"], &summary["debug"]), (&json!("development"), &json!(false)));

    let valid = fetch(&admin, "/config/validate").await?;
    assert_eq!(keys(&valid), names(["valid", "environment", "config_summary", "validation_errors"]));
    assert_eq!((&valid["valid"], &valid["validation_errors"]), (&json!(true), &json!([])));
    assert_eq!(valid["config_summary"], summary);

    let features = fetch(&admin, "/config/features").await?;
    assert_eq!(features.as_object().unwrap().len(), 19);
    assert!(features.as_object().unwrap().values().all(Value::is_boolean));
    assert_eq!(features["enable_authentication"], true);
    let on = features.as_object().unwrap().values().filter(|on| **on == json!(true)).count();
    assert_eq!(summary["features_enabled"], on);

    let lakes = fetch(&admin, "/config/ducklake").await?;
    assert_eq!(keys(&lakes), names(["connection_status", "configuration", "storage_config", "environment"]));
    assert_eq!(keys(&lakes["storage_config"]), names(["endpoint", "secure", "default_bucket", "region"]));
    for key in ["connected", "timestamp", "environment"] {
        assert!(lakes["connection_status"].get(key).is_some(), "{key}: {lakes}");
    }
    assert_eq!(lakes["connection_status"]["connected"], true);
    for key in [
        "metadata_schema",
        "metadata_catalog",
        "encrypted",
        "data_inlining_row_limit",
        "snapshot_version",
        "snapshot_time",
        "read_only",
        "connection_retries",
        "connection_retry_delay",
        "connection_timeout",
    ] {
        assert!(lakes["configuration"].get(key).is_some(), "{key}: {lakes}");
    }
    let all = format!("{summary}{valid}{features}{lakes}");
    assert!(!all.contains(gadwall_tests::support::ADMIN_KEY), "{all}");
    assert!(!all.contains(server.data_dir().to_str().unwrap()), "{all}");
    Ok(())
}

#[tokio::test]
async fn engines_are_opened_anew_and_nothing_is_lost() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let columns = json!([{ "name": "i", "type": "INT" }]);
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    owner.post("/projects/p/buckets/b/tables", &json!({ "name": "t", "columns": columns })).await?;
    owner.post("/projects/p/buckets/b/tables/t/rows", &json!([{ "i": 1 }])).await?;
    let reply = server.admin().post("/config/ducklake/reconnect", &json!({})).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!(keys(&body), names(["message", "status"]));
    assert_eq!(body["status"]["connected"], true);
    assert_eq!(body["status"]["reconnection"], "successful");
    let appended = owner.post("/projects/p/buckets/b/tables/t/rows", &json!([{ "i": 2 }])).await?;
    assert_eq!(appended.status, 200, "{}", appended.text);
    let rows = owner.post("/projects/p/query", &json!({ "query": "SELECT sum(i) AS s FROM b.t" })).await?;
    assert!(rows.text.contains('3'), "{}", rows.text);
    assert_eq!(audited(&server, "engine.reopened").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn memory_is_told_and_given_back() -> Result<()> {
    let server = TestServer::start().await?;
    let (admin, owner) = (server.admin(), server.project("p").await?);
    owner.post("/projects/p/query", &json!({ "query": "SELECT 1 AS one" })).await?;
    let current = names(["rss_mb", "vms_mb", "percent", "available_mb", "thread_count", "open_files", "gc_objects"]);
    let memory = fetch(&admin, "/metrics/memory").await?;
    assert_eq!(keys(&memory), names(["current", "stats", "components"]));
    assert_eq!(keys(&memory["current"]), current);
    let stats = names(["min_rss_mb", "max_rss_mb", "avg_rss_mb", "growth_rate_mb_per_sec"]);
    assert!(keys(&memory["stats"]) == stats || memory["stats"] == json!({}), "{memory}");
    assert!(memory["current"]["rss_mb"].as_f64() > Some(1.0), "{memory}");
    assert_eq!(memory["current"]["gc_objects"], 1, "the result above");
    assert!(memory["components"]["engine"].is_number(), "{memory}");

    let collected = admin.post("/metrics/gc", &json!({})).await?;
    assert_eq!(collected.status, 200, "{}", collected.text);
    let collected = collected.json();
    assert_eq!(collected["collected_objects"], json!({ "0": 1, "1": 0, "2": 0 }));
    assert_eq!(keys(&collected["memory_after_gc"]), current);
    assert_eq!(collected["memory_after_gc"]["gc_objects"], 0);
    assert_eq!(audited(&server, "memory.released").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn memory_is_not_looked_at_where_that_is_switched_off() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.features.enable_memory_monitoring = false;
        config.features.enable_performance_tracking = false;
    })
    .await?;
    let admin = server.admin();
    assert_eq!(fetch(&admin, "/metrics/memory").await?["stats"], json!({}));
    assert_eq!(fetch(&admin, "/metrics/performance").await?["requests"], json!({}));
    assert_eq!(fetch(&admin, "/config/summary").await?["monitoring_enabled"], false);
    Ok(())
}

#[tokio::test]
async fn performance_tells_of_requests_and_of_the_engine() -> Result<()> {
    let server = TestServer::start().await?;
    let (admin, owner) = (server.admin(), server.project("p").await?);
    owner.post("/projects/p/query", &json!({ "query": "SELECT 1 AS one" })).await?;
    owner.get("/projects/p/buckets/none").await?;
    let told = fetch(&admin, "/metrics/performance").await?;
    assert_eq!(keys(&told), names(["requests", "database", "active_requests", "throughput"]));
    let requests =
        ["total_requests", "avg_duration", "min_duration", "max_duration", "requests_per_second", "error_rate"];
    assert_eq!(keys(&told["requests"]), names(requests));
    let database = ["total_queries", "avg_duration", "min_duration", "max_duration", "active_queries", "operations"];
    assert_eq!(keys(&told["database"]), names(database));
    let throughput = ["timestamp", "requests_per_second", "avg_response_time", "error_rate", "active_requests"];
    assert_eq!(keys(&told["throughput"]), names(throughput));
    assert_eq!(told["requests"]["total_requests"], 3);
    assert!((told["requests"]["error_rate"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9, "{told}");
    assert_eq!((&told["database"]["operations"]["select"], &told["active_requests"]), (&json!(1), &json!(1)));
    Ok(())
}

/// Samples of an exposition by their whole names with labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

async fn scrape(server: &TestServer, accept: &str) -> Result<Reply> {
    send(server.request(Method::GET, "/metrics").header("Accept", accept)).await
}

#[tokio::test]
async fn figures_are_told_by_route_and_never_by_project() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("secretive").await?;
    owner.post("/projects/secretive/buckets", &json!({ "name": "b" })).await?;
    let columns = json!([{ "name": "i", "type": "INT" }]);
    owner
        .post("/projects/secretive/branches/default/buckets/b/tables", &json!({ "name": "t", "columns": columns }))
        .await?;
    owner.post("/projects/secretive/buckets/b/tables/t/rows", &json!([{ "i": 1 }])).await?;
    owner.post("/projects/secretive/query", &json!({ "query": "SELECT i FROM b.t" })).await?;
    owner.get("/projects/secretive/nowhere").await?;

    let reply = scrape(&server, "text/plain").await?;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let samples = samples(&reply.text);
    for (name, value) in [
        (
            "http_server_request_duration_seconds_count{http_request_method=\"POST\",url_scheme=\"http\",\
             http_route=\"/projects/{project}/buckets/{bucket}/tables\",http_response_status_code=\"201\"}",
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",url_scheme=\"http\",http_route=\"\",\
             http_response_status_code=\"404\"}",
            1.0,
        ),
        ("db_client_operation_duration_seconds_count{db_system_name=\"other_sql\",db_operation_name=\"select\"}", 1.0),
        ("db_client_operation_duration_seconds_count{db_system_name=\"other_sql\",db_operation_name=\"append\"}", 1.0),
        ("gadwall_circuit_breaker_state{name=\"duckdb\",state=\"closed\"}", 1.0),
        ("gadwall_result_cache_requests_total{result=\"miss\"}", 1.0),
        ("gadwall_writer_queue_length", 0.0),
        ("duckdb_table_creations_total{status=\"success\"}", 1.0),
        ("ducklake_database_queries_total{operation=\"select\"}", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}\n{}", reply.text);
    }
    for name in ["process_resident_memory_bytes", "gadwall_engines", "cpu_usage_percent", "http_server_active_requests"]
    {
        assert!(samples.contains_key(name), "{name}\n{}", reply.text);
    }
    assert!(reply.text.contains("# TYPE duckdb_api_requests_total counter"), "{}", reply.text);
    assert!(!reply.text.contains("secretive"), "{}", reply.text);
    Ok(())
}

#[tokio::test]
async fn openmetrics_is_for_who_asks_for_it() -> Result<()> {
    let server = TestServer::start_with(|config| config.metrics.legacy_names = false).await?;
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let reply = scrape(&server, accept).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((reply.status, reply.header("content-type")), (200, kind));
    assert!(reply.text.ends_with("# EOF\n") && reply.text.contains("# TYPE gadwall_queries counter"), "{}", reply.text);
    for name in ["duckdb_api_", "ducklake_", "http_requests_total", "cpu_usage_percent"] {
        assert!(!reply.text.contains(name), "{name} is an older name");
    }
    Ok(())
}

#[tokio::test]
async fn figures_can_be_kept_to_admins_or_switched_off() -> Result<()> {
    let server = TestServer::start_with(|config| config.auth.metrics_public = false).await?;
    let owner = server.project("p").await?;
    assert_eq!(scrape(&server, "*/*").await?.status, 401);
    assert_eq!(owner.get("/metrics").await?.status, 401);
    assert_eq!(server.with_key("made-up").get("/metrics").await?.status, 401);
    assert_eq!(server.admin().get("/metrics").await?.status, 200);
    drop(owner);
    server.stop().await?;
    let server = TestServer::start_with(|config| config.features.enable_prometheus_metrics = false).await?;
    let reply = scrape(&server, "*/*").await?;
    assert_eq!((reply.status, reply.code().as_str()), (404, "switched_off"));
    Ok(())
}

#[tokio::test]
async fn flags_of_older_deployments_switch_what_is_here() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.features.enable_rate_limiting = false;
        config.features.enable_request_caching = false;
        config.features.enable_data_compression = false;
        config.features.enable_cors = false;
        config.rate_limit.key_requests = 2;
        config.cors.allow_origins = vec!["https://app.example.org".to_owned()];
    })
    .await?;
    let (admin, owner) = (server.admin(), server.project("p").await?);
    for _ in 0..5 {
        assert_eq!(owner.post("/projects/p/query", &json!({ "query": "SELECT 1 AS one" })).await?.status, 200);
    }
    assert_eq!(fetch(&admin, "/metrics/memory").await?["current"]["gc_objects"], 0);
    let document = server.request(Method::GET, "/openapi.json").header("Accept-Encoding", "gzip");
    assert_eq!(send(document).await?.header("content-encoding"), "");
    let page = server.request(Method::GET, "/version").header("Origin", "https://app.example.org");
    assert_eq!(send(page).await?.header("access-control-allow-origin"), "");
    Ok(())
}
