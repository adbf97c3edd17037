//! Who may ask for what: each route of the API, and what a key needs for it.

use Level::{Admin, Engine, Known, Own, Project, Public};
use Reach::{Any, Bucket, Whole};
use gadwall_domain::access::Scope::{self, Manage, Read, Write};

/// How a route finds out what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Needs no key.
    Public,
    /// An admin's only: 401 for others.
    Admin,
    /// An admin's only, among those with a valid key: 403 for others.
    Engine,
    /// Any valid key.
    Known,
    /// The project in its path.
    Project,
    /// The caller's own project.
    Own,
}

/// Whether a key that is limited to a bucket reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Each does; what it is told is within its bucket.
    Any,
    /// One limited to the bucket in the path.
    Bucket,
    /// None.
    Whole,
}

/// What a route asks of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    /// As in the document.
    pub(super) path: &'static str,
    pub(super) level: Level,
    pub(super) scope: Scope,
    pub(super) reach: Reach,
    /// Parameters and body that would do.
    pub(super) query: &'static str,
    pub(super) body: &'static str,
}

const fn rule(method: &'static str, path: &'static str, level: Level, scope: Scope, reach: Reach) -> Rule {
    Rule { method, path, level, scope, reach, query: "", body: "" }
}

const fn public(path: &'static str) -> Rule {
    rule("GET", path, Public, Read, Any)
}

const fn of_project(method: &'static str, path: &'static str, scope: Scope, reach: Reach) -> Rule {
    rule(method, path, Project, scope, reach)
}

const fn own(method: &'static str, path: &'static str, scope: Scope, reach: Reach) -> Rule {
    rule(method, path, Own, scope, reach)
}

impl Rule {
    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
}

const COLUMN: &str = r#"{"name": "x", "type": "INT"}"#;
const ONE: &str = r#"{"filter": {"column": "i", "op": "eq", "value": 1}}"#;
const SET: &str = r#"{"filter": {"column": "i", "op": "eq", "value": 1}, "set": {"v": 2}}"#;
const ROWS: &str = r#"[{"i": 5}]"#;
const QUERY: &str = r#"{"query": "SELECT 1"}"#;
const BATCH: &str = r#"{"queries": ["SELECT 1"]}"#;
const FINANCED: &str = r#"{"project_name": "x", "total_amount": 1, "maturity_years": 1, "expected_tri": 1, "dscr": 1}"#;
const CONTRACT: &str = r#"{"apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1", "status": "active", "schema": [{"name": "t", "properties": [{"name": "i", "logicalType": "integer"}]}]}"#;
const KEY: &str = r#"{"name": "k", "scopes": ["manage"]}"#;

const LINEAGE: &str = r#"{"eventType": "START", "eventTime": "2026-01-01T00:00:00Z",
    "run": {"runId": "01926f4e-7a3c-7d5e-8f00-0123456789ab"}, "job": {"namespace": "n", "name": "j"}}"#;

