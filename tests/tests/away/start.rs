//! A server that can't start says why.

use std::time::Duration;

use anyhow::{Result, ensure};
use gadwall::config::Secret;
use gadwall_test_services::{PostgresProcess, S3};
use gadwall_tests::support::TestServer;

use crate::scene::configure;

type Change = fn(&mut gadwall::Config);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_and_missing_buckets_are_told_at_start() -> Result<()> {
    let (postgres, s3) = tokio::join!(PostgresProcess::start(), S3::start());
    let (postgres, s3) = (postgres?, s3?);
    let port: u16 = postgres.url().rsplit_once(':').unwrap().1.split('/').next().unwrap().parse()?;
    let cases: [(&str, Change); 4] = [
        ("password", |config| config.postgres.password = Some(Secret::new("another"))),
        ("database", |config| config.postgres.port = 1),
        ("bucket", |config| config.storage.default_bucket = "there-is-none".to_owned()),
        ("key", |config| config.storage.secret_key = Some(Secret::new("another"))),
    ];
    for (word, change) in cases {
        let started = TestServer::start_with(|config| {
            configure(config, &postgres, ("127.0.0.1", port), &s3, &s3.endpoint);
            config.ducklake.connection_retries = 1;
            config.ducklake.connection_retry_delay = Duration::ZERO;
            change(config);
        });
        let Err(error) = started.await else { anyhow::bail!("a server started with a wrong {word}") };
        let told = format!("{error:#}");
        ensure!(told.to_lowercase().contains(word), "{told}");
        ensure!(!told.contains("another") && !told.contains("swordfish"), "{told}");
    }
    Ok(())
}
