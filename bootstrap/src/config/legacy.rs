//! Environment names of the older services, and what became of them.
//!
//! The one table. Where several names set one key, the first that is set counts.

use super::key::{Key, find};
use super::raw::Raw;

/// A name, and what it does.
#[derive(Debug)]
pub(super) struct Legacy {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
}

/// What setting a name does.
#[derive(Debug)]
pub(super) enum Effect {
    /// Sets the key at this path, from its text read by the function.
    Sets(&'static str, fn(String) -> Raw),
    /// Sets the key unless anything else does, in whatever layer. These names belong to other programs too, and must
    /// not beat what was written for this one.
    FillsIn(&'static str, fn(String) -> Raw),
    /// Nothing, for this reason, which is said at start.
    None(&'static str),
    /// Nothing, silently: it never was the server's.
    Ignored,
}

impl Legacy {
    /// The key it sets.
    pub(super) fn key(&self) -> Option<&'static Key> {
        match self.effect {
            Effect::Sets(path, _) | Effect::FillsIn(path, _) => find(path),
            Effect::None(_) | Effect::Ignored => None,
        }
    }

    /// The entry of a name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        LEGACY.iter().find(|legacy| legacy.name == name)
    }
}

/// The one member of a list: commas are part of it.
fn only(text: String) -> Raw {
    Raw::List(vec![Raw::Word(text)])
}

/// A time, which is in milliseconds unless it says otherwise.
fn milliseconds(text: String) -> Raw {
    let bare = text.trim().bytes().all(|byte| byte.is_ascii_digit());
    Raw::Word(if bare { format!("{}ms", text.trim()) } else { text })
}

const fn sets(name: &'static str, path: &'static str) -> Legacy {
    Legacy { name, effect: Effect::Sets(path, Raw::Word) }
}

const fn fills_in(name: &'static str, path: &'static str) -> Legacy {
    Legacy { name, effect: Effect::FillsIn(path, Raw::Word) }
}

const fn none(name: &'static str, why: &'static str) -> Legacy {
    Legacy { name, effect: Effect::None(why) }
}

const UNDER_DATA_DIR: &str = "everything lies under data_dir (DATA_DIR), a lake for each project";

/// Every name.
pub(super) static LEGACY: &[Legacy] = &[
    sets("ENVIRONMENT", "environment"),
    sets("DEBUG", "debug"),
    sets("DATA_DIR", "data_dir"),
    sets("HOST", "server.host"),
    sets("PORT", "server.port"),
    Legacy { name: "ADMIN_API_KEY", effect: Effect::Sets("auth.admin_keys", only) },
    sets("LOG_LEVEL", "logging.level"),
    fills_in("OTEL_EXPORTER_OTLP_ENDPOINT", "traces.endpoint"),
    fills_in("OTEL_EXPORTER_OTLP_HEADERS", "traces.headers"),
    fills_in("OTEL_EXPORTER_OTLP_PROTOCOL", "traces.protocol"),
    fills_in("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "metrics.endpoint"),
    fills_in("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "metrics.headers"),
    fills_in("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "metrics.protocol"),
    Legacy { name: "OTEL_METRIC_EXPORT_INTERVAL", effect: Effect::FillsIn("metrics.interval", milliseconds) },
    Legacy { name: "OTEL_METRIC_EXPORT_TIMEOUT", effect: Effect::FillsIn("metrics.timeout", milliseconds) },
    sets("DUCKDB_THREADS", "engine.threads"),
    sets("DUCKDB_WORKER_THREADS", "engine.threads"),
    sets("DUCKDB_MEMORY_LIMIT", "engine.memory_limit"),
    sets("DUCKDB_MAX_MEMORY_PERCENTAGE", "engine.max_memory_percentage"),
    sets("DB_DUCKLAKE_DATA_INLINING_ROW_LIMIT", "ducklake.data_inlining_row_limit"),
    sets("DB_DUCKLAKE_ENCRYPTED", "ducklake.encrypted"),
    sets("DB_DUCKLAKE_METADATA_SCHEMA", "ducklake.metadata_schema"),
    sets("DB_DUCKLAKE_METADATA_CATALOG", "ducklake.metadata_catalog"),
    sets("DB_DUCKLAKE_CONNECTION_RETRIES", "ducklake.connection_retries"),
    sets("DB_DUCKLAKE_CONNECTION_TIMEOUT", "ducklake.connection_timeout"),
    sets("DB_DUCKLAKE_CONNECTION_RETRY_DELAY", "ducklake.connection_retry_delay"),
    sets("DB_DUCKLAKE_READ_ONLY", "ducklake.read_only"),
    sets("DB_DUCKLAKE_SNAPSHOT_VERSION", "ducklake.snapshot_version"),
    sets("DB_DUCKLAKE_SNAPSHOT_TIME", "ducklake.snapshot_time"),
    sets("GADWALL_SECRET_KEY", "ducklake.secret_key"),
    sets("METADATA_DATABASE_URL", "metadata.url"),
    sets("DB_POSTGRES_HOST", "postgres.host"),
    sets("DB_POSTGRES_PORT", "postgres.port"),
    sets("DB_POSTGRES_DB", "postgres.database"),
    sets("DB_POSTGRES_USER", "postgres.user"),
    sets("DB_POSTGRES_PASSWORD", "postgres.password"),
    sets("DUCKDB_ENABLE_S3", "storage.enabled"),
    sets("STORAGE_MINIO_ENDPOINT", "storage.endpoint"),
    sets("STORAGE_MINIO_ACCESS_KEY", "storage.access_key"),
    sets("STORAGE_MINIO_SECRET_KEY", "storage.secret_key"),
    sets("STORAGE_MINIO_SECURE", "storage.secure"),
    sets("STORAGE_DEFAULT_BUCKET", "storage.default_bucket"),
    sets("STORAGE_MINIO_REGION", "storage.region"),
    fills_in("AWS_ACCESS_KEY_ID", "storage.access_key"),
    fills_in("AWS_SECRET_ACCESS_KEY", "storage.secret_key"),
    fills_in("AWS_DEFAULT_REGION", "storage.region"),
    sets("ONTO_SERVER_URL", "ontology.url"),
    sets("ONTO_SERVER_TIMEOUT", "ontology.timeout"),
    sets("USE_MOCK_ONTO_SERVER", "ontology.use_mock"),
    sets("FEATURE_ENABLE_MEMORY_MONITORING", "features.enable_memory_monitoring"),
    sets("FEATURE_ENABLE_PERFORMANCE_TRACKING", "features.enable_performance_tracking"),
    sets("FEATURE_ENABLE_PROMETHEUS_METRICS", "features.enable_prometheus_metrics"),
    sets("FEATURE_ENABLE_S3_ENCRYPTION", "features.enable_s3_encryption"),
    sets("FEATURE_ENABLE_ASYNC_PROCESSING", "features.enable_async_processing"),
    sets("FEATURE_ENABLE_BATCH_OPTIMIZATION", "features.enable_batch_optimization"),
    sets("FEATURE_ENABLE_CORS", "features.enable_cors"),
    sets("FEATURE_ENABLE_HEALTH_CHECKS", "features.enable_health_checks"),
    sets("FEATURE_ENABLE_ERROR_TRACKING", "features.enable_error_tracking"),
    sets("FEATURE_ENABLE_DATA_COMPRESSION", "features.enable_data_compression"),
    sets("FEATURE_ENABLE_AUDIT_LOGGING", "features.enable_audit_logging"),
    sets("FEATURE_ENABLE_INPUT_VALIDATION", "features.enable_input_validation"),
    sets("FEATURE_ENABLE_RATE_LIMITING", "features.enable_rate_limiting"),
    sets("FEATURE_ENABLE_REQUEST_CACHING", "features.enable_request_caching"),
    sets("FEATURE_ENABLE_API_VERSIONING", "features.enable_api_versioning"),
    sets("FEATURE_ENABLE_DISTRIBUTED_TRACING", "features.enable_distributed_tracing"),
    sets("FEATURE_ENABLE_BACKUP_AUTOMATION", "features.enable_backup_automation"),
    sets("FEATURE_ENABLE_AUTHENTICATION", "features.enable_authentication"),
    sets("FEATURE_ENABLE_AUTHORIZATION", "features.enable_authorization"),
    none("DUCKDB_PATH", UNDER_DATA_DIR),
    none("DUCKDB_DATABASE_PATH", UNDER_DATA_DIR),
    none("DUCKDB_DIR", UNDER_DATA_DIR),
    none("FILES_DIR", UNDER_DATA_DIR),
    none("SNAPSHOTS_DIR", UNDER_DATA_DIR),
    none("METADATA_DB_PATH", UNDER_DATA_DIR),
    none("DUCKDB_TEMP_DIRECTORY", UNDER_DATA_DIR),
    none("OPERATION_TIMEOUT", "engine.query_timeout and server.body_idle_timeout limit what takes long"),
    none("CONNECTION_TIMEOUT", "metadata.acquire_timeout and engine.queue_timeout limit the waiting"),
    Legacy { name: "KOYEB_TOKEN", effect: Effect::Ignored },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_sets_a_key_that_exists() {
        let names: BTreeSet<_> = LEGACY.iter().map(|legacy| legacy.name).collect();
        assert_eq!(names.len(), LEGACY.len());
        for legacy in LEGACY {
            if let Effect::Sets(path, _) | Effect::FillsIn(path, _) = legacy.effect {
                assert!(legacy.key().is_some(), "{} sets {path}, which is no key", legacy.name);
            }
        }
    }

    /// The names that deployments of the four older services are known to set, apart from the table above.
    const KNOWN: &str = "ONTO_SERVER_URL ONTO_SERVER_TIMEOUT USE_MOCK_ONTO_SERVER DUCKDB_PATH KOYEB_TOKEN \
        ADMIN_API_KEY DATA_DIR DEBUG HOST PORT DUCKDB_THREADS DUCKDB_MEMORY_LIMIT ENVIRONMENT LOG_LEVEL \
        DB_POSTGRES_HOST DB_POSTGRES_PORT DB_POSTGRES_DB DB_POSTGRES_USER DB_POSTGRES_PASSWORD \
        DB_DUCKLAKE_ENCRYPTED DB_DUCKLAKE_DATA_INLINING_ROW_LIMIT DB_DUCKLAKE_CONNECTION_RETRIES \
        DB_DUCKLAKE_CONNECTION_TIMEOUT STORAGE_MINIO_ENDPOINT STORAGE_MINIO_ACCESS_KEY STORAGE_MINIO_SECRET_KEY \
        STORAGE_MINIO_SECURE STORAGE_DEFAULT_BUCKET FEATURE_ENABLE_MEMORY_MONITORING \
        FEATURE_ENABLE_PERFORMANCE_TRACKING FEATURE_ENABLE_PROMETHEUS_METRICS FEATURE_ENABLE_S3_ENCRYPTION \
        DUCKDB_DATABASE_PATH DUCKDB_WORKER_THREADS DUCKDB_MAX_MEMORY_PERCENTAGE DUCKDB_ENABLE_S3";

    #[test]
    fn every_name_of_an_older_deployment_is_known() {
        for name in KNOWN.split_whitespace() {
            assert!(Legacy::find(name).is_some(), "{name}");
        }
    }
}
