//! Runs a command beside a PostgreSQL and an S3 server that its tests can share: `with-services COMMAND [ARGUMENT…]`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use gadwall_test_services::{Postgres, S3};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().context("which command? with-services COMMAND [ARGUMENT…]")?;
    let (postgres, s3) = tokio::join!(Postgres::start(), S3::start());
    let (postgres, s3) = (postgres?, s3?);
    let mut command = Command::new(program);
    command.args(words).env("GADWALL_TEST_POSTGRES", postgres.url());
    command.env("GADWALL_TEST_S3_ENDPOINT", &s3.endpoint).env("GADWALL_TEST_S3_BUCKET", &s3.bucket);
    command.env("GADWALL_TEST_S3_ACCESS_KEY", &s3.access_key).env("GADWALL_TEST_S3_SECRET_KEY", &s3.secret_key);
    let status = tokio::task::spawn_blocking(move || command.status()).await?.context("the command can't be run")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
