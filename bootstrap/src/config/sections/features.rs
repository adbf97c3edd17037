//! Flags that older deployments set. Those that are about something that is here switch it; the others are accepted and
//! checked, and switch nothing.

use super::planned;
use crate::config::kind::Kind;

section! {
    /// Flags of the older DuckLake service.
    pub struct Features = "features" {
        /// Whether memory is looked at every 5 seconds, for `GET /metrics/memory` and a warning when it only grows.
        enable_memory_monitoring: bool = true, Kind::Switch;
        /// Whether requests and what the engine does of late are kept, for `GET /metrics/performance`.
        enable_performance_tracking: bool = true, Kind::Switch;
        /// Whether `GET /metrics` is there.
        enable_prometheus_metrics: bool = true, Kind::Switch;
        /// Whether the S3 server is told to encrypt all that is written there, with the key `storage.kms_key_id`. The engine
        /// can't ask for other encryption: for that of the server's own keys (SSE-S3), make it the bucket's default.
        enable_s3_encryption: bool = false, Kind::Switch;
        /// Work in the background.
        enable_async_processing: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Several writes in one commit.
        enable_batch_optimization: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Whether `cors.allow_origins` holds. Without, no page of another origin may read answers.
        enable_cors: bool = true, Kind::Switch;
        /// Health checks.
        enable_health_checks: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Counting of errors.
        enable_error_tracking: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Whether answers are compressed for clients that can read that.
        enable_data_compression: bool = true, Kind::Switch;
        /// A record of who did what.
        enable_audit_logging: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Checks of requests. They can't be switched off.
        enable_input_validation: bool = true, Kind::Switch, planned planned::FLAGS;
        /// Whether the limits of `rate_limit` hold. Older deployments had none, and their files may say so.
        enable_rate_limiting: bool = true, Kind::Switch;
        /// Whether results are kept in `engine.result_cache`. Older deployments kept none.
        enable_request_caching: bool = true, Kind::Switch;
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
