//! Results in every format: asked for, read back, empty, broken, large.

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileReader, StreamReader};
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// Formats by their media types; `?format=` calls them by these names.
const FORMATS: [(&str, &str); 6] = [
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("csv", "text/csv"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("arrow_file", "application/vnd.apache.arrow.file"),
    ("parquet", "application/vnd.apache.parquet"),
];

/// A column of every type a table can have, with values at its edges.
const KINDS: [(&str, &str, [&str; 3]); 30] = [
    ("bool", "BOOLEAN", ["true", "false", "true"]),
    ("tiny", "TINYINT", ["-128", "127", "0"]),
    ("small", "SMALLINT", ["-32768", "32767", "0"]),
    ("int", "INTEGER", ["-2147483648", "2147483647", "0"]),
    ("big", "BIGINT", ["-9223372036854775808", "9223372036854775807", "0"]),
    ("utiny", "UTINYINT", ["0", "255", "1"]),
    ("usmall", "USMALLINT", ["0", "65535", "1"]),
    ("uint", "UINTEGER", ["0", "4294967295", "1"]),
    ("ubig", "UBIGINT", ["0", "18446744073709551615", "1"]),
    ("float", "FLOAT", ["-3.4028235e38", "\"NaN\"", "0.1"]),
    ("double", "DOUBLE", ["-1.7976931348623157e308", "\"-Infinity\"", "5e-324"]),
    ("dec9", "DECIMAL(9,2)", ["-9999999.99", "9999999.99", "0.01"]),
    (
        "dec38",
        "DECIMAL(38,10)",
        ["\"-9999999999999999999999999999.9999999999\"", "\"9999999999999999999999999999.9999999999\"", "\"0\""],
    ),
    ("dec0", "DECIMAL(38,0)", ["\"-99999999999999999999999999999999999999\"", "\"1\"", "\"0\""]),
    ("text", "VARCHAR", ["\"\"", "\"a \\\"b\\\", c;\\r\\n\\td é 🦆\"", "\"NULL\""]),
    ("short", "VARCHAR(5)", ["\"\"", "\"ééééé\"", "\" \""]),
    ("blob", "BLOB", ["\"\"", "\"AP+qu8w=\"", "\"AA==\""]),
    ("date", "DATE", ["\"0001-01-01\"", "\"9999-12-31\"", "\"infinity\""]),
    ("time", "TIME", ["\"00:00:00\"", "\"23:59:59.999999\"", "\"12:00:00.5\""]),
    ("ts", "TIMESTAMP", ["\"0001-01-01T00:00:00\"", "\"9999-12-31T23:59:59.999999\"", "\"-infinity\""]),
    ("ts_s", "TIMESTAMP_S", ["\"1969-12-31T23:59:59\"", "\"9999-12-31T23:59:59\"", "\"2020-02-29T00:00:00\""]),
    (
        "ts_ms",
        "TIMESTAMP_MS",
        ["\"1969-12-31T23:59:59.999\"", "\"9999-12-31T23:59:59.999\"", "\"2020-02-29T00:00:00\""],
    ),
    (
        "ts_ns",
        "TIMESTAMP_NS",
        ["\"1677-09-22T00:00:00.000000001\"", "\"2262-04-11T23:47:16.854775806\"", "\"1970-01-01\""],
    ),
    ("tz", "TIMESTAMPTZ", ["\"1969-12-31T23:59:59.999999+14:00\"", "\"9999-12-31T00:00:00Z\"", "\"infinity\""]),
    ("iv", "INTERVAL", ["\"1 month 01:00:00.001\"", "\"1 year 2 months 3 days 04:05:06.789\"", "\"00:00:00\""]),
    (
        "uuid",
        "UUID",
        [
            "\"00000000-0000-0000-0000-000000000000\"",
            "\"ffffffff-ffff-ffff-ffff-ffffffffffff\"",
            "\"7fffffff-0000-4000-8000-0123456789ab\"",
        ],
    ),
    ("json", "JSON", ["{}", "{\"a\": [1, null, \"é\\n\"], \"n\": 12345678901234567890.123}", "\"text\""]),
    ("geo", "GEOMETRY", ["\"POINT (1 2)\"", "\"LINESTRING (0 0, 1.5 -1.5)\"", "\"POINT EMPTY\""]),
    (
        "nested",
        "STRUCT(l INTEGER[], m MAP(VARCHAR, DECIMAL(10,2)), u UUID, g BOOLEAN)[]",
        [
            "[]",
            "[{\"l\": [1, null], \"m\": {\"a\\\"b\": \"1.10\"}, \"u\": \"ffffffff-ffff-ffff-ffff-ffffffffffff\", \"g\": true}, null]",
            "[{\"l\": null, \"m\": {}, \"u\": null, \"g\": null}]",
        ],
    ),
    (
        "map",
        "MAP(INTEGER, TIMESTAMP)",
        ["[]", "[{\"key\": 1, \"value\": \"2020-01-01T00:00:00.5\"}]", "[{\"key\": 2, \"value\": null}]"],
    ),
];

async fn owner(server: &TestServer) -> Result<Client<'_>> {
    server.project("p").await
}

