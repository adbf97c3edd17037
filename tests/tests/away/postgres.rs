//! PostgreSQL goes away.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gadwall_test_services::Mode;

use crate::scene::{Scene, away};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_stopped_and_started_again_loses_nothing() -> Result<()> {
    let mut scene = Scene::new().await?;
    let begun = Instant::now();
    let mut acknowledged = scene.append_while(|| begun.elapsed() < Duration::from_secs(1), 1_000).await?;
    ensure!(!acknowledged.is_empty(), "nothing was written");

    scene.postgres.kill()?;
    let begun = Instant::now();
    let meanwhile = scene.append_while(|| begun.elapsed() < Duration::from_secs(8), 2_000).await?;
    ensure!(meanwhile.is_empty(), "acknowledged without a catalog: {meanwhile:?}");
    let (status, told) = scene.readiness().await?;
    ensure!(status == 503, "{told}");

    scene.postgres.start_again().await?;
    scene.recovers(3_000).await?;
    acknowledged.insert(3_000);
    scene.holds(&acknowledged).await?;
    ensure!(scene.readiness().await?.0 == 200, "not ready again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_to_postgres_that_is_cut_is_found_again() -> Result<()> {
    let scene = Scene::new().await?;
    let mut acknowledged = std::collections::BTreeSet::new();
    for (round, mode) in [Mode::Refuse, Mode::Drop].into_iter().enumerate() {
        let from = 1_000 * (round + 1);
        let begun = Instant::now();
        acknowledged.extend(scene.append_while(|| begun.elapsed() < Duration::from_millis(500), from).await?);
        scene.to_postgres.set(mode);
        away(&scene.append(from + 500).await?)?;
        away(&scene.admin().get("/projects/p/query?query=SELECT%20count(*)%20FROM%20b.t").await?)?;
        scene.to_postgres.set(Mode::Pass);
        scene.recovers(from + 600).await?;
        acknowledged.insert(i64::try_from(from + 600)?);
        scene.holds(&acknowledged).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_lost_in_the_middle_lets_nobody_write_over_another() -> Result<()> {
    let scene = Scene::new().await?;
    let begun = Instant::now();
    // Sessions that hold the lock of a writer's turn are ended again and again while it writes.
    let ending = async {
        let mut ended = 0;
        // On a slow machine no write would come through the shortest pauses.
        for pause in [30, 60, 120, 240, 480].into_iter().cycle() {
            if begun.elapsed() >= Duration::from_secs(4) {
                break;
            }
            ended += scene.end_turns().await?;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        anyhow::Ok(ended)
    };
    let writing = scene.append_while(|| begun.elapsed() < Duration::from_secs(4), 1_000);
    let (ended, acknowledged) = tokio::join!(ending, writing);
    ensure!(ended? > 0, "no turn was ended");
    let acknowledged = acknowledged?;
    ensure!(!acknowledged.is_empty(), "nothing was written");
    scene.recovers(9_000).await?;
    scene.holds(&acknowledged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_without_connections_left_is_busy() -> Result<()> {
    let scene = Scene::new().await?;
    scene.append(1).await?;
    let held = scene.hold_all_connections().await?;
    // What is open goes on; whatever needs another connection is told to come back.
    for i in 10..20 {
        let reply = scene.append(i).await?;
        if reply.status != 200 && reply.status != 201 {
            away(&reply)?;
        }
    }
    drop(held);
    scene.recovers(100).await
}
