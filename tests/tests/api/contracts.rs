//! Tables under a contract: put, held to, measured, proposed, and told as a data product.

use anyhow::{Context as _, Result};
use gadwall_domain::access::Scope;
use gadwall_tests::support::{Client, Reply, TestServer, forget_lake_index, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::isolation::limited_key;

const TABLES: &str = "/projects/p/buckets/b/tables";
const T: &str = "/projects/p/buckets/b/tables/t";
const CONTRACT: &str = "/projects/p/buckets/b/tables/t/contract";
const ROWS: &str = "/projects/p/buckets/b/tables/t/rows";

const YAML: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - {name: id, logicalType: integer, required: true}
      - name: unit
        logicalType: string
        quality:
          - {id: known, metric: invalidValues, mustBe: 0, arguments: {validValues: [kg, lb]}}
          - {id: told, metric: nullValues, mustBe: 0, severity: warning}
";

fn contract(of_table: &Value, of_unit: &Value) -> Value {
    json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "2.0.0", "status": "active",
        "schema": [{ "name": "t", "quality": of_table, "properties": [
            { "name": "id", "logicalType": "integer" },
            { "name": "unit", "logicalType": "string", "quality": of_unit },
        ] }],
    })
}

/// A project `p` with the table `b.t (id INT, unit VARCHAR, made TIMESTAMP)`.
async fn owner(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    let columns = json!([
        { "name": "id", "type": "INT" }, { "name": "unit", "type": "VARCHAR" }, { "name": "made", "type": "TIMESTAMP" },
    ]);
    let made = owner.post(TABLES, &json!({ "name": "t", "columns": columns })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    Ok(owner)
}

async fn put_yaml(client: &Client<'_>, path: &str, text: impl Into<reqwest::Body>) -> Result<Reply> {
    let request = client.request(Method::PUT, path).header("Content-Type", "application/odcs+yaml;version=3.1.0");
    send(request.body(text)).await
}

async fn get_as(client: &Client<'_>, path: &str, accept: &str) -> Result<Reply> {
    send(client.request(Method::GET, path).header("Accept", accept)).await
}

fn refused(reply: &Reply) -> (u16, String, Vec<String>) {
    let rules = reply.json()["errors"].as_array().cloned().unwrap_or_default();
    let named = rules.iter().map(|rule| rule["rule"].as_str().unwrap_or_default().to_owned());
    (reply.status, reply.code(), named.collect())
}

fn violated(rules: &[&str]) -> (u16, String, Vec<String>) {
    (422, "contract_violated".to_owned(), rules.iter().map(|rule| (*rule).to_owned()).collect())
}

#[tokio::test]
async fn a_contract_is_put_read_replaced_and_ended() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let none = owner.get(CONTRACT).await?;
    assert_eq!((none.status, none.code().as_str()), (404, "contract_not_found"), "{}", none.text);
    let put = put_yaml(&owner, CONTRACT, YAML).await?;
    assert_eq!(put.status, 201, "{}", put.text);
    let first = put.json()["contract"]["contract_version"].as_u64().context("a version")?;
    let read = owner.get(CONTRACT).await?;
    assert_eq!((read.status, read.header("content-type")), (200, "application/json"));
    assert_eq!(
        read.json()["schema"][0]["properties"][1]["quality"][0]["arguments"]["validValues"],
        json!(["kg", "lb"])
    );
    for accept in
        ["application/yaml", "text/yaml", "application/odcs+yaml;version=3.1.0", "text/html, application/x-yaml;q=0.5"]
    {
        let yaml = get_as(&owner, CONTRACT, accept).await?;
        assert!(yaml.header("content-type").contains("yaml"), "{accept}: {}", yaml.header("content-type"));
        assert!(yaml.text.starts_with("apiVersion: v3.1.0\n"), "{}", yaml.text);
        // What is sent may be sent back.
        assert_eq!(put_yaml(&owner, CONTRACT, yaml.text).await?.status, 200);
    }
    assert_eq!(get_as(&owner, CONTRACT, "image/png").await?.status, 406);
    let read = owner.get(CONTRACT).await?;
    let again = send(owner.request(Method::GET, CONTRACT).header("If-None-Match", read.header("etag"))).await?;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    let replaced = owner.put(CONTRACT, &contract(&json!([]), &json!([]))).await?;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let versions = owner.get(&format!("{CONTRACT}/versions")).await?.json();
    assert_eq!((&versions["total"], &versions["versions"][0]["version"]), (&json!(6), &json!("2.0.0")));
    assert_eq!(versions["versions"][5]["contract_version"], json!(first));
    let old = owner.get(&format!("{CONTRACT}?version={first}")).await?.json();
    assert_eq!(old["id"], json!("orders"));

    assert_eq!(owner.delete(CONTRACT).await?.status, 204);
    assert_eq!(owner.get(CONTRACT).await?.status, 404);
    assert_eq!(owner.delete(CONTRACT).await?.code(), "contract_not_found");
    let kept = owner.get(&format!("{CONTRACT}/versions")).await?.json();
    assert_eq!(kept["total"], json!(6), "they stay as long as the table");
    assert_eq!(owner.delete(T).await?.status, 204);
    assert_eq!(owner.get(&format!("{CONTRACT}/versions")).await?.code(), "table_not_found");
    owner.post(&format!("{T}/undelete"), &json!({})).await?;
    assert_eq!(owner.get(&format!("{CONTRACT}/versions")).await?.json()["total"], json!(0));
    Ok(())
}

