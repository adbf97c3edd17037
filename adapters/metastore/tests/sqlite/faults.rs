//! Rows that something else wrote: a fault, told, and never a panic.

use gadwall_application::testing::builders::{
    api_key, audit_entry, bucket_created, column, commit, event, noon, project_id, request, schema, table,
    table_created,
};
use gadwall_domain::audit::AuditFilter;
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::{ReadAt, Tag};
use gadwall_domain::idempotency::StoredAnswer;
use gadwall_domain::ids::{OperationId, QueryId, SnapshotId};
use gadwall_domain::names::TagName;
use gadwall_domain::ontology::{GovernedTable, SchemaId, SchemaVersion};
use gadwall_domain::operation::{Operation, OperationKind, OperationState, Progress};
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, OperationFilter, ProjectFilter, StoreError};
use gadwall_domain::query_record::{QueryFilter, QueryRecord, QueryState};
use gadwall_metastore::SqliteMetadata;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{fresh, insert, stranger};

/// A store with one row of each kind.
async fn filled() -> (std::sync::Arc<SqliteMetadata>, TempDir) {
    let (store, folder) = fresh().await;
    insert(&*store, "p1").await;
    let made = table_created("t", &schema(vec![column("id", "INTEGER")], &["id"]));
    let mut tx = store.write().await.unwrap();
    tx.keys().insert(&api_key("p1", "secret")).await.unwrap();
    tx.events().append(&[event("p1")]).await.unwrap();
    tx.audit().append(&[audit_entry("p1", "project.created")]).await.unwrap();
    assert!(tx.lake_index().apply(&project_id("p1"), &keyed(vec![bucket_created("b", None), made])).await.unwrap());
    tx.tags().insert(&tag()).await.unwrap();
    tx.idempotency().begin("admin", "k", Uuid::from_u128(1), noon(), noon()).await.unwrap();
    let answer = StoredAnswer { status: 200, headers: Vec::new(), body: b"x".to_vec() };
    assert!(tx.idempotency().answer("admin", "k", "f", &answer).await.unwrap());
    tx.operations().insert(&failed()).await.unwrap();
    tx.queries().insert(&asked()).await.unwrap();
    tx.schemas().record(&schema_version(), 9).await.unwrap();
    tx.schemas().govern(&governed()).await.unwrap();
    tx.commit().await.unwrap();
    (store, folder)
}

/// A commit whose first change was made under a key.
fn keyed(changes: Vec<Change>) -> Commit {
    let mut commit = commit(1, changes);
    commit.writes[0].origin.idempotency_key = Some("k".to_owned());
    commit
}

fn tag() -> Tag {
    Tag {
        project: project_id("p1"),
        name: TagName::parse("v1").unwrap(),
        snapshot: SnapshotId::new(1).unwrap(),
        description: None,
        created_at: noon(),
        created_by: "admin".to_owned(),
    }
}

fn schema_version() -> SchemaVersion {
    SchemaVersion {
        id: SchemaId::parse("orders").unwrap(),
        version: "1".to_owned(),
        digest: "d".to_owned(),
        document: serde_json::json!({}),
        tag: None,
        first_seen: noon(),
        last_seen: noon(),
    }
}

fn governed() -> GovernedTable {
    GovernedTable {
        project: project_id("p1"),
        table: table("t"),
        schema: schema_version().id,
        version: "1".to_owned(),
        snapshot: SnapshotId::new(1).unwrap(),
        applied_at: noon(),
    }
}

fn failed() -> Operation {
    Operation {
        id: OperationId::new(Uuid::from_u128(1)),
        project: project_id("p1"),
        kind: OperationKind::Export,
        subject: "main.t".to_owned(),
        started_by: "admin".to_owned(),
        request_id: request("r1"),
        created_at: noon(),
        finished_at: Some(noon()),
        state: OperationState::Failed(serde_json::json!({"code": "x"})),
        progress: Progress::default(),
        instance: Uuid::from_u128(1),
    }
}

fn asked() -> QueryRecord {
    QueryRecord {
        id: QueryId::new(Uuid::from_u128(1)),
        project: project_id("p1"),
        principal: "admin".to_owned(),
        sql: "SELECT 1".to_owned(),
        request_id: request("r1"),
        started_at: noon(),
        finished_at: Some(noon()),
        state: QueryState::Done,
        rows: 1,
        error_code: None,
        profile: None,
        progress: None,
    }
}

/// Reads from the table; every row of it. A repeated request is looked at by beginning it again, which writes.
async fn read(tx: &mut dyn MetadataTx, from: &str) -> Result<(), StoreError> {
    let p1 = project_id("p1");
    match from {
        "projects" => {
            tx.projects().find(&p1).await?;
            tx.projects().list(ProjectFilter { status: None, limit: 10, offset: 0 }).await.map(drop)
        }
        "api_keys" => tx.keys().find_by_digest(&api_key("p1", "secret").digest).await.map(drop),
        "events" => tx.events().read_after(&p1, 0, 10).await.map(drop),
        "audit" => tx.audit().list(&AuditFilter { limit: 10, ..AuditFilter::default() }).await.map(drop),
        "lake_applied" => tx.lake_index().applied(&p1).await.map(drop),
        "bucket_facts" => tx.lake_index().buckets(&p1, ReadAt::Head).await.map(drop),
        "keyed_writes" => tx.lake_index().write_of_key(&p1, None, "k").await.map(drop),
        "tags" => {
            tx.tags().find(&p1, &tag().name).await?;
            tx.tags().list(&p1).await.map(drop)
        }
        "idempotency" => tx.idempotency().begin("admin", "k", Uuid::from_u128(1), noon(), noon()).await.map(drop),
        "operations" => {
            tx.operations().find(&p1, failed().id).await?;
            tx.operations().list(&p1, OperationFilter { after: None, kind: None, limit: 9 }).await.map(drop)
        }
        "queries" => {
            let all = QueryFilter { state: None, since: None, principal: None, before: None, limit: 9 };
            tx.queries().find(&p1, asked().id).await?;
            tx.queries().list(&p1, &all).await.map(drop)
        }
        "schema_versions" => {
            tx.schemas().list(9).await?;
            tx.schemas().latest(&schema_version().id).await.map(drop)
        }
        "governed_tables" => tx.schemas().governed(&p1, &table("t")).await.map(drop),
        _ => {
            tx.lake_index().table(&p1, &table("t"), ReadAt::Head).await?;
            tx.lake_index().tables(&p1, None, ReadAt::Head).await.map(drop)
        }
    }
}

