//! The lakes: catalogs in files behind one engine, or in PostgreSQL with an engine for each open project.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gadwall_application::guarded::LakePorts;
use gadwall_domain::ports::backup::LakeArchive;
use gadwall_domain::ports::doctor::LakeDoctor;
use gadwall_domain::ports::lake::{Lake, LakeMaintenance, QueryEngine, ScriptEngine, ViewEngine};
use gadwall_domain::ports::operating::EngineControl;
use gadwall_domain::ports::system::{HealthProbe, LakeProbe};
use gadwall_domain::ports::transfer::BulkTransfer;
use gadwall_ducklake::{
    CloudError, CloudLakes, EmbeddedLakes, EngineLimits, EngineTransfers, LakeArchives, LakeConfig, PostgresPlace,
    ServerError,
};

use crate::config::{CatalogKind, Config};

/// Whichever lakes the configuration names.
#[derive(Debug, Clone)]
pub(crate) enum Lakes {
    Embedded(Arc<EmbeddedLakes>),
    Cloud(Arc<CloudLakes>),
}

/// One object as each of the ports that it implements.
macro_rules! as_ports {
    ($($name:ident: $port:ty),+ $(,)?) => {
        $(
            pub(crate) fn $name(&self) -> Arc<$port> {
                match self {
                    Self::Embedded(lakes) => Arc::clone(lakes) as _,
                    Self::Cloud(lakes) => Arc::clone(lakes) as _,
                }
            }
        )+
    };
}

impl Lakes {
    as_ports! {
        health: dyn HealthProbe,
        broken: dyn LakeProbe,
        engines: dyn EngineControl,
        maintenance: dyn LakeMaintenance,
        doctor: dyn LakeDoctor,
    }

    /// What copies them for backups.
    pub(crate) fn archive(&self, settings: &LakeConfig) -> Arc<dyn LakeArchive> {
        match self {
            Self::Embedded(lakes) => Arc::new(LakeArchives::new(Arc::clone(lakes), settings)),
            Self::Cloud(lakes) => Arc::new(LakeArchives::in_cloud(Arc::clone(lakes), settings)),
        }
    }

    pub(crate) fn ports(&self) -> LakePorts {
        match self {
            Self::Embedded(lakes) => ports(lakes),
            Self::Cloud(lakes) => ports(lakes),
        }
    }

    /// Removes files of interrupted writes that are older than `age`; answers how many.
    pub(crate) async fn sweep(&self, age: Duration) -> usize {
        match self {
            Self::Embedded(lakes) => lakes.sweep(age).await,
            Self::Cloud(lakes) => lakes.sweep(age).await,
        }
    }
}

fn ports<T: Lake + QueryEngine + ScriptEngine + ViewEngine + 'static>(lakes: &Arc<T>) -> LakePorts {
    LakePorts {
        lakes: Arc::clone(lakes) as _,
        queries: Arc::clone(lakes) as _,
        scripts: Arc::clone(lakes) as _,
        views: Arc::clone(lakes) as _,
    }
}

/// Opens the lakes, and what moves files in and out of them.
pub(crate) async fn open(config: &Config, settings: LakeConfig) -> anyhow::Result<(Lakes, Arc<dyn BulkTransfer>)> {
    match config.ducklake.catalog {
        CatalogKind::Files => {
            let opened = tokio::task::spawn_blocking(move || {
                let lakes = EmbeddedLakes::open(&settings)?;
                let transfers = EngineTransfers::new(&lakes, &settings);
                anyhow::Ok((Lakes::Embedded(Arc::new(lakes)), Arc::new(transfers) as _))
            });
            opened.await?
        }
        CatalogKind::Postgres => {
            let lakes = Arc::new(open_cloud(config, &settings).await?);
            let transfers = EngineTransfers::in_cloud(Arc::clone(&lakes), &settings);
            Ok((Lakes::Cloud(lakes), Arc::new(transfers)))
        }
    }
}

/// The database may come up later than the server.
async fn open_cloud(config: &Config, settings: &LakeConfig) -> anyhow::Result<CloudLakes> {
    let (place, limits) = (postgres_place(config)?, engine_limits(config));
    let mut left = config.ducklake.connection_retries;
    loop {
        left = left.saturating_sub(1);
        match CloudLakes::open(settings, &place, limits).await {
            Err(CloudError::Server(error @ ServerError::Unusable(_))) if left > 0 => {
                tracing::warn!(error = %error, tries_left = left, "the catalogs' database is not there yet");
                tokio::time::sleep(config.ducklake.connection_retry_delay).await;
            }
            opened => return Ok(opened?),
        }
    }
}

pub(crate) fn postgres_place(config: &Config) -> anyhow::Result<PostgresPlace> {
    let (postgres, ducklake) = (&config.postgres, &config.ducklake);
    let secret_key = ducklake.secret_key.as_ref().context(
        "ducklake.secret_key (GADWALL_SECRET_KEY) is not set: the projects' passwords in PostgreSQL are derived from it",
    )?;
    Ok(PostgresPlace {
        host: postgres.host.clone(),
        port: postgres.port,
        database: postgres.database.clone(),
        user: postgres.user.clone(),
        password: postgres.password.as_ref().map(|password| password.expose().to_owned()),
        ssl_mode: postgres.ssl_mode.as_str().to_owned(),
        secret_key: secret_key.expose().to_owned(),
        connect_timeout: ducklake.connection_timeout,
        statement_timeout: postgres.statement_timeout,
        max_connections: postgres.max_connections,
        max_connections_per_lake: ducklake.max_connections,
        turn_timeout: ducklake.connection_timeout,
    })
}

fn engine_limits(config: &Config) -> EngineLimits {
    EngineLimits { max_open: config.ducklake.max_open, idle: config.ducklake.idle_timeout }
}