#[tokio::test]
async fn what_is_not_accepted_is_named_by_its_path() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let rule = |rule: Value| contract(&json!([]), &json!([rule]));
    let mut extra = contract(&json!([]), &json!([]));
    extra["schema"][0]["properties"][0]["typo"] = json!(1);
    for (document, path) in [
        (extra, "/schema/0/properties/0/typo"),
        (rule(json!({ "metric": "nullValues" })), "/schema/0/properties/1/quality/0"),
        (rule(json!({ "metric": "strange", "mustBe": 0 })), "/schema/0/properties/1/quality/0/metric"),
        (
            rule(json!({ "type": "sql", "query": "SELECT 1 FROM b.other", "mustBe": 0 })),
            "/schema/0/properties/1/quality/0",
        ),
        (
            rule(json!({ "type": "sql", "query": "DROP TABLE {object}", "mustBe": 0 })),
            "/schema/0/properties/1/quality/0",
        ),
        (
            rule(json!({ "metric": "invalidValues", "mustBe": 0, "arguments": { "pattern": "(" } })),
            "/schema/0/properties/1/quality/0",
        ),
    ] {
        let refused = owner.put(CONTRACT, &document).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_contract"), "{path}: {}", refused.text);
        assert_eq!(refused.json()["details"]["path"], json!(path), "{}", refused.text);
    }
    let mut unfit = contract(&json!([]), &json!([]));
    unfit["schema"][0]["properties"] =
        json!([{ "name": "id", "logicalType": "date" }, { "name": "no", "logicalType": "string" }]);
    let refused = owner.put(CONTRACT, &unfit).await?;
    assert_eq!((refused.status, refused.code().as_str()), (422, "contract_unfit"), "{}", refused.text);
    assert_eq!(refused.json()["errors"].as_array().map(Vec::len), Some(2), "{}", refused.text);
    assert_eq!(owner.get(CONTRACT).await?.status, 404, "nothing is in force");
    Ok(())
}

