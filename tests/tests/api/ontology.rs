//! Schemas of a server that misbehaves, changes and comes back; and tables that follow them.

use std::time::{Duration, Instant};

use anyhow::Result;
use gadwall_test_services::{Ontology, Says};
use gadwall_tests::support::{Client, TestServer};
use serde_json::{Value, json};

async fn server_with(ontology: &Ontology, timeout: Duration) -> Result<TestServer> {
    let url = ontology.url();
    TestServer::start_with(|config| {
        config.ontology.use_mock = false;
        config.ontology.url = url;
        config.ontology.timeout = timeout;
    })
    .await
}

fn projects(version: &str, more: &[Value]) -> Value {
    let mut columns = vec![
        json!({ "name": "project_id", "type": "UUID", "fill": "uuid" }),
        json!({ "name": "project_name", "type": "VARCHAR" }),
    ];
    columns.extend_from_slice(more);
    json!({ "name": "projects", "version": version, "columns": columns })
}

/// Where the schema comes from that a table was just made of.
async fn initialized(client: &Client<'_>) -> Result<(String, String)> {
    let made = client.post("/ops/initialize", &json!(null)).await?;
    assert_eq!(made.status, 200, "{}", made.text);
    Ok((made.header("x-schema-source").to_owned(), made.header("x-schema-version").to_owned()))
}

fn is(source: &str, version: &str) -> (String, String) {
    (source.to_owned(), version.to_owned())
}

