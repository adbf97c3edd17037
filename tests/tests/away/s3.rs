//! S3 goes away, or is slow.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gadwall_test_services::Mode;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_that_is_stopped_and_started_again_loses_nothing() -> Result<()> {
    let mut scene = Scene::new().await?;
    let begun = Instant::now();
    let mut acknowledged = scene.append_while(|| begun.elapsed() < Duration::from_secs(1), 1_000).await?;
    ensure!(!acknowledged.is_empty(), "nothing was written");

    ensure!(scene.s3.kill(), "the server is somebody else's");
    let begun = Instant::now();
    let meanwhile = scene.append_while(|| begun.elapsed() < Duration::from_secs(8), 2_000).await?;
    ensure!(meanwhile.is_empty(), "acknowledged without storage: {meanwhile:?}");

    scene.s3.start_again().await?;
    scene.recovers(3_000).await?;
    acknowledged.insert(3_000);
    scene.holds(&acknowledged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_s3_is_waited_for_and_bursts_of_errors_are_outlived() -> Result<()> {
    let scene = Scene::new().await?;
    scene.to_s3.set(Mode::Delay(Duration::from_millis(500)));
    let reply = scene.append(1).await?;
    ensure!(matches!(reply.status, 200 | 201), "{} {}", reply.status, reply.text);
    let mut acknowledged = std::collections::BTreeSet::from([1]);
    for (round, status) in [500, 503].into_iter().enumerate() {
        scene.to_s3.set(Mode::Answer { status, times: 40 });
        let begun = Instant::now();
        let from = 1_000 * (round + 1);
        let go_on = || begun.elapsed() < Duration::from_secs(3);
        acknowledged.extend(scene.append_while(go_on, from).await?);
        ensure!(scene.to_s3.answered() > 0, "no request met an error");
        scene.to_s3.set(Mode::Pass);
        scene.recovers(from + 900).await?;
    }
    scene.holds(&acknowledged).await
}