#[tokio::test]
async fn every_write_is_held_to_the_contract_before_it_commits() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    owner.post(ROWS, &json!([{ "id": 1, "unit": "kg" }])).await?;
    put_yaml(&owner, CONTRACT, YAML).await?;
    let before = owner.get(T).await?.json()["version"].clone();
    let bad =
        owner.post(ROWS, &json!([{ "id": 2, "unit": "kg" }, { "id": 3, "unit": "st" }, { "unit": "lb" }])).await?;
    assert_eq!(refused(&bad), violated(&["id is required", "known"]), "{}", bad.text);
    let known = bad.json()["errors"][1].clone();
    assert_eq!((&known["measured"], &known["expected"]), (&json!(1.0), &json!({ "mustBe": 0 })), "{known}");
    assert_eq!(known["samples"], json!([{ "row": 2, "values": { "unit": "st", "id": "3", "made": null } }]));
    let update = json!({ "filter": { "column": "id", "op": "eq", "value": 1 }, "set": { "unit": "st" } });
    assert_eq!(refused(&owner.post(&format!("{ROWS}/update"), &update).await?), violated(&["known"]));
    assert_eq!(
        refused(&owner.post(&format!("{ROWS}?mode=replace"), &json!([{ "id": 3, "unit": "st" }])).await?),
        violated(&["known"])
    );
    assert_eq!(
        refused(&owner.post(&format!("{ROWS}?dry_run=true"), &json!([{ "id": 3, "unit": "st" }])).await?),
        violated(&["known"])
    );
    for sql in [
        "INSERT INTO b.t (id, unit) VALUES (3, 'st')",
        "UPDATE b.t SET unit = 'st'",
        "MERGE INTO b.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET unit = 'st'",
        "CREATE OR REPLACE TABLE b.t AS SELECT 1 AS id, 'st' AS unit",
    ] {
        let done = owner.post("/projects/p/query", &json!({ "query": sql })).await?;
        assert_eq!(refused(&done), violated(&["known"]), "{sql}: {}", done.text);
    }
    let dropped = owner.delete(&format!("{T}/columns/unit?allow_breaking=true")).await?;
    assert_eq!((dropped.status, dropped.code().as_str()), (422, "contract_violated"), "{}", dropped.text);
    // Files of a dataset: imported, and made part of the table where they lie.
    owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    let file = owner.request(Method::PUT, "/projects/p/datasets/d/o.csv").body("id,unit\n3,st\n");
    assert_eq!(send(file).await?.status, 201);
    let export = json!({ "query": "SELECT 3::INTEGER AS id, 'st' AS unit", "to": "/d/o.parquet" });
    for (path, body) in
        [(format!("{T}/import?wait=true"), json!({ "files": "/d/o.csv" })), ("/projects/p/export".to_owned(), export)]
    {
        let started = owner.post(&path, &body).await?;
        assert_eq!(started.status, 202, "{}", started.text);
        let operation = started.header("location").to_owned();
        let ended = loop {
            let seen = owner.get(&operation).await?.json();
            if !matches!(seen["state"].as_str(), Some("pending" | "running")) {
                break seen;
            }
        };
        if path.contains("import") {
            assert!(ended.to_string().contains("contract_violated"), "{ended}");
        }
    }
    let registered = owner.post(&format!("{T}/files"), &json!({ "files": "/d/o.parquet" })).await?;
    assert_eq!(refused(&registered), violated(&["known"]), "{}", registered.text);
    assert_eq!(owner.get(T).await?.json()["version"], before, "nothing of it is there");
    // Each refusal is written down, without its rows.
    let results = owner.get(&format!("{CONTRACT}/results?limit=200")).await?.json();
    let results = results["results"].as_array().context("results")?;
    assert_eq!(results.len(), 9, "{results:?}");
    assert!(results.iter().all(|result| result["occasion"] == "refused" && result["passed"] == json!(false)));
    assert!(results.iter().all(|result| !result.to_string().contains("\"st\"")), "{results:?}");
    Ok(())
}

#[tokio::test]
async fn a_warning_lets_rows_through_and_is_written_down() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put_yaml(&owner, CONTRACT, YAML).await?;
    let done = owner.post(ROWS, &json!([{ "id": 1 }, { "id": 2 }])).await?;
    assert_eq!(done.status, 200, "{}", done.text);
    owner.post(ROWS, &json!([{ "id": 3, "unit": "kg" }])).await?;
    let results = owner.get(&format!("{CONTRACT}/results")).await?.json();
    let [result] = results["results"].as_array().context("results")?.as_slice() else { panic!("{results}") };
    assert_eq!((&result["occasion"], &result["snapshot_id"]), (&json!("written"), &done.json()["snapshot_id"]));
    assert_eq!((&result["rules"][0]["rule"], &result["rules"][0]["measured"]), (&json!("told"), &json!(2.0)));
    assert_eq!(result["passed"], json!(true), "warnings are no failure");
    Ok(())
}