async fn create(owner: &Client<'_>, name: &str) -> Result<()> {
    let mut schema = serde_json::Map::from_iter([("id".to_owned(), json!("INTEGER"))]);
    schema.extend(KINDS.iter().map(|(name, data_type, _)| ((*name).to_owned(), json!(data_type))));
    let reply = owner.post("/tables", &json!({ "name": name, "schema": schema })).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(())
}

/// A table `kinds` with a row of NULLs and three of edges.
async fn filled(owner: &Client<'_>) -> Result<()> {
    create(owner, "kinds").await?;
    let mut rows = vec!["{\"id\":0}".to_owned()];
    for row in 0..3 {
        let cells: Vec<_> = KINDS.iter().map(|(name, _, values)| format!("\"{name}\":{}", values[row])).collect();
        rows.push(format!("{{\"id\":{},{}}}", row + 1, cells.join(",")));
    }
    let reply = append(owner, "kinds", "application/x-ndjson", rows.join("\n").into_bytes()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(())
}

async fn append(owner: &Client<'_>, table: &str, media_type: &str, body: Vec<u8>) -> Result<Reply> {
    let request = owner.request(Method::PUT, &format!("/tables/{table}"));
    send(request.header("Content-Type", media_type).body(body)).await
}

/// The answer to a query, headers first.
async fn ask(owner: &Client<'_>, accept: &str, sql: &str) -> Result<Response> {
    let request = owner.request(Method::POST, "/tables/kinds/query").header("Accept", accept);
    Ok(request.json(&json!({ "query": sql })).send().await?)
}

async fn bytes(owner: &Client<'_>, accept: &str, sql: &str) -> Result<Vec<u8>> {
    let answer = ask(owner, accept, sql).await?;
    let status = answer.status();
    let body = answer.bytes().await?.to_vec();
    anyhow::ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

fn read_stream(body: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let reader = StreamReader::try_new(body, None)?;
    Ok((reader.schema(), reader.collect::<Result<_, _>>()?))
}

fn read_file(body: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let reader = FileReader::try_new(std::io::Cursor::new(body), None)?;
    Ok((reader.schema(), reader.collect::<Result<_, _>>()?))
}

/// What DuckDB reads in a Parquet file: `DESCRIBE` as `name TYPE`, and a value of the select list.
fn read_parquet(body: &[u8], select: &str) -> Result<(Vec<String>, Vec<String>)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("x.parquet");
    std::fs::write(&path, body)?;
    let from = format!("FROM read_parquet('{}')", path.display());
    let duckdb = duckdb::Connection::open_in_memory()?;
    let rows = |sql: String| -> Result<Vec<String>> {
        let mut statement = duckdb.prepare(&sql)?;
        let found = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(found)
    };
    let columns = rows(format!("SELECT column_name || ' ' || column_type FROM (DESCRIBE SELECT * {from})"))?;
    Ok((columns, rows(format!("SELECT CAST({select} AS VARCHAR) {from}"))?))
}

#[tokio::test]
async fn each_format_comes_under_its_name_and_goes_back_in_unchanged() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    for (name, media_type) in FORMATS {
        let answer = ask(&owner, media_type, "SELECT * FROM kinds ORDER BY id").await?;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await?);
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some(media_type));
        let vary = if name == "parquet" { "Accept" } else { "Accept, Accept-Encoding" };
        assert_eq!(header("vary").as_deref(), Some(vary));
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        let file = matches!(name, "csv" | "parquet").then(|| format!("attachment; filename=query_result.{name}"));
        assert_eq!(header("content-disposition"), file);
        let mut body = answer.bytes().await?.to_vec();
        if name == "json" {
            body =
                body.strip_prefix(b"{\"result\":").context("no result")?.strip_suffix(b"}").context("no end")?.to_vec();
        }
        let copy = format!("kinds_{name}");
        create(&owner, &copy).await?;
        let reply = append(&owner, &copy, media_type, body).await?;
        assert_eq!((reply.status, &reply.json()["rows"]), (200, &json!(4)), "{name}: {}", reply.text);
        for (column, data_type, _) in KINDS {
            let sql = format!(
                "SELECT a.id, a.{column}::VARCHAR AS sent, b.{column}::VARCHAR AS found FROM kinds a JOIN {copy} b USING (id) \
                 WHERE a.{column}::VARCHAR IS DISTINCT FROM b.{column}::VARCHAR"
            );
            let reply = owner.post("/tables/kinds/query", &json!({ "query": sql })).await?;
            assert_eq!(reply.json()["result"], json!([]), "{name} {column} {data_type}: {}", reply.text);
        }
    }
    Ok(())
}

