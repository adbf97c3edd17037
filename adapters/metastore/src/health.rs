//! Whether the store answers.

use std::time::Duration;

use gadwall_domain::ports::system::Health;

/// A health check must answer quickly or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Something that only a store in order can answer.
pub(crate) const LOOK: &str = "SELECT count(*) FROM projects";

/// What a look at the store tells.
pub(crate) async fn of<T>(look: impl Future<Output = Result<T, sqlx::Error>>) -> Health {
    let detail = match tokio::time::timeout(PROBE_TIMEOUT, look).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "the metadata store's health check failed");
            Some("the metadata store can't be read".to_owned())
        }
        Err(_) => Some("the metadata store did not answer in time".to_owned()),
    };
    Health { name: "metadata", ok: detail.is_none(), detail }
}
