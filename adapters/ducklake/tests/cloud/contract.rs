//! The lake's contract suite on PostgreSQL and S3.

use std::sync::Arc;

use gadwall_ducklake::{CloudLakes, DataPlace};
use gadwall_test_services::{PostgresProcess, S3};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::place::{LIMITS, config, fresh_data, postgres_place};

static S3: OnceCell<S3> = OnceCell::const_new();

/// Roles belong to a whole server, and promises use the same lakes: each has a server of its own.
async fn fresh() -> (Arc<CloudLakes>, (TempDir, PostgresProcess)) {
    let s3 = S3.get_or_init(|| async { S3::start().await.unwrap() }).await;
    let postgres = PostgresProcess::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = DataPlace::S3(fresh_data(s3));
    let lakes = CloudLakes::open(&config(&dir, data), &postgres_place(postgres.url()), LIMITS).await.unwrap();
    (Arc::new(lakes), (dir, postgres))
}

gadwall_application::lake_contract!(contract_together, fresh().await);

mod links {
    gadwall_application::links_contract!(contract_together, super::fresh().await);
}

mod maintenance {
    gadwall_application::maintenance_contract!(contract_together, super::fresh().await);
}
