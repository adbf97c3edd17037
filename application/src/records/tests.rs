//! Governed tables and their records, over a lake in memory.

use chrono::TimeDelta;
use gadwall_domain::history::Expected;
use gadwall_domain::idempotency::{Fingerprint, IdempotentRequest};
use gadwall_domain::ids::RequestId;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::background::{Background, BackgroundFull, Place};
use serde_json::json;

use super::*;
use crate::breaker::{Breaker, BreakerConfig};
use crate::schemas::{SchemaServer, SchemaTimes};
use crate::testing::builders::{project_id, rows};
use crate::testing::{MemoryRegistry, SeqIds};
use crate::versions::Versions;
use crate::world::World;

/// No work beside requests.
struct Nowhere;

impl Background for Nowhere {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        Err(BackgroundFull)
    }
}

struct Bench {
    world: World,
    server: Arc<MemoryRegistry>,
    records: Records,
    caller: Caller,
}

impl Bench {
    async fn new() -> Self {
        let world = World::new();
        let (_, caller) = world.project("p").await;
        let server = Arc::new(MemoryRegistry::default());
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let schema_server = SchemaServer {
            registry: Arc::clone(&server) as _,
            breaker: Breaker::new("ontology", BreakerConfig::default(), Arc::clone(&clock)),
            background: Arc::new(Nowhere),
            times: SchemaTimes { fresh_for: TimeDelta::minutes(5), stale_for: TimeDelta::days(7) },
        };
        let store = Arc::clone(&world.store) as Arc<dyn MetadataStore>;
        let (lakes, access) = (Arc::clone(&world.lakes), Arc::clone(&world.access));
        let schemas = Schemas::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), Some(schema_server));
        let tables = Arc::new(Tables::new(
            Arc::clone(&store),
            Arc::clone(&lakes),
            Arc::clone(&access),
            Arc::clone(&world.projection),
            Arc::clone(&world.projects),
        ));
        let versions = Arc::new(Versions::new(Arc::clone(&store), Arc::clone(&lakes) as _));
        let data = Data::new(Arc::clone(&lakes), Arc::clone(&access), Arc::clone(&tables), versions);
        let records = Records::new(Parts {
            tables,
            data: Arc::new(data),
            schemas: Arc::new(schemas),
            access,
            store,
            lakes,
            clock,
            ids: Arc::new(SeqIds::default()),
        });
        Self { world, server, records, caller }
    }

    /// The server's schema of orders: a number, and these columns.
    fn serve(&self, version: &str, more: &[Value]) {
        let mut columns = vec![json!({ "name": "number", "type": "INTEGER" })];
        columns.extend_from_slice(more);
        let document = json!({ "name": "orders", "version": version, "primary_key": ["number"], "columns": columns });
        self.server.serve("orders", Some(document));
    }

    async fn initialize(&self) -> Result<bool, UseCaseError> {
        let made = self.records.initialize(&self.caller, &project_id("p"), Some(&orders())).await;
        made.map(|(made, _)| made.is_new)
    }

    async fn plan(&self, surplus: Surplus) -> Evolution {
        self.records.plan(&self.caller, &project_id("p"), &table(), None, surplus).await.unwrap()
    }
}

fn orders() -> SchemaId {
    SchemaId::parse("orders").unwrap()
}

fn entity() -> TableName {
    TableName::parse("orders").unwrap()
}

fn table() -> TableRef {
    in_main(entity())
}

fn note() -> Value {
    json!({ "name": "note", "type": "VARCHAR", "required": false })
}

#[tokio::test]
async fn a_table_gets_what_breaks_nobody() {
    let bench = Bench::new().await;
    bench.serve("1", &[]);
    assert!(bench.initialize().await.unwrap());
    assert!(!bench.initialize().await.unwrap());
    bench.serve("2", &[note()]);
    assert!(!bench.initialize().await.unwrap());
    let plan = bench.plan(Surplus::Keep).await;
    assert_eq!((plan.from.as_deref(), plan.plan.is_empty()), (Some("2"), true));
    bench.serve("3", &[note(), json!({ "name": "must", "type": "INTEGER" })]);
    bench.initialize().await.unwrap();
    let plan = bench.plan(Surplus::Keep).await;
    assert_eq!((plan.from.as_deref(), plan.to.version.as_str(), plan.plan.steps.len()), (Some("2"), "3", 1));
}

