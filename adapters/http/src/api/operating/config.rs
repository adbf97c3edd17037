//! `/config`: what the server is set to, and opening its engines anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::operating::{Connection, LakeSettings, Operating, ServiceSettings, StorageSettings};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::api::Area;
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct ConfigApi {
    pub(crate) operating: Arc<Operating>,
}

/// The most important settings. No secret is among them.
#[derive(Debug, Object)]
struct ConfigSummary {
    environment: String,
    debug: bool,
    /// What is logged now.
    log_level: String,
    host: String,
    port: u16,
    /// The store of metadata.
    database: DatabaseSummary,
    ducklake: LakeConfiguration,
    storage: StorageSummary,
    /// Flags that are on; see `/config/features`.
    features_enabled: u64,
    /// Whether memory or performance is watched.
    monitoring_enabled: bool,
}

#[derive(Debug, Object)]
struct DatabaseSummary {
    /// `sqlite` or `postgresql`.
    kind: String,
    /// Null where it is a file, or where an address with a password names it.
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    /// Fewest and most connections, such as `2-10`.
    pool_size: String,
}

/// Settings of the lakes.
#[derive(Debug, Object)]
struct LakeConfiguration {
    /// `files` or `postgres`.
    catalog: String,
    metadata_schema: String,
    metadata_catalog: String,
    encrypted: bool,
    data_inlining_row_limit: u32,
    snapshot_version: Option<u64>,
    snapshot_time: Option<String>,
    read_only: bool,
    connection_retries: u32,
    /// Seconds.
    connection_retry_delay: f64,
    /// Seconds.
    connection_timeout: f64,
}

impl From<&LakeSettings> for LakeConfiguration {
    fn from(lakes: &LakeSettings) -> Self {
        Self {
            catalog: lakes.catalog.to_owned(),
            metadata_schema: lakes.metadata_schema.clone(),
            metadata_catalog: lakes.metadata_catalog.clone(),
            encrypted: lakes.encrypted,
            data_inlining_row_limit: lakes.data_inlining_row_limit,
            snapshot_version: lakes.snapshot_version,
            snapshot_time: lakes.snapshot_time.clone(),
            read_only: lakes.read_only,
            connection_retries: lakes.connection_retries,
            connection_retry_delay: lakes.connection_retry_delay.as_secs_f64(),
            connection_timeout: lakes.connection_timeout.as_secs_f64(),
        }
    }
}

/// Where files are; null where they are in the data directory.
#[derive(Debug, Object)]
struct StorageSummary {
    endpoint: Option<String>,
    secure: bool,
    default_bucket: Option<String>,
}

/// Where files are; null where they are in the data directory.
#[derive(Debug, Object)]
struct StorageConfig {
    endpoint: Option<String>,
    secure: bool,
    default_bucket: Option<String>,
    region: Option<String>,
}

impl From<&StorageSettings> for StorageSummary {
    fn from(storage: &StorageSettings) -> Self {
        let StorageSettings { endpoint, secure, default_bucket, .. } = storage.clone();
        Self { endpoint, secure, default_bucket }
    }
}

impl From<&StorageSettings> for StorageConfig {
    fn from(storage: &StorageSettings) -> Self {
        let StorageSettings { endpoint, secure, default_bucket, region } = storage.clone();
        Self { endpoint, secure, default_bucket, region }
    }
}

fn summary(settings: &ServiceSettings, log_level: &str) -> ConfigSummary {
    let database = &settings.database;
    ConfigSummary {
        environment: settings.environment.clone(),
        debug: settings.debug,
        log_level: log_level.to_owned(),
        host: settings.host.clone(),
        port: settings.port,
        database: DatabaseSummary {
            kind: database.kind.to_owned(),
            host: database.host.clone(),
            port: database.port,
            database: database.name.clone(),
            pool_size: format!("{}-{}", database.connections.0, database.connections.1),
        },
        ducklake: (&settings.lakes).into(),
        storage: (&settings.storage).into(),
        features_enabled: settings.features_enabled() as u64,
        monitoring_enabled: settings.monitoring,
    }
}

/// Whether the settings go together.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct ConfigValidity {
    valid: bool,
    #[oai(skip_serializing_if_is_none)]
    environment: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    config_summary: Option<ConfigSummary>,
    /// What is wrong, in one line.
    #[oai(skip_serializing_if_is_none)]
    error: Option<String>,
    validation_errors: Vec<String>,
}