#[tokio::test]
async fn a_row_that_does_not_parse_is_a_fault() {
    let (store, folder) = filled().await;
    let mut stranger = stranger(&folder).await;
    for (from, change) in [
        ("projects", "id = '../evil'"),
        ("projects", "lake = 'not a uuid'"),
        ("projects", "settings = '[1]'"),
        ("projects", "settings = '{'"),
        ("projects", "status = 'sleeping'"),
        ("projects", "created_at = 9223372036854775807"),
        ("projects", "table_count = -1"),
        ("api_keys", "id = ''"),
        ("api_keys", "scopes = 'read fly'"),
        ("api_keys", "bucket = 'a b'"),
        ("events", "request_id = 'two words'"),
        ("events", "snapshot = -1"),
        ("events", "data = ''"),
        ("audit", "request_id = ''"),
        ("audit", "snapshot = -5"),
        ("lake_applied", "snapshot = -1"),
        ("bucket_facts", "bucket = 'pg_catalog'"),
        ("table_facts", "table_name = ''"),
        ("table_facts", "columns = '[{\"name\":\"a\",\"data_type\":\"WRONG\"}]'"),
        ("table_facts", "primary_key = '\"id\"'"),
        ("keyed_writes", "snapshot = -1"),
        ("keyed_writes", "record = '{\"request_id\":\"r1\"}'"),
        ("tags", "name = 'v 1'"),
        ("tags", "snapshot = -1"),
        ("tags", "created_at = 9223372036854775807"),
        ("idempotency", "instance = '1'"),
        ("idempotency", "status = 20"),
        ("idempotency", "status = -200"),
        ("idempotency", "status = 65736"),
        ("idempotency", "fingerprint = NULL"),
        ("idempotency", "headers = '[[\"only a name\"]]'"),
        ("idempotency", "body = NULL"),
        ("operations", "kind = 'explode'"),
        ("operations", "request_id = ''"),
        ("operations", "state = 'lost'"),
        ("operations", "outcome = NULL"),
        ("operations", "outcome = '{'"),
        ("operations", "rows_done = -1"),
        ("operations", "finished_at = -9223372036854775808"),
        ("schema_versions", "schema_id = 'a b'"),
        ("schema_versions", "document = '{'"),
        ("schema_versions", "last_seen = 9223372036854775807"),
        ("governed_tables", "bucket = 'a b'"),
        ("governed_tables", "schema_id = ''"),
        ("governed_tables", "snapshot = -1"),
        ("queries", "request_id = ''"),
        ("queries", "state = 'running'"),
        ("queries", "rows_read = -1"),
        ("queries", "finished_at = -9223372036854775808"),
    ] {
        read(&mut *store.write().await.unwrap(), from).await.unwrap();
        let (column, _) = change.split_once(' ').unwrap();
        let mut run =
            async |statement: String| sqlx::query(AssertSqlSafe(statement)).execute(&mut stranger).await.unwrap();
        run(format!("CREATE TEMP TABLE kept AS SELECT {column} AS value FROM {from}")).await;
        run(format!("UPDATE {from} SET {change}")).await;
        let found = read(&mut *store.write().await.unwrap(), from).await;
        let Err(StoreError::Fault(source)) = found else { panic!("{change}: a fault, not {found:?}") };
        assert!(source.to_string().contains(column), "{change}: {source}");
        run(format!("UPDATE {from} SET {column} = (SELECT value FROM kept)")).await;
        run("DROP TABLE kept".to_owned()).await;
    }
}

#[tokio::test]
async fn a_key_with_half_a_digest_is_not_found() {
    let (store, folder) = filled().await;
    let cut = "UPDATE api_keys SET digest = substr(digest, 1, 16)";
    sqlx::query(cut).execute(&mut stranger(&folder).await).await.unwrap();
    let digest = api_key("p1", "secret").digest;
    assert_eq!(store.read().await.unwrap().keys().find_by_digest(&digest).await.unwrap(), None);
}

#[tokio::test]
async fn numbers_that_sqlite_cannot_hold_are_faults() {
    let (store, _folder) = filled().await;
    let mut size = gadwall_domain::project::ProjectSize { size_bytes: u64::MAX, ..Default::default() };
    let refused = store.write().await.unwrap().projects().record_size(&project_id("p1"), size).await;
    assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
    size.size_bytes = i64::MAX as u64;
    store.write().await.unwrap().projects().record_size(&project_id("p1"), size).await.unwrap();
}