#[tokio::test]
async fn a_contract_outlives_names_restarts_and_a_lost_index() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put_yaml(
        &owner,
        CONTRACT,
        YAML.replace("name: t\n", "name: t\n    physicalName: t\n")
            .replace("schema:\n", "schema:\n  - {name: other}\n"),
    )
    .await?;
    let renamed =
        send(owner.request(Method::PATCH, &format!("{T}?allow_breaking=true")).json(&json!({ "name": "u" }))).await?;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let bad = json!([{ "id": 1, "unit": "st" }]);
    let rows = format!("{TABLES}/u/rows");
    assert_eq!(refused(&owner.post(&rows, &bad).await?), violated(&["known"]));
    let key = owner.key().to_owned();
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    assert_eq!(refused(&owner.post(&rows, &bad).await?), violated(&["known"]));
    // As after a crash between a commit and its copy: the metadata store knows nothing of the lake.
    let dir = server.stop().await?;
    forget_lake_index(dir.path()).await?;
    let server = TestServer::start_in(dir, |_| {}).await?;
    let owner = server.with_key(&key);
    assert_eq!(refused(&owner.post(&rows, &bad).await?), violated(&["known"]));
    assert_eq!(owner.get(&format!("{TABLES}/u/contract/versions")).await?.json()["total"], json!(1));
    Ok(())
}

#[tokio::test]
async fn a_contract_is_its_projects_business() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let stranger = server.project("theirs").await?;
    put_yaml(&owner, CONTRACT, YAML).await?;
    for path in ["", "/versions", "/results"] {
        assert_eq!(stranger.get(&format!("{CONTRACT}{path}")).await?.status, 403, "{path}");
    }
    assert_eq!(stranger.put(CONTRACT, &contract(&json!([]), &json!([]))).await?.status, 403);
    assert_eq!(stranger.delete(CONTRACT).await?.status, 403);
    assert_eq!(stranger.get("/projects/p/product").await?.status, 403);
    let writer = limited_key(&server, owner.key(), &[Scope::Read, Scope::Write], None).await?;
    let writer = server.with_key(&writer);
    assert_eq!(writer.delete(CONTRACT).await?.status, 403, "who only writes rows doesn't change what they are held to");
    // Who reads the table through a link reads its contract, and nothing of how it does.
    owner.post("/projects/p/buckets/b/grant-readonly", &json!({})).await?;
    let link = json!({ "source_project_id": "p", "source_bucket_name": "b" });
    let linked = stranger.post("/projects/theirs/buckets/in/link", &link).await?;
    assert!(matches!(linked.status, 200 | 201), "{}", linked.text);
    let theirs = "/projects/theirs/buckets/in/tables/t/contract";
    assert_eq!(stranger.get(theirs).await?.json()["id"], json!("orders"));
    assert!(stranger.get(&format!("{theirs}/versions")).await?.json()["versions"][0]["put_by"].is_null());
    for reply in [
        stranger.get(&format!("{theirs}/results")).await?,
        stranger.post(&format!("{theirs}/check"), &json!({})).await?,
        stranger.put(theirs, &contract(&json!([]), &json!([]))).await?,
    ] {
        assert!(matches!(reply.status, 403 | 404), "{} {}", reply.status, reply.text);
    }
    let product = stranger.get("/projects/theirs/product").await?.json();
    assert_eq!(product["inputPorts"], json!([{ "name": "in.t", "version": "1.0.0", "contractId": "orders" }]));
    Ok(())
}