/// Whether the lakes' engines answer.
#[derive(Debug, Object)]
struct ConnectionStatus {
    connected: bool,
    timestamp: DateTime<Utc>,
    environment: String,
    /// `passed`, or what is wrong.
    live_test: String,
    /// After opening them anew: `successful`.
    #[oai(skip_serializing_if_is_none)]
    reconnection: Option<String>,
    /// After opening them anew: how many there are.
    #[oai(skip_serializing_if_is_none)]
    engines: Option<u64>,
}

impl ConnectionStatus {
    fn of(connection: Connection, environment: &str) -> Self {
        let Connection { at, health } = connection;
        Self {
            connected: health.ok,
            timestamp: at,
            environment: environment.to_owned(),
            live_test: health.detail.unwrap_or_else(|| "passed".to_owned()),
            reconnection: None,
            engines: None,
        }
    }
}

/// The lakes: whether they can be reached, and their settings.
#[derive(Debug, Object)]
struct LakeState {
    connection_status: ConnectionStatus,
    configuration: LakeConfiguration,
    storage_config: StorageConfig,
    environment: String,
}

#[derive(Debug, Object)]
struct Reconnected {
    message: String,
    status: ConnectionStatus,
}

#[OpenApi(tag = "Area::Operating")]
#[expect(clippy::unused_async, reason = "every operation has to be async")]
impl ConfigApi {
    /// What the server is set to
    ///
    /// The most important settings, and no secret. Admin only.
    #[oai(path = "/config/summary", method = "get", operation_id = "get_config_summary")]
    async fn summary(&self, auth: Auth) -> ApiResult<Json<ConfigSummary>> {
        let (settings, level) = self.operating.settings(auth.caller())?;
        Ok(Json(summary(settings, level.as_str())))
    }

    /// Whether the settings go together
    ///
    /// A server doesn't start with settings that don't, so they do unless it is embedded in another program. Admin only.
    #[oai(path = "/config/validate", method = "get", operation_id = "validate_config")]
    async fn validate(&self, auth: Auth) -> ApiResult<Json<ConfigValidity>> {
        let (settings, level) = self.operating.settings(auth.caller())?;
        let problems = settings.problems.clone();
        let valid = problems.is_empty();
        Ok(Json(ConfigValidity {
            valid,
            environment: valid.then(|| settings.environment.clone()),
            config_summary: valid.then(|| summary(settings, level.as_str())),
            error: (!valid).then(|| problems.join("; ")),
            validation_errors: problems,
        }))
    }

    /// Flags of the service
    ///
    /// As they hold: some tell what another setting decides, or what can't be switched off. Admin only.
    #[oai(path = "/config/features", method = "get", operation_id = "get_features")]
    async fn features(&self, auth: Auth) -> ApiResult<Json<BTreeMap<String, bool>>> {
        let (settings, _) = self.operating.settings(auth.caller())?;
        Ok(Json(settings.features.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect()))
    }

    /// The lakes' engines: whether they answer, and what they are set to
    ///
    /// They are really asked. Admin only.
    #[oai(path = "/config/ducklake", method = "get", operation_id = "get_ducklake_config")]
    async fn ducklake(&self, auth: Auth) -> ApiResult<Json<LakeState>> {
        let (connection, settings) = self.operating.connection(auth.caller()).await?;
        Ok(Json(LakeState {
            connection_status: ConnectionStatus::of(connection, &settings.environment),
            configuration: (&settings.lakes).into(),
            storage_config: (&settings.storage).into(),
            environment: settings.environment.clone(),
        }))
    }

    /// Open the lakes' engines anew
    ///
    /// New work waits while running work has four seconds to end; what doesn't is cancelled. Then the engines are closed
    /// and opened again. 503 if work doesn't end even so, and all is as it was; or if no engine can be opened: then the
    /// next request that needs one tries again. Admin only.
    #[oai(path = "/config/ducklake/reconnect", method = "post", operation_id = "reconnect_ducklake")]
    async fn reconnect(&self, auth: Auth) -> ApiResult<Json<Reconnected>> {
        let (settings, _) = self.operating.settings(auth.caller())?;
        let (engines, connection) = self.operating.reconnect(auth.caller()).await?;
        let status = ConnectionStatus::of(connection, &settings.environment);
        let reconnection = status.connected.then(|| "successful".to_owned());
        let message = "DuckLake reconnected successfully".to_owned();
        Ok(Json(Reconnected { message, status: ConnectionStatus { reconnection, engines: Some(engines), ..status } }))
    }
}