#[tokio::test]
async fn old_names_and_the_parameter_are_understood() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    for accept in ["application/parquet", "application/octet-stream"] {
        let answer = ask(&owner, accept, "SELECT id FROM kinds").await?;
        assert_eq!(answer.headers()["content-type"], "application/octet-stream", "{accept}");
        assert_eq!(read_parquet(&answer.bytes().await?, "sum(id)")?.1, ["6"]);
    }
    let answer = ask(&owner, "application/vnd.apache.arrow", "SELECT id FROM kinds").await?;
    assert_eq!(answer.headers()["content-type"], "application/vnd.apache.arrow.stream");
    assert_eq!(read_stream(&answer.bytes().await?)?.1[0].num_rows(), 4);
    for path in ["/tables/kinds/query", "/projects/p/query"] {
        for (name, media_type) in FORMATS {
            let request = owner.request(Method::POST, &format!("{path}?format={name}")).header("Accept", "image/png");
            let answer = request.json(&json!({ "query": "SELECT 1 AS x", "stream": true })).send().await?;
            assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str()?), (200, media_type));
        }
    }
    let request = owner.request(Method::POST, "/projects/p/query?format=ndjson");
    let reply = send(request.json(&json!({ "query": "SELECT id, NULL AS n FROM kinds ORDER BY id LIMIT 2" }))).await?;
    assert_eq!(reply.text, "{\"id\":0,\"n\":null}\n{\"id\":1,\"n\":null}\n");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_is_406_before_anything_runs() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    let wrong = json!({ "query": "this would be 400" });
    for path in ["/tables/kinds/query", "/projects/p/query"] {
        for accept in
            ["image/png", "application/json;q=0", "application/vnd.apache.arrow.streams", "text/html;q=1, */*;q=0"]
        {
            let reply = send(owner.request(Method::POST, path).header("Accept", accept).json(&wrong)).await?;
            assert_eq!((reply.status, reply.code().as_str()), (406, "not_acceptable"), "{accept}: {}", reply.text);
            assert!(reply.text.contains("application/vnd.apache.parquet"), "{}", reply.text);
        }
        let reply = send(owner.request(Method::POST, &format!("{path}?format=xlsx")).json(&wrong)).await?;
        assert_eq!((reply.status, reply.code().as_str()), (406, "not_acceptable"), "{}", reply.text);
        assert!(reply.text.contains("ndjson, csv"), "{}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_result_without_rows_still_has_its_columns() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    let sql = "SELECT id, \"uuid\", json FROM kinds WHERE id < 0";
    let get = |media_type: &'static str| bytes(&owner, media_type, sql);
    assert_eq!(get("application/json").await?, b"{\"result\":[]}");
    assert_eq!(get("application/x-ndjson").await?, b"");
    assert_eq!(get("text/csv").await?, b"id,uuid,json\r\n");
    let columns = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let (schema, batches) = read_stream(&get("application/vnd.apache.arrow.stream").await?)?;
    assert_eq!((columns(&schema).join(","), batches.len()), ("id,uuid,json".to_owned(), 0));
    let (schema, batches) = read_file(&get("application/vnd.apache.arrow.file").await?)?;
    assert_eq!((columns(&schema).join(","), batches.len()), ("id,uuid,json".to_owned(), 0));
    let (columns, count) = read_parquet(&get("application/vnd.apache.parquet").await?, "count(*)")?;
    assert_eq!(columns, ["id INTEGER", "uuid UUID", "json JSON"]);
    assert_eq!(count, ["0"]);
    Ok(())
}

/// Types that only DuckDB has, the nearest type that Parquet has, and the values there.
const FOREIGN: [(&str, &str, &str); 18] = [
    ("true", "BOOLEAN", "true"),
    ("170141183460469231731::HUGEINT", "DECIMAL(38,0)", "170141183460469231731"),
    ("340282366920938463463::UHUGEINT", "DECIMAL(38,0)", "340282366920938463463"),
    ("'10:00:00.5+05:30'::TIMETZ", "VARCHAR", "10:00:00.5+05:30"),
    ("'0101'::BIT", "VARCHAR", "0101"),
    (
        "'12345678901234567890123456789012345678901234567890'::BIGNUM",
        "VARCHAR",
        "12345678901234567890123456789012345678901234567890",
    ),
    ("'b'::ENUM('a', 'b')", "VARCHAR", "b"),
    ("INTERVAL '-1 month 2 days 1 microsecond'", "VARCHAR", "-1 month 2 days 00:00:00.000001"),
    ("[1, 2]::INTEGER[2]", "INTEGER[]", "[1, 2]"),
    ("'10:00:00.123456'::TIME_NS", "TIME", "10:00:00.123456"),
    ("'2020-01-01 00:00:01'::TIMESTAMP_S", "TIMESTAMP", "2020-01-01 00:00:01"),
    ("'infinity'::TIMESTAMP_S", "TIMESTAMP", "infinity"),
    ("'-infinity'::TIMESTAMP_MS", "TIMESTAMP", "-infinity"),
    ("['0101'::BIT, NULL]", "VARCHAR[]", "[0101, NULL]"),
    ("{'h': 1::HUGEINT, 'e': ['b'::ENUM('a', 'b')]}", "STRUCT(h DECIMAL(38,0), e VARCHAR[])", "{'h': 1, 'e': [b]}"),
    ("MAP {'a': true}", "MAP(VARCHAR, BOOLEAN)", "{a=true}"),
    ("[{'g': 'POINT (1 2)'::GEOMETRY}]", "STRUCT(g GEOMETRY)[]", "[{'g': 'POINT (1 2)'}]"),
    ("'{\"a\":1}'::JSON", "JSON", "{\"a\":1}"),
];

#[tokio::test]
async fn types_that_only_duckdb_has_become_ones_that_all_have() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    for (value, data_type, text) in FOREIGN {
        let sql = format!("SELECT {value} AS x UNION ALL BY NAME SELECT NULL AS x");
        let (columns, values) =
            read_parquet(&bytes(&owner, "application/parquet", &sql).await?, "coalesce(x::VARCHAR, '∅')")?;
        assert_eq!(
            (columns.join(""), values),
            (format!("x {data_type}"), vec![text.to_owned(), "∅".to_owned()]),
            "{value}"
        );
        let (schema, _) = read_stream(&bytes(&owner, "application/vnd.apache.arrow", &sql).await?)?;
        assert!(!format!("{schema:?}").contains("opaque"), "{schema:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_format_cannot_hold_is_named() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    for (sql, parts) in [
        ("SELECT [union_value(a := 1)] AS u", ["u[]", "UNION", "Parquet", "VARCHAR"]),
        ("SELECT 170141183460469231731687303715884105727::HUGEINT AS h", ["h", "DECIMAL(38,0)", "Parquet", "VARCHAR"]),
    ] {
        let answer = ask(&owner, "application/parquet", sql).await?;
        assert_eq!(answer.status(), 422);
        let problem: Value = serde_json::from_slice(&answer.bytes().await?)?;
        let detail = problem["detail"].as_str().unwrap();
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_in_the_middle_breaks_every_format() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    let late = "SELECT CASE WHEN range = 900000 THEN error('late')::INT ELSE 1 END AS x FROM range(1000000)";
    for (name, media_type) in FORMATS {
        let answer = ask(&owner, media_type, late).await?;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await?);
        assert!(answer.bytes().await.is_err(), "{name}: only a whole answer may arrive whole");
        // An early failure is an answer.
        let answer = ask(&owner, media_type, "SELECT error('early')").await?;
        assert_eq!(answer.status(), 400, "{name}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<usize>()? / 1024)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_result() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    filled(&owner).await?;
    let sql = |rows: u32| format!("SELECT range AS i, repeat(md5(range::VARCHAR), 8) AS s FROM range({rows})");
    for (name, media_type) in FORMATS.into_iter().filter(|(name, _)| !matches!(*name, "json" | "arrow_file")) {
        // Pools and caches fill once.
        bytes(&owner, media_type, &sql(50_000)).await?;
        let (before, mut highest, mut received) = (resident()?, 0, 0);
        let mut answer = ask(&owner, media_type, &sql(1_000_000)).await?;
        while let Some(chunk) = answer.chunk().await? {
            received += chunk.len();
            highest = highest.max(resident()?);
        }
        let grown = highest.saturating_sub(before);
        println!("{name}: {} MiB received, {grown} MiB more held", received >> 20);
        assert!(name == "parquet" || received > 250 << 20, "{name}: {received}");
        assert!(grown < 200, "{name}: {grown} MiB");
    }
    Ok(())
}