#[tokio::test]
async fn hostile_documents_and_names_do_no_harm() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let long = "x".repeat(300_000);
    let mut large = contract(&json!([]), &json!([]));
    large["description"] = json!({ "purpose": long });
    let refused = owner.put(CONTRACT, &large).await?;
    assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_contract"), "{}", refused.status);
    assert_eq!(put_yaml(&owner, CONTRACT, "x: ".to_owned() + &"y".repeat(20 << 20)).await?.status, 413);
    let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let alias = vec![format!("*a{}", level - 1); 10].join(",");
        format!("{text}a{level}: &a{level} [{alias}]\n")
    });
    for text in
        [bomb, "[".repeat(200_000), "\u{0}".to_owned(), "--- !!python/object:os.system x".to_owned(), String::new()]
    {
        let refused = put_yaml(&owner, CONTRACT, text).await?;
        assert!(matches!(refused.status, 400 | 422), "{} {}", refused.status, refused.text);
    }
    let not_utf8 = put_yaml(&owner, CONTRACT, vec![0xff, 0xfe, 0x00]).await?;
    assert_eq!(not_utf8.status, 422, "{}", not_utf8.text);
    let plain = owner.request(Method::PUT, CONTRACT).header("Content-Type", "text/plain").body("x");
    assert_eq!(send(plain).await?.status, 415);

    let name = "it's ('a') [b] $x -- y";
    let columns = json!([{ "name": name, "type": "VARCHAR" }]);
    let made = owner.post(TABLES, &json!({ "name": "hostile", "columns": columns })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let quote = "it's '); DROP TABLE t; --";
    let document = json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": quote, "version": quote, "status": quote,
        "schema": [{ "name": "hostile", "properties": [{ "name": name, "logicalType": "string", "unique": true, "quality": [
            { "id": quote, "metric": "invalidValues", "mustBe": 0, "arguments": { "validValues": [quote, "o'k"] } },
            { "id": "pattern", "metric": "invalidValues", "mustBe": 0, "arguments": { "pattern": "'.*[^\"]$" } },
            { "id": "sql", "type": "sql", "query": "SELECT count(*) FROM ${object} WHERE ${property} = ''", "mustBe": 0 },
        ] }] }],
    });
    let path = format!("{TABLES}/hostile");
    let put = owner.put(&format!("{path}/contract"), &document).await?;
    assert_eq!(put.status, 201, "{}", put.text);
    assert_eq!(owner.post(&format!("{path}/rows"), &json!([{ name: quote }, { name: "o'k" }])).await?.status, 200);
    let bad = owner.post(&format!("{path}/rows"), &json!([{ name: "" }, { name: quote }])).await?;
    assert_eq!(bad.json()["details"]["breach_count"], json!(2), "{}", bad.text);
    assert_eq!(owner.get(T).await?.status, 200, "it is still there");
    Ok(())
}