#[tokio::test]
async fn whatever_the_server_does_a_schema_holds() -> Result<()> {
    for says in [
        Says::Status(500),
        Says::Slowly(Duration::from_secs(10)),
        Says::Garbage,
        Says::Huge,
        Says::Half,
        Says::Loop,
        Says::Nothing,
    ] {
        let ontology = Ontology::start().await?;
        ontology.say(says.clone());
        ontology.publish("project_schema", projects("1", &[]));
        let server = server_with(&ontology, Duration::from_secs(2)).await?;
        let owner = server.project("p").await?;
        let begun = Instant::now();
        assert_eq!(initialized(&owner).await?, is("builtin", "builtin-1"), "{says:?}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{says:?}");
        let shown = owner.get("/schemas/project_schema").await?.json();
        assert_eq!(shown["source"], "builtin", "{says:?}");
        assert!(shown["problem"].as_str().is_some_and(|problem| !problem.contains("127.0.0.1")), "{shown}");
        ontology.say(Says::Documents);
        let back = owner.post("/schemas/project_schema/refresh", &json!(null)).await?.json();
        assert_eq!((&back["source"], &back["version"]), (&json!("server"), &json!("1")), "{says:?}: {back}");
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_schema_is_refused_with_its_place() -> Result<()> {
    let ontology = Ontology::start().await?;
    ontology.publish("project_schema", json!({ "columns": [{ "name": "a", "type": "WHAT" }] }));
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    let owner = server.project("p").await?;
    assert_eq!(initialized(&owner).await?.0, "builtin");
    let shown = owner.post("/schemas/project_schema/refresh", &json!(null)).await?.json();
    assert!(shown["problem"].as_str().unwrap().contains("/columns/0/type"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn health_tells_of_the_server() -> Result<()> {
    let ontology = Ontology::start().await?;
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    let nobody = server.with_key("none");
    let health = nobody.get("/monitoring/health").await?;
    let names: Vec<String> = health.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!((health.status, names), (200, ["status", "service", "timestamp", "checks"].map(str::to_owned).to_vec()));
    let checks = health.json()["checks"].clone();
    assert_eq!((&checks["onto_server"], &checks["database"]), (&json!("ok"), &json!("ok")));
    drop(server);
    ontology.say(Says::Status(204));
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    let nobody = server.with_key("none");
    let health = nobody.get("/monitoring/health").await?.json();
    assert_eq!((&health["status"], &health["checks"]["onto_server"]), (&json!("degraded"), &json!("error")));
    let ready = nobody.get("/readyz?verbose").await?;
    assert_eq!((ready.status, &ready.json()["checks"]["onto_server"]), (200, &json!("error")), "{}", ready.text);
    Ok(())
}

#[tokio::test]
async fn a_table_follows_its_schema() -> Result<()> {
    let ontology = Ontology::start().await?;
    ontology.publish("project_schema", projects("1", &[]));
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    let owner = server.project("p").await?;
    let other = server.project("q").await?;
    assert_eq!(initialized(&owner).await?, is("server", "1"));
    assert_eq!(owner.post("/ops/projects", &json!({ "project_name": "a" })).await?.status, 200);

    // What breaks nobody comes with the next initialization.
    let country = json!({ "name": "country", "type": "CHAR(2)", "required": false });
    ontology.publish("project_schema", projects("2", std::slice::from_ref(&country)));
    let plan = owner.post("/schemas/project_schema/refresh", &json!(null)).await?;
    assert_eq!(plan.json()["version"], "2", "{}", plan.text);
    let plan = owner.get("/admin/tables/projects/plan").await?.json();
    assert_eq!((&plan["drift"], &plan["from_version"], &plan["to_version"]), (&json!(true), &json!("1"), &json!("2")));
    assert_eq!((&plan["compatibility"], &plan["steps"][0]["op"]), (&json!("compatible"), &json!("add_column")));
    assert_eq!(initialized(&owner).await?, is("server", "2"));
    let table = owner.get("/admin/tables/projects").await?.json();
    assert_eq!((&table["governed"]["drift"], &table["governed"]["from_version"]), (&json!(false), &json!("2")));
    assert_eq!(owner.post("/ops/projects", &json!({ "project_name": "b", "country": "NO" })).await?.status, 200);

    // What does needs consent, and tells whom it touches.
    let view = json!({ "query": "SELECT country FROM main.projects" });
    assert!(owner.put("/projects/p/buckets/main/views/v", &view).await?.status < 300);
    owner.post("/projects/p/buckets/main/share", &json!({ "target_project_id": "q" })).await?;
    let link = json!({ "source_project_id": "p", "source_bucket_name": "main" });
    let linked = other.post("/projects/q/buckets/theirs/link", &link).await?;
    assert!(linked.status < 300, "{}", linked.text);
    let renamed = json!({ "name": "land", "type": "VARCHAR(3)", "aliases": ["country"], "required": false });
    ontology.publish("project_schema", projects("3", std::slice::from_ref(&renamed)));
    assert_eq!(initialized(&owner).await?, is("server", "3"));
    let columns = |table: Value| -> Vec<String> {
        let columns = table["columns"].as_array().cloned().unwrap_or_default();
        columns
            .iter()
            .map(|column| format!("{} {}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap()))
            .collect()
    };
    let before = columns(owner.get("/admin/tables/projects").await?.json());
    assert_eq!(before, ["project_id UUID", "project_name VARCHAR", "country CHAR(2)"], "nobody is broken unasked");
    let refused = owner.post("/admin/tables/projects/evolve", &json!(null)).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "breaking_change"), "{}", refused.text);
    let affected = refused.json()["details"]["affected"].clone();
    assert_eq!(affected, json!({ "links": [{ "project": "q", "bucket": "theirs" }], "views": ["main.v"] }));
    let done = owner.post("/admin/tables/projects/evolve?allow_breaking=true", &json!(null)).await?;
    assert_eq!((done.status, done.json()["snapshot_id"].is_u64()), (200, true), "{}", done.text);
    let steps: Vec<Value> = done.json()["steps"].as_array().unwrap().iter().map(|step| step["op"].clone()).collect();
    assert_eq!(steps, ["rename_column", "set_type"]);
    let after = columns(owner.get("/admin/tables/projects").await?.json());
    assert_eq!(after, ["project_id UUID", "project_name VARCHAR", "land VARCHAR(3)"]);
    let again = owner.post("/admin/tables/projects/evolve", &json!(null)).await?.json();
    assert_eq!((&again["steps"], &again["from_version"]), (&json!([]), &json!("3")));

    let versions = owner.get("/schemas/project_schema/versions").await?.json();
    let names: Vec<&str> =
        versions["versions"].as_array().unwrap().iter().filter_map(|v| v["version"].as_str()).collect();
    assert_eq!(names, ["3", "2", "1", "builtin-1"]);
    let diff = owner.get("/schemas/project_schema/diff?from=1&to=2").await?.json();
    assert_eq!((&diff["compatibility"], &diff["steps"][0]["op"]), (&json!("compatible"), &json!("add_column")));
    let diff = owner.get("/schemas/project_schema/diff").await?.json();
    assert_eq!((&diff["from"], &diff["to"], &diff["compatibility"]), (&json!("2"), &json!("3"), &json!("breaking")));
    assert_eq!(owner.get("/schemas/project_schema/diff?from=9").await?.code(), "schema_version_not_found");
    assert_eq!(owner.get("/schemas/project_schema/diff?table=projects").await?.json()["steps"], json!([]));

    // Another type is taken if it holds what is there.
    let shorter = |length: u8| json!({ "name": "land", "type": format!("CHAR({length})"), "required": false });
    ontology.publish("project_schema", projects("4", &[shorter(1)]));
    owner.post("/schemas/project_schema/refresh", &json!(null)).await?;
    let plan = owner.get("/admin/tables/projects/plan").await?.json();
    assert_eq!((&plan["to_version"], &plan["obstacles"]), (&json!("4"), &json!([])), "{plan}");
    assert_eq!((&plan["steps"][0]["op"], &plan["compatibility"]), (&json!("retype"), &json!("breaking")), "{plan}");
    let lost = owner.post("/admin/tables/projects/evolve?allow_breaking=true", &json!(null)).await?;
    assert_eq!((lost.status, lost.code().as_str()), (409, "values_would_be_lost"), "{}", lost.text);
    ontology.publish("project_schema", projects("5", &[shorter(2)]));
    let done = owner.post("/admin/tables/projects/evolve?allow_breaking=true", &json!(null)).await?;
    assert_eq!((done.status, &done.json()["steps"][0]["op"]), (200, &json!("retype")), "{}", done.text);
    ontology.publish("project_schema", projects("6", &[renamed]));
    let back = owner.post("/admin/tables/projects/evolve", &json!(null)).await?;
    assert_eq!((back.status, &back.json()["steps"][0]["op"]), (200, &json!("set_type")), "{}", back.text);
    Ok(())
}

#[tokio::test]
async fn a_column_that_nothing_fills_is_told_apart() -> Result<()> {
    let ontology = Ontology::start().await?;
    ontology.publish("project_schema", projects("1", &[json!({ "name": "region", "type": "VARCHAR" })]));
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    let owner = server.project("p").await?;
    initialized(&owner).await?;
    let refused = owner.post("/ops/projects", &json!({ "project_name": "a" })).await?;
    assert_eq!((refused.status, refused.code().as_str()), (400, "required_column_missing"), "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["column"], "region");
    let filled = owner.post("/ops/projects", &json!({ "project_name": "a", "region": "north" })).await?;
    assert_eq!(filled.status, 200, "{}", filled.text);
    assert_eq!(owner.get("/ops/projects").await?.json()[0]["region"], "north");
    Ok(())
}

#[tokio::test]
async fn the_last_schema_outlives_server_and_process() -> Result<()> {
    let ontology = Ontology::start().await?;
    ontology.publish("project_schema", projects("7", &[]));
    let server = server_with(&ontology, Duration::from_secs(5)).await?;
    server.project("p").await?;
    let first = server.admin().post("/schemas/project_schema/refresh", &json!(null)).await?.json();
    assert_eq!((&first["source"], &first["version"]), (&json!("server"), &json!("7")));
    let url = ontology.url();
    let dir = server.stop().await?;
    drop(ontology);
    let server = TestServer::start_in(dir, |config| {
        config.ontology.use_mock = false;
        config.ontology.url = url;
    })
    .await?;
    let admin = server.admin();
    assert_eq!(admin.get("/schemas/project_schema").await?.json()["version"], "7");
    let refreshed = admin.post("/schemas/project_schema/refresh", &json!(null)).await?.json();
    assert_eq!((&refreshed["source"], &refreshed["version"]), (&json!("stale"), &json!("7")), "{refreshed}");
    Ok(())
}

#[tokio::test]
async fn tables_are_administered() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(owner.get("/admin/tables").await?.text, r#"{"tables":[]}"#);
    for path in ["/admin/tables", "/admin/tables?schema=project_schema", "/admin/tables?schema=all"] {
        let made = owner.post(path, &json!({ "what": "is ignored" })).await?;
        assert_eq!((made.status, made.text.as_str()), (200, r#"{"message":"Table projects created successfully"}"#));
    }
    assert_eq!(owner.get("/admin/tables").await?.text, r#"{"tables":["projects"]}"#);
    assert_eq!(owner.post("/admin/tables?schema=none", &json!(null)).await?.code(), "schema_not_found");
    let path = "/admin/tables/projects";
    let changed = owner.put(path, &json!({ "country": "VARCHAR", "maturity_years": "BIGINT" })).await?;
    assert_eq!((changed.status, changed.text.as_str()), (200, r#"{"message":"Table projects updated successfully"}"#));
    let table = owner.get(path).await?.json();
    let types: Vec<&str> = table["columns"].as_array().unwrap().iter().filter_map(|c| c["type"].as_str()).collect();
    assert_eq!((types.len(), types[4], types[11]), (12, "BIGINT", "VARCHAR"));
    for (body, status) in [
        (json!({ "country": "WHAT" }), 400),
        (json!({ "country": 7 }), 422),
        (json!(["country"]), 422),
        (json!({ "maturity_years": "INTEGER" }), 409),
    ] {
        let refused = owner.put(path, &body).await?;
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
    }
    let dropping = owner.put(&format!("{path}?drop=true"), &json!({ "project_id": "UUID" })).await?;
    assert_eq!((dropping.status, dropping.code().as_str()), (409, "breaking_change"), "{}", dropping.text);
    let dropped = owner
        .put(&format!("{path}?drop=true&allow_breaking=true"), &json!({ "project_id": "UUID", "n": "INT" }))
        .await?;
    assert_eq!(dropped.status, 200, "{}", dropped.text);
    assert_eq!(owner.get(path).await?.json()["columns"].as_array().unwrap().len(), 2);
    let gone = owner.delete(path).await?;
    assert_eq!(gone.text, r#"{"message":"Table projects deleted successfully"}"#);
    for reply in [owner.delete(path).await?, owner.put(path, &json!({ "a": "INT" })).await?, owner.get(path).await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "table_not_found"), "{}", reply.text);
    }
    owner.post("/tables", &json!({ "name": "plain", "schema": { "a": "INT" } })).await?;
    assert_eq!(owner.get("/admin/tables/plain").await?.json()["governed"], Value::Null);
    assert_eq!(owner.get("/admin/tables/plain/plan").await?.code(), "table_not_governed");
    Ok(())
}