#[tokio::test]
async fn what_breaks_others_needs_consent() {
    let bench = Bench::new().await;
    bench.serve("1", &[note()]);
    bench.initialize().await.unwrap();
    bench.serve("2", &[]);
    let (project, table) = (project_id("p"), table());
    let evolve = |consent| bench.records.evolve(&bench.caller, &project, &table, None, Surplus::Drop, consent);
    let refused = evolve(false).await.unwrap_err();
    assert_eq!(refused.code(), "breaking_change");
    assert_eq!(refused.findings()[0]["op"], "drop_column");
    let done = evolve(true).await.unwrap();
    assert!(done.snapshot.is_some());
    assert!(bench.plan(Surplus::Drop).await.plan.is_empty());
}

#[tokio::test]
async fn each_attempt_of_a_request_makes_the_same_record() {
    let bench = Bench::new().await;
    let document = json!({ "name": "orders", "columns": [
        { "name": "id", "type": "UUID", "fill": "uuid" }, { "name": "a", "type": "INTEGER" },
    ] });
    bench.server.serve("orders", Some(document));
    bench.initialize().await.unwrap();
    let request = IdempotentRequest { key: "once".to_owned(), fingerprint: Fingerprint::pending() };
    let caller = Caller { idempotency: Some(request), ..bench.caller.clone() };
    let keys = |caller: Caller| {
        let bench = &bench;
        async move {
            let texts = [r#"{"a":1}"#, r#"{"a":2}"#];
            let project = project_id("p");
            bench.records.prepare(&caller, &project, &entity(), &texts, Reading::Exact).await.unwrap().keys
        }
    };
    let first = keys(caller.clone()).await;
    assert_eq!(first, keys(caller.clone()).await);
    assert_ne!(first[0], first[1]);
    let others = keys(Caller { idempotency: None, request_id: RequestId::parse("r2").unwrap(), ..caller }).await;
    assert_ne!(first, others);
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once() {
    let bench = Bench::new().await;
    bench.serve("1", &[json!({ "name": "state", "type": "VARCHAR", "enum": ["open", "shut"] })]);
    bench.initialize().await.unwrap();
    let project = project_id("p");
    let texts = [r#"{"number":1,"state":"ajar"}"#];
    let new = bench.records.prepare(&bench.caller, &project, &entity(), &texts, Reading::Exact).await.unwrap();
    assert_eq!(new.json, r#"[{"number":1,"state":"ajar"}]"#);
    let batches = rows(["number", "state"], &[[Some("1"), Some("ajar")]]);
    let refused = bench.records.insert(&bench.caller, new, batches).await.unwrap_err();
    let UseCaseError::Violations { violations, .. } = &refused else { panic!("{refused}") };
    assert_eq!(violations.first()[0].column.as_deref(), Some("state"));
    let many = vec!["{}"; MAX_RECORDS + 1];
    let refused = bench.records.prepare(&bench.caller, &project, &entity(), &many, Reading::Exact).await;
    assert_eq!(refused.unwrap_err().code(), "validation_failed");
}

#[tokio::test]
async fn records_are_of_governed_tables() {
    let bench = Bench::new().await;
    let project = project_id("p");
    let entity = entity();
    let open = || bench.records.open(&bench.caller, &project, &entity, None);
    assert_eq!(open().await.unwrap_err().code(), "schema_not_found");
    bench.serve("1", &[]);
    bench.world.clock.advance(TimeDelta::seconds(30));
    assert!(open().await.unwrap().is_none(), "before it is made");
    bench.initialize().await.unwrap();
    bench.server.set_failing(true);
    assert!(open().await.unwrap().is_some(), "reading needs no server");
    bench.records.delete_table(&bench.caller, &project, &table()).await.unwrap();
    assert!(open().await.unwrap().is_none());
    let gone = bench.records.tables.delete(&bench.caller, &project, &table(), Expected::ANY).await;
    assert_eq!(gone.unwrap_err().code(), "table_not_found");
}