#[tokio::test]
async fn a_table_is_checked_and_a_contract_proposed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    owner.post(ROWS, &json!([{ "id": 1, "unit": "kg", "made": "2026-01-01" }, { "id": 1, "unit": "st" }])).await?;
    let proposed = owner.post(&format!("{CONTRACT}/derive"), &json!({})).await?;
    assert_eq!(proposed.status, 200, "{}", proposed.text);
    assert_eq!(proposed.json()["schema"][0]["properties"][0]["required"], json!(true), "{}", proposed.text);
    assert_eq!(owner.put(CONTRACT, &proposed.json()).await?.status, 201, "the table keeps what is proposed");
    assert_eq!(owner.post(&format!("{CONTRACT}/check"), &json!({})).await?.json()["passed"], json!(true));

    let unique =
        json!([{ "id": "unique", "metric": "duplicateValues", "mustBe": 0, "arguments": { "properties": ["id"] } }]);
    let mut document = contract(&unique, &json!([]));
    document["slaProperties"] = json!([
        { "property": "latency", "value": 1, "unit": "d", "element": "t.made" },
        { "property": "freshness", "value": 1, "unit": "h" },
        { "property": "endOfLife", "value": "2100-01-01" },
        { "property": "availability", "value": 99.9, "unit": "percent" },
    ]);
    let put = owner.put(CONTRACT, &document).await?;
    // What is there isn't refused any more, and is told.
    assert_eq!((put.status, &put.json()["rules"][0]["met"]), (200, &json!(false)), "{}", put.text);
    let checked = owner.post(&format!("{CONTRACT}/check"), &json!({})).await?.json();
    assert_eq!((&checked["passed"], &checked["rules"][0]["measured"]), (&json!(false), &json!(2.0)), "{checked}");
    assert_eq!(checked["rules"][0]["samples"], json!([{ "values": { "id": "1" }, "count": 2 }]));
    let levels = checked["service_levels"].as_array().context("levels")?;
    let told: Vec<(&Value, &Value)> = levels.iter().map(|level| (&level["property"], &level["met"])).collect();
    let expected = [
        ("latency", json!(false)),
        ("freshness", json!(true)),
        ("endOfLife", json!(true)),
        ("availability", Value::Null),
    ];
    assert_eq!(
        told,
        expected
            .iter()
            .map(|(name, met)| (json!(name), met))
            .collect::<Vec<_>>()
            .iter()
            .map(|(name, met)| (name, *met))
            .collect::<Vec<_>>()
    );
    // Pages of results, newest first.
    let page = owner.get(&format!("{CONTRACT}/results?limit=1")).await?;
    let cursor = page.json()["next_cursor"].as_str().context("a cursor")?.to_owned();
    assert!(page.header("link").contains("rel=\"next\""), "{}", page.header("link"));
    let rest = owner.get(&format!("{CONTRACT}/results?limit=5&after={cursor}")).await?.json();
    assert_eq!((rest["results"].as_array().map(Vec::len), &rest["next_cursor"]), (Some(1), &Value::Null), "{rest}");
    assert_eq!(owner.get(&format!("{CONTRACT}/results?after=x")).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn a_project_is_described_as_a_data_product() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put_yaml(&owner, CONTRACT, YAML).await?;
    owner.post("/projects/p/buckets", &json!({ "name": "private" })).await?;
    let columns = json!([{ "name": "id", "type": "INT" }]);
    owner.post("/projects/p/buckets/private/tables", &json!({ "name": "secret", "columns": columns })).await?;
    owner.post(TABLES, &json!({ "name": "plain", "columns": columns })).await?;
    assert_eq!(owner.get("/projects/p/product").await?.json()["outputPorts"], json!([]), "nothing is shared");
    owner.post("/projects/p/buckets/b/grant-readonly", &json!({})).await?;
    let product = owner.get("/projects/p/product").await?;
    assert_eq!((product.status, product.header("content-type")), (200, "application/json"));
    let product = product.json();
    assert_eq!(
        (&product["apiVersion"], &product["kind"], &product["id"]),
        (&json!("v1.0.0"), &json!("DataProduct"), &json!("p"))
    );
    let ports = product["outputPorts"].as_array().context("ports")?;
    assert_eq!(ports.iter().map(|port| &port["name"]).collect::<Vec<_>>(), ["b.plain", "b.t"]);
    assert_eq!((&ports[1]["contractId"], &ports[1]["version"]), (&json!("orders"), &json!("1.0.0")));
    assert!(!product.to_string().contains("secret"), "{product}");
    let links = product["managementPorts"].as_array().context("links")?;
    let contract = links.iter().find(|link| link["name"] == "b.t contract").context("a link to the contract")?;
    let url = contract["url"].as_str().context("a URL")?;
    assert_eq!(url, server.url(CONTRACT));
    let yaml = get_as(&owner, "/projects/p/product", "application/odps+yaml").await?;
    assert_eq!(yaml.header("content-type"), "application/odps+yaml;version=1.0.0");
    assert!(yaml.text.starts_with("apiVersion: v1.0.0\nkind: DataProduct\n"), "{}", yaml.text);
    Ok(())
}
