//! Many projects that one server opens in turn.

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::ServerProcess;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, query_scalar};

use super::{Replica, Shared, is_long};

/// Projects, and with `GADWALL_TEST_STORM` set (`make test-chaos`). More than can be open at once.
const PROJECTS: u32 = 24;
const MANY_PROJECTS: u32 = 200;
/// The most that may be open, connections of each to its catalog, and the server's own: to catalogs and metadata.
const OPEN: i64 = 16;
const OF_EACH: i64 = 4;
const OWN: i64 = 16 + 10;
/// What the server may hold, in MB.
const MEMORY: f64 = 700.0;

/// What a server holds.
struct Held {
    memory: f64,
    of_lakes: i64,
    in_all: i64,
}

impl Held {
    async fn by(server: &ServerProcess, beside: &mut PgConnection) -> Result<Self> {
        let memory = server.resident_mb().context("no memory")?;
        let of_lakes = "SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND usename LIKE 'p\\_%'";
        let in_all = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let of_lakes = query_scalar(of_lakes).fetch_one(&mut *beside).await?;
        let in_all = query_scalar(in_all).fetch_one(beside).await?;
        Ok(Self { memory, of_lakes, in_all })
    }
}

async fn make(replica: &Replica, number: u32) -> Result<()> {
    let tables = format!("/projects/many{number}/buckets/main/tables");
    replica.made("/projects", &json!({ "id": format!("many{number}") })).await?;
    let table = json!({ "name": "t", "columns": [{ "name": "id", "type": "INTEGER" }] });
    replica.made(&tables, &table).await?;
    replica.made(&format!("{tables}/t/rows"), &json!([{ "id": number }])).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_opened_in_turn_keep_memory_and_connections_bounded() -> Result<()> {
    let shared = Shared::start().await?;
    let replica = shared.replica().await?;
    let mut beside = PgConnection::connect(shared.database.url()).await?;
    let projects = if is_long() { MANY_PROJECTS } else { PROJECTS };
    let mut most = Held { memory: 0.0, of_lakes: 0, in_all: 0 };
    for round in ["made", "asked again"] {
        for number in 0..projects {
            if round == "made" {
                make(&replica, number).await?;
            }
            let asked = format!("/projects/many{number}/query");
            let rows = replica.made(&asked, &json!({ "query": "SELECT max(id) FROM t" })).await?;
            ensure!(rows.json()["rows"] == json!([[number]]), "{}", rows.text);
            let held = Held::by(&replica.server, &mut beside).await?;
            let Held { memory, of_lakes, in_all } = held;
            ensure!(memory < MEMORY, "{memory} MB with {number} projects {round}");
            ensure!(of_lakes <= OPEN * OF_EACH, "{of_lakes} connections of lakes with {number} projects {round}");
            ensure!(in_all <= OPEN * OF_EACH + OWN, "{in_all} connections with {number} projects {round}");
            most.memory = most.memory.max(memory);
            most.of_lakes = most.of_lakes.max(of_lakes);
            most.in_all = most.in_all.max(in_all);
        }
    }
    println!(
        "{projects} projects: at most {:.0} MB, {} connections of lakes, {} in all",
        most.memory, most.of_lakes, most.in_all
    );
    Ok(())
}
