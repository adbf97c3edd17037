//! The demo, with fewer rows: real data in every format, and answers that DuckDB agrees with.

use std::sync::Arc;

use anyhow::Result;
use gadwall_tests::demo::{self, Options, Server};
use gadwall_tests::support::{ADMIN_KEY, TestServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_loads_real_data_and_every_answer_is_duckdbs_own() -> Result<()> {
    let server = TestServer::start().await?;
    let address = Server { url: server.url(""), admin_key: ADMIN_KEY.to_owned() };
    let options = Options {
        cache_dir: None,
        flights: Some(200_000),
        project: None,
        progress: Arc::new(|line| eprintln!("{line}")),
    };
    let report = demo::run(&address, &options).await?;
    assert!(report.queries.len() >= 10, "only {} queries", report.queries.len());
    assert!(report.loads.len() >= 8, "only {} datasets", report.loads.len());
    assert!(report.all_same(), "{report}");
    Ok(())
}
