//! The configuration as operators are shown it. What is secret isn't in here: it is picked field by field.

use std::collections::BTreeMap;

use gadwall_application::operating::{DatabaseSettings, LakeSettings, ServiceSettings, StorageSettings};

use crate::config::{CatalogKind, Config};
use crate::metadata;

/// Settings that may be shown.
pub(crate) fn of(config: &Config) -> ServiceSettings {
    let features = &config.features;
    let problems = config.validate().err().map(|error| error.problems().iter().map(ToString::to_string).collect());
    ServiceSettings {
        environment: config.environment.as_str().to_owned(),
        debug: config.debug,
        host: config.server.host.clone(),
        port: config.server.port,
        database: database(config),
        lakes: lakes(config),
        storage: storage(config),
        features: flags(config),
        monitoring: features.enable_memory_monitoring || features.enable_performance_tracking,
        problems: problems.unwrap_or_default(),
    }
}

fn database(config: &Config) -> DatabaseSettings {
    let (postgres, metadata) = (&config.postgres, &config.metadata);
    if !metadata::is_remote(config) {
        return DatabaseSettings { kind: "sqlite", connections: (1, metadata.max_readers + 1), ..Default::default() };
    }
    let connections = (0, metadata.max_connections);
    if metadata.url.is_some() {
        // The address may hold a password anywhere, so no part of it is shown.
        return DatabaseSettings { kind: "postgresql", connections, ..Default::default() };
    }
    DatabaseSettings {
        kind: "postgresql",
        host: Some(postgres.host.clone()),
        port: Some(postgres.port),
        name: Some(postgres.database.clone()),
        connections,
    }
}

fn lakes(config: &Config) -> LakeSettings {
    let lakes = &config.ducklake;
    LakeSettings {
        catalog: match lakes.catalog {
            CatalogKind::Files => "files",
            CatalogKind::Postgres => "postgres",
        },
        metadata_schema: lakes.metadata_schema.clone(),
        metadata_catalog: lakes.metadata_catalog.clone(),
        encrypted: lakes.encrypted,
        data_inlining_row_limit: lakes.data_inlining_row_limit,
        snapshot_version: lakes.snapshot_version,
        snapshot_time: lakes.snapshot_time.clone(),
        read_only: lakes.read_only,
        connection_retries: lakes.connection_retries,
        connection_retry_delay: lakes.connection_retry_delay,
        connection_timeout: lakes.connection_timeout,
    }
}

fn storage(config: &Config) -> StorageSettings {
    let storage = &config.storage;
    if !storage.enabled {
        return StorageSettings::default();
    }
    StorageSettings {
        // An address may name a user and a password before the host.
        endpoint: Some(without_user(&storage.endpoint)),
        secure: storage.secure || storage.endpoint.starts_with("https://"),
        default_bucket: Some(storage.default_bucket.clone()),
        region: Some(storage.region.clone()),
    }
}

fn without_user(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

/// The flags as they hold: some say what another setting decides, or what can't be switched off.
fn flags(config: &Config) -> BTreeMap<&'static str, bool> {
    let features = &config.features;
    BTreeMap::from([
        ("enable_memory_monitoring", features.enable_memory_monitoring),
        ("enable_performance_tracking", features.enable_performance_tracking),
        ("enable_prometheus_metrics", features.enable_prometheus_metrics),
        ("enable_s3_encryption", features.enable_s3_encryption),
        ("enable_async_processing", true),
        ("enable_batch_optimization", true),
        ("enable_cors", features.enable_cors && !config.cors.allow_origins.is_empty()),
        ("enable_health_checks", true),
        ("enable_error_tracking", true),
        ("enable_data_compression", features.enable_data_compression),
        ("enable_audit_logging", true),
        ("enable_input_validation", true),
        ("enable_rate_limiting", features.enable_rate_limiting),
        ("enable_request_caching", features.enable_request_caching && config.engine.result_cache > 0),
        ("enable_api_versioning", false),
        ("enable_distributed_tracing", false),
        ("enable_backup_automation", false),
        ("enable_authentication", config.auth.enabled),
        ("enable_authorization", config.auth.enabled),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn nothing_secret_is_shown() {
        let mut config = Config::default();
        let secret = || Some(Secret::new("swordfish"));
        config.auth.admin_keys = secret().into_iter().collect();
        config.ducklake.secret_key = secret();
        config.postgres.password = secret();
        config.storage.access_key = secret();
        config.storage.secret_key = secret();
        config.storage.enabled = true;
        config.storage.endpoint = "https://name:swordfish@files.example.org:9000".to_owned();
        config.metadata.url = Some(Secret::new("postgres://u:swordfish@h/d"));
        let shown = of(&config);
        assert!(!format!("{shown:?}").contains("swordfish"), "{shown:?}");
        assert_eq!(shown.storage.endpoint.as_deref(), Some("https://files.example.org:9000"));
        assert_eq!((shown.database.kind, shown.database.host), ("postgresql", None));
    }

    #[test]
    fn every_flag_of_the_configuration_is_told() {
        let flags = flags(&Config::default());
        let known = serde_json::to_value(&Config::default().features).unwrap();
        let known: Vec<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(flags.len(), known.len());
        assert!(known.iter().all(|name| flags.contains_key(name)), "{known:?}");
        assert!(flags["enable_authentication"] && !flags["enable_cors"], "as it holds, not as it was said");
    }
}
