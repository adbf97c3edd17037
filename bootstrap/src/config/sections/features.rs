//! Flags that older deployments set. They are accepted and checked, and switch nothing yet.

use super::planned;
use crate::config::kind::Kind;

section! {
    /// Flags of the older DuckLake service.
    pub struct Features = "features" {
        /// Memory figures.
        enable_memory_monitoring: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Times of requests.
        enable_performance_tracking: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Metrics for Prometheus.
        enable_prometheus_metrics: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Whether the S3 server is told to encrypt all that is written there, with the key `storage.kms_key_id`. The engine
        /// can't ask for other encryption: for that of the server's own keys (SSE-S3), make it the bucket's default.
        enable_s3_encryption: bool = false, Kind::Switch;
        /// Work in the background.
        enable_async_processing: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Several writes in one commit.
        enable_batch_optimization: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Answers for pages of other origins.
        enable_cors: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Health checks.
        enable_health_checks: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Counting of errors.
        enable_error_tracking: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Compressed answers.
        enable_data_compression: bool = true, Kind::Switch, planned planned::FLAGS;
        /// A record of who did what.
        enable_audit_logging: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Checks of requests. They can't be switched off.
        enable_input_validation: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Limits on how often a caller may ask.
        enable_rate_limiting: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Cached answers.
        enable_request_caching: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Versions of the API.
        enable_api_versioning: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Traces across services.
        enable_distributed_tracing: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Backups.
        enable_backup_automation: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Keys of callers: `auth.enabled` decides, not this flag.
        enable_authentication: bool = false, Kind::Switch, planned planned::FLAGS;
        /// Rights of callers. They can't be switched off.
        enable_authorization: bool = false, Kind::Switch, planned planned::FLAGS;
    }
}
