//! What is away is left alone, and says so.

use std::time::Duration;

use anyhow::{Result, ensure};
use gadwall::Config;
use gadwall_test_services::Mode;
use serde_json::{Value, json};

use crate::scene::{Scene, away};

/// Longer than the test.
const LONG: Duration = Duration::from_hours(1);
const RESET: &str = "/api/v1/duckdb/circuit-breaker/reset";

/// Opens soon, and doesn't close by itself.
fn stubborn(config: &mut Config) {
    config.breaker.outside_timeout = LONG;
    config.breaker.failure_threshold = 2;
}

impl Scene {
    async fn breakers(&self) -> Result<Value> {
        let reply = self.admin().get("/api/v1/duckdb/statistics").await?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text);
        Ok(reply.json()["circuit_breakers"].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_away_is_left_alone_until_it_is_reset() -> Result<()> {
    let scene = Scene::with(stubborn).await?;
    let made = scene.admin().post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    ensure!(made.status == 201, "{}", made.text);
    let (status, told) = scene.readiness().await?;
    ensure!((status, &told["checks"]["object_store"]) == (200, &json!("ok")), "{told}");
    ensure!(told["checks"]["circuit_breakers"]["object_store"] == "closed", "{told}");

    // What isn't there is no fault.
    for _ in 0..5 {
        let missing = scene.admin().get("/projects/p/datasets/d/none").await?;
        ensure!(missing.status == 404, "{} {}", missing.status, missing.text);
    }
    scene.to_s3.set(Mode::Refuse);
    for _ in 0..2 {
        away(&scene.admin().get("/projects/p/datasets").await?)?;
    }
    let refused = scene.admin().get("/projects/p/datasets").await?;
    away(&refused)?;
    ensure!(refused.json()["code"] == "storage_unavailable", "{}", refused.text);
    let wait: u64 = refused.header("retry-after").parse()?;
    ensure!(wait > 3_000, "{wait}");
    let breakers = scene.breakers().await?;
    ensure!(breakers["object_store"]["state"] == "open", "{breakers}");
    ensure!(breakers["object_store"]["metrics"]["refused_requests"].as_u64() >= Some(1), "{breakers}");
    for other in ["metadata", "catalog", "duckdb"] {
        ensure!(breakers[other]["state"] == "closed", "{breakers}");
    }

    // It is back, but nobody asks, until told.
    scene.to_s3.set(Mode::Pass);
    away(&scene.admin().get("/projects/p/datasets").await?)?;
    let unknown = scene.admin().post(&format!("{RESET}?name=nothing"), &json!({})).await?;
    ensure!(unknown.status == 422, "{} {}", unknown.status, unknown.text);
    let other = scene.admin().post(&format!("{RESET}?name=catalog"), &json!({})).await?;
    ensure!(other.status == 200, "{} {}", other.status, other.text);
    away(&scene.admin().get("/projects/p/datasets").await?)?;
    let reset = scene.admin().post(&format!("{RESET}?name=object_store"), &json!({})).await?;
    ensure!(reset.status == 200, "{} {}", reset.status, reset.text);
    let listed = scene.admin().get("/projects/p/datasets").await?;
    ensure!(listed.status == 200, "{} {}", listed.status, listed.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogs_that_are_away_are_left_alone() -> Result<()> {
    let scene = Scene::with(stubborn).await?;
    scene.to_postgres.set(Mode::Refuse);
    // Whoever comes is told by whichever is asked first: metadata.
    for _ in 0..3 {
        away(&scene.append(1).await?)?;
    }
    let refused = scene.append(1).await?;
    away(&refused)?;
    ensure!(refused.json()["code"] == "metadata_unavailable", "{}", refused.text);
    ensure!(refused.header("retry-after").parse::<u64>()? > 3_000, "{}", refused.text);
    let (status, told) = scene.readiness().await?;
    ensure!(status == 503, "{told}");
    ensure!(told["details"]["circuit_breakers"]["metadata"] == "open", "{told}");
    Ok(())
}