/// Routes of the document.
pub(super) const RULES: &[Rule] = &[
    public("/"),
    public("/version"),
    public("/livez"),
    public("/readyz"),
    public("/startupz"),
    public("/health"),
    public("/api/v1/duckdb/health"),
    rule("POST", "/backend/init", Admin, Manage, Any),
    rule("POST", "/backend/remove", Admin, Manage, Any),
    rule("POST", "/projects", Admin, Manage, Any).body(r#"{"id": "fresh"}"#),
    rule("GET", "/projects", Admin, Read, Any),
    of_project("GET", "/projects/{project}", Read, Any),
    of_project("PUT", "/projects/{project}", Manage, Whole).body(r#"{"name": "Ours"}"#),
    of_project("DELETE", "/projects/{project}", Manage, Whole),
    rule("POST", "/projects/{project}/undelete", Admin, Manage, Any),
    rule("POST", "/projects/{project}/purge", Admin, Manage, Any),
    rule("GET", "/audit", Admin, Read, Any),
    public("/metrics"),
    rule("GET", "/metrics/memory", Admin, Read, Any),
    rule("GET", "/metrics/performance", Admin, Read, Any),
    rule("POST", "/metrics/gc", Admin, Manage, Any),
    rule("GET", "/monitoring/metrics/system", Admin, Read, Any),
    rule("GET", "/admin/logging/level", Admin, Read, Any),
    rule("POST", "/admin/logging/level", Admin, Manage, Any).body(r#"{"level": "INFO"}"#),
    rule("GET", "/admin/backups", Admin, Read, Any),
    rule("POST", "/admin/backups", Admin, Manage, Any).body("{}"),
    rule("POST", "/admin/backups/prune", Admin, Manage, Any).body(r#"{"keep": 1}"#),
    rule("POST", "/admin/backups/{backup}/verify", Admin, Manage, Any),
    rule("POST", "/admin/backups/{backup}/restore", Admin, Manage, Any).body("{}"),
    rule("POST", "/admin/doctor", Admin, Manage, Any).body("{}"),
    rule("GET", "/config/summary", Admin, Read, Any),
    rule("GET", "/config/validate", Admin, Read, Any),
    rule("GET", "/config/features", Admin, Read, Any),
    rule("GET", "/config/ducklake", Admin, Read, Any),
    rule("POST", "/config/ducklake/reconnect", Admin, Manage, Any),
    of_project("GET", "/projects/{project}/audit", Manage, Whole),
    own("POST", "/jobs", Write, Whole).body(r#"{"name": "j"}"#),
    own("GET", "/jobs", Read, Whole),
    own("GET", "/jobs/{job}", Read, Whole),
    own("GET", "/jobs/{job}/runs", Read, Whole),
    own("POST", "/jobs/{job}/runs", Write, Whole).body("{}"),
    own("GET", "/jobs/{job}/runs/{run}", Read, Whole),
    own("PUT", "/jobs/{job}/runs/{run}/complete", Write, Whole).body("{}"),
    own("PUT", "/jobs/{job}/runs/{run}/fail", Write, Whole).body("{}"),
    own("PUT", "/jobs/{job}/runs/{run}/abort", Write, Whole).body("{}"),
    own("POST", "/api/v1/lineage", Write, Whole).body(LINEAGE),
    own("POST", "/api/v1/lineage/batch", Write, Whole).body("[]"),
    own("GET", "/api/v1/lineage", Read, Whole).query("?nodeId=job:ducklake:j"),
    own("GET", "/api/v1/column-lineage", Read, Whole).query("?nodeId=dataset:ducklake:d"),
    own("GET", "/api/v1/lineage/queue", Read, Whole),
    own("GET", "/api/v1/lineage/dead-letters", Read, Whole),
    own("POST", "/api/v1/lineage/dead-letters/{event}/retry", Write, Whole),
    own("DELETE", "/api/v1/lineage/dead-letters/{event}", Write, Whole),
    own("GET", "/api/v1/namespaces", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}/jobs", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}/jobs/{job}", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}/jobs/{job}/runs", Read, Whole),
    own("GET", "/api/v1/runs/{run}", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}/datasets", Read, Whole),
    own("GET", "/api/v1/namespaces/{namespace}/datasets/{dataset}", Read, Whole),
    own("GET", "/api/v1/search", Read, Whole).query("?q=x"),
    of_project("GET", "/projects/{project}/snapshots/{snapshot}/runs", Read, Whole),
    of_project("GET", "/projects/{project}/stats", Read, Any),
    of_project("GET", "/projects/{project}/quota", Read, Any),
    rule("PUT", "/projects/{project}/quota", Admin, Manage, Any).body(r#"{"tables": 1000}"#),
    of_project("GET", "/projects/{project}/usage", Read, Whole),
    rule("GET", "/usage", Admin, Read, Any),
    of_project("POST", "/projects/{project}/keys", Manage, Whole).body(KEY),
    of_project("GET", "/projects/{project}/keys", Manage, Whole),
    of_project("GET", "/projects/{project}/keys/{key}", Manage, Whole),
    of_project("POST", "/projects/{project}/keys/{key}/rotate", Manage, Whole),
    of_project("DELETE", "/projects/{project}/keys/{key}", Manage, Whole),
    of_project("GET", "/projects/{project}/buckets", Read, Any),
    of_project("POST", "/projects/{project}/buckets", Manage, Bucket).body(r#"{"name": "b"}"#),
    of_project("GET", "/projects/{project}/buckets/{bucket}", Read, Bucket),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}", Manage, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/share", Manage, Bucket)
        .body(r#"{"target_project_id": "nowhere"}"#),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/share", Manage, Bucket)
        .query("?target_project_id=nowhere"),
    of_project("POST", "/projects/{project}/buckets/{bucket}/link", Manage, Bucket)
        .body(r#"{"source_project_id": "nowhere", "source_bucket_name": "b"}"#),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/link", Manage, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/grant-readonly", Manage, Bucket),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/grant-readonly", Manage, Bucket),
    of_project("GET", "/projects/{project}/shares", Read, Any),
    of_project("GET", "/projects/{project}/links", Read, Any),
    of_project("GET", "/projects/{project}/offers", Read, Whole),
    of_project("GET", "/projects/{project}/readers", Read, Any),
    rule("GET", "/api/v1/duckdb", Known, Read, Any),
    rule("GET", "/api/v1/duckdb/statistics", Own, Read, Any),
    rule("POST", "/api/v1/duckdb/circuit-breaker/reset", Engine, Manage, Any),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables", Read, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables", Manage, Bucket)
        .body(r#"{"name": "new", "columns": [{"name": "i", "type": "INT"}]}"#),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}", Read, Bucket),
    of_project("PATCH", "/projects/{project}/buckets/{bucket}/tables/{table}", Manage, Bucket)
        .body(r#"{"comment": "x"}"#),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}", Manage, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/preview", Read, Bucket),
    of_project("PUT", "/projects/{project}/buckets/{bucket}/tables/{table}/contract", Manage, Bucket).body(CONTRACT),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/contract", Read, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/contract/versions", Read, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/contract/check", Write, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/contract/derive", Read, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/contract/results", Read, Bucket),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}/contract", Manage, Bucket),
    of_project("GET", "/projects/{project}/product", Read, Any),
    of_project("GET", "/projects/{project}/buckets/{bucket}/views", Read, Bucket),
    of_project("PUT", "/projects/{project}/buckets/{bucket}/views/{view}", Manage, Bucket)
        .body(r#"{"query": "SELECT 1 AS one"}"#),
    of_project("GET", "/projects/{project}/buckets/{bucket}/views/{view}", Read, Bucket),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/views/{view}", Manage, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/columns", Manage, Bucket).body(COLUMN),
    of_project("PUT", "/projects/{project}/buckets/{bucket}/tables/{table}/columns/{column}", Manage, Bucket)
        .body(r#"{"nullable": true}"#),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}/columns/{column}", Manage, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/primary-key", Manage, Bucket)
        .body(r#"{"columns": ["i"]}"#),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}/primary-key", Manage, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/rows", Write, Bucket).body(ROWS),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}/rows", Write, Bucket).body(ONE),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/rows/delete", Write, Bucket).body(ONE),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/rows/update", Write, Bucket).body(SET),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/truncate", Write, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/rows/purge", Manage, Bucket).body(ONE),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/data", Read, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/changes", Read, Bucket).query("?from=1"),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/changes/stream", Read, Bucket)
        .query("?cursor=1&follow=false"),
    of_project("PUT", "/projects/{project}/buckets/{bucket}/tables/{table}/consumers/{consumer}", Write, Bucket)
        .body("{}"),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/consumers/{consumer}", Read, Bucket),
    of_project("DELETE", "/projects/{project}/buckets/{bucket}/tables/{table}/consumers/{consumer}", Write, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/profile", Read, Bucket),
    of_project("GET", "/projects/{project}/snapshots", Read, Any),
    of_project("GET", "/projects/{project}/snapshots/{snapshot}", Read, Any),
    of_project("GET", "/projects/{project}/buckets/{bucket}/tables/{table}/snapshots", Read, Bucket),
    of_project("GET", "/projects/{project}/buckets/{bucket}/dropped-tables", Read, Bucket),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/restore", Manage, Bucket)
        .query("?snapshot=3"),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/undelete", Manage, Bucket),
    of_project("GET", "/projects/{project}/tags", Read, Any),
    of_project("GET", "/projects/{project}/tags/{tag}", Read, Any),
    of_project("PUT", "/projects/{project}/tags/{tag}", Manage, Whole).body("{}"),
    of_project("DELETE", "/projects/{project}/tags/{tag}", Manage, Whole),
    of_project("GET", "/projects/{project}/datasets", Read, Whole),
    of_project("POST", "/projects/{project}/datasets", Manage, Whole).body(r#"{"name": "d"}"#),
    of_project("GET", "/projects/{project}/datasets/{dataset}", Read, Whole),
    of_project("DELETE", "/projects/{project}/datasets/{dataset}", Manage, Whole),
    of_project("PUT", "/projects/{project}/datasets/{dataset}/{object}", Write, Whole).body("i\n1\n"),
    of_project("GET", "/projects/{project}/datasets/{dataset}/{object}", Read, Whole),
    of_project("HEAD", "/projects/{project}/datasets/{dataset}/{object}", Read, Whole),
    of_project("POST", "/projects/{project}/datasets/{dataset}/{object}/presign", Read, Whole).body("{}"),
    of_project("DELETE", "/projects/{project}/datasets/{dataset}/{object}", Write, Whole),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/import", Write, Whole)
        .body(r#"{"files": "/d/o.csv"}"#),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/export", Write, Whole)
        .body(r#"{"to": "/d/t.parquet"}"#),
    of_project("POST", "/projects/{project}/export", Write, Whole)
        .body(r#"{"query": "SELECT 1 AS one", "to": "/d/q.parquet"}"#),
    of_project("POST", "/projects/{project}/buckets/{bucket}/tables/{table}/files", Write, Whole)
        .body(r#"{"files": "/d/*.parquet"}"#),
    of_project("GET", "/projects/{project}/operations", Read, Whole),
    of_project("GET", "/projects/{project}/operations/{operation}", Read, Whole),
    of_project("DELETE", "/projects/{project}/operations/{operation}", Write, Whole),
    of_project("GET", "/projects/{project}/maintenance", Read, Whole),
    of_project("GET", "/projects/{project}/maintenance/plan", Read, Whole),
    of_project("GET", "/projects/{project}/maintenance/policy", Read, Whole),
    of_project("PUT", "/projects/{project}/maintenance/policy", Manage, Whole).body("{}"),
    of_project("POST", "/projects/{project}/maintenance/runs", Manage, Whole).query("?dry_run=true").body("{}"),
    of_project("GET", "/projects/{project}/maintenance/runs", Read, Whole),
    of_project("GET", "/projects/{project}/maintenance/runs/{run}", Read, Whole),
    of_project("POST", "/projects/{project}/maintenance/pause", Manage, Whole),
    of_project("POST", "/projects/{project}/maintenance/resume", Manage, Whole),
    of_project("POST", "/projects/{project}/query", Read, Any).body(QUERY),
    of_project("GET", "/projects/{project}/query", Read, Any).query("?query=SELECT%201"),
    of_project("POST", "/projects/{project}/batch", Read, Any).body(BATCH),
    own("POST", "/api/v1/duckdb/batch", Read, Any).body(BATCH),
    own("POST", "/api/v1/duckdb/query", Read, Any).body(QUERY),
    of_project("GET", "/projects/{project}/queries", Read, Any),
    of_project("POST", "/projects/{project}/queries", Read, Any).body(QUERY),
    of_project("GET", "/projects/{project}/queries/{query}", Read, Any),
    of_project("DELETE", "/projects/{project}/queries/{query}", Read, Any),
    of_project("GET", "/projects/{project}/queries/{query}/result", Read, Any),
    own("POST", "/tables", Manage, Bucket).body(r#"{"name": "b.short", "schema": {"i": "INT"}}"#),
    own("GET", "/tables", Read, Any),
    own("GET", "/tables/{table}", Read, Bucket),
    own("PUT", "/tables/{table}", Write, Bucket).body(r#"{"rows": [{"i": 6}]}"#),
    own("DELETE", "/tables/{table}", Manage, Bucket),
    own("POST", "/tables/{table}/query", Read, Bucket).body(QUERY),
    own("GET", "/events/stream", Read, Any).query("?follow=false"),
    own("GET", "/events/lineage", Read, Any).query("?follow=false"),
    own("GET", "/events/jobs", Read, Any).query("?follow=false"),
    own("GET", "/events/metrics", Read, Any).query("?follow=false"),
    own("POST", "/events/token", Read, Any),
    own("GET", "/events/stats", Read, Whole),
    own("POST", "/events/broadcast", Write, Whole).body(r#"{"event_type": "job_status", "data": {}}"#),
    own("DELETE", "/events/clients/{client}", Manage, Whole),
    own("GET", "/events/zombies", Read, Whole),
    own("POST", "/events/zombies/cleanup", Manage, Whole),
    own("POST", "/events/pong", Read, Any).body(r#"{"client_id": "x", "ping_id": "y"}"#),
    of_project("GET", "/projects/{project}/events", Read, Any),
    of_project("POST", "/projects/{project}/webhooks", Manage, Whole).body(r#"{"url": "http://127.0.0.1/"}"#),
    of_project("GET", "/projects/{project}/webhooks", Manage, Whole),
    of_project("GET", "/projects/{project}/webhooks/{webhook}", Manage, Whole),
    of_project("DELETE", "/projects/{project}/webhooks/{webhook}", Manage, Whole),
    of_project("GET", "/projects/{project}/webhooks/{webhook}/dead-letters", Manage, Whole),
    own("GET", "/datasets", Read, Whole),
    own("POST", "/datasets/{bucket}", Manage, Whole),
    own("GET", "/datasets/{bucket}", Read, Whole),
    own("DELETE", "/datasets/{bucket}", Manage, Whole),
    own("PUT", "/datasets/{bucket}/{object}", Write, Whole).body("i\n1\n"),
    own("GET", "/datasets/{bucket}/{object}", Read, Whole),
    own("HEAD", "/datasets/{bucket}/{object}", Read, Whole),
    own("POST", "/datasets/{bucket}/{object}/presign", Read, Whole).body("{}"),
    own("DELETE", "/datasets/{bucket}/{object}", Write, Whole),
    public("/monitoring/health"),
    own("POST", "/ops/initialize", Manage, Whole),
    own("POST", "/ops/projects", Write, Whole).body(FINANCED),
    own("GET", "/ops/projects", Read, Whole),
    own("POST", "/ops/projects/bulk", Write, Whole).body("[]"),
    own("GET", "/ops/projects/{project_id}", Read, Whole),
    own("PATCH", "/ops/projects/{project_id}", Write, Whole).body(r#"{"dscr": 1}"#),
    own("DELETE", "/ops/projects/{project_id}", Write, Whole),
    own("POST", "/ops/{entity}", Write, Whole).body("{}"),
    own("GET", "/ops/{entity}", Read, Whole),
    own("POST", "/ops/{entity}/bulk", Write, Whole).body("[]"),
    own("GET", "/ops/{entity}/{id}", Read, Whole),
    own("PATCH", "/ops/{entity}/{id}", Write, Whole).body(r#"{"a": 1}"#),
    own("DELETE", "/ops/{entity}/{id}", Write, Whole),
    own("POST", "/admin/tables", Manage, Whole),
    own("GET", "/admin/tables", Read, Any),
    own("GET", "/admin/tables/{table}", Read, Bucket),
    own("PUT", "/admin/tables/{table}", Manage, Bucket).body("{}"),
    own("DELETE", "/admin/tables/{table}", Manage, Bucket),
    own("GET", "/admin/tables/{table}/plan", Read, Bucket),
    own("POST", "/admin/tables/{table}/evolve", Manage, Bucket),
    rule("GET", "/schemas", Known, Read, Any),
    rule("GET", "/schemas/{schema}", Known, Read, Any),
    rule("GET", "/schemas/{schema}/versions", Known, Read, Any),
    own("POST", "/schemas/{schema}/refresh", Manage, Any),
    rule("GET", "/schemas/{schema}/diff", Known, Read, Any),
];

/// Routes that the document can't name: other methods, and second names.
pub(super) const BESIDE_THE_DOCUMENT: &[Rule] = &[
    public("/openapi.json"),
    public("/docs"),
    public("/events/test"),
    of_project("QUERY", "/projects/{project}/query", Read, Any).body(QUERY),
    of_project("PATCH", "/projects/{project}/buckets/{bucket}/tables/{table}/rows", Write, Bucket).body(SET),
    of_project("PATCH", "/projects/{project}/buckets/{bucket}/tables/{table}/columns/{column}", Manage, Bucket)
        .body(r#"{"nullable": true}"#),
    of_project("GET", "/projects/{project}/branches/default/buckets/{bucket}/tables", Read, Bucket),
    of_project("POST", "/projects/{project}/branches/default/buckets", Manage, Bucket).body(r#"{"name": "b"}"#),
    own("GET", "/api/v1/events/stream", Read, Any).query("?follow=false"),
    own("GET", "/api/v1/events/stats", Read, Whole),
    own("GET", "/api/v1/tables", Read, Any),
    own("GET", "/api/v1/tables/{table}", Read, Bucket),
    own("GET", "/api/v1/datasets/{bucket}/{object}", Read, Whole),
];
