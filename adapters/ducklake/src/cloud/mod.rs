//! Lakes with their catalogs in PostgreSQL: an engine for each that is in use, behind the same ports as the embedded
//! ones.
//!
//! An engine reaches its own project's files and catalog only. Those that were not used for a while are closed, and the
//! least recently used one makes room for another.

mod extent;
mod open;
mod ports;
mod scram;
mod server;
mod shares;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::ReadScope;
use thiserror::Error;

use crate::area::Area;
use crate::config::{LakeConfig, PostgresPlace};
use crate::durable::Fsync;
use crate::engine::{OpenError, prepare_folder};
use crate::store::EmbeddedLakes;
use crate::{area, links, runtime};

use open::OpenLakes;
pub(crate) use server::CatalogServer;
pub use server::ServerError;
pub(crate) use turn::Turn;

/// How often engines are looked at that may be closed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many engines there may be, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Engines that are open at once; at least one.
    pub max_open: usize,
    /// An engine that nobody used for so long is closed.
    pub idle: Duration,
}

/// Why the lakes can't be opened.
#[derive(Debug, Error)]
pub enum CloudError {
    /// The engine, or a folder of it.
    #[error(transparent)]
    Engine(#[from] OpenError),
    /// The catalogs' server.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// DuckLake on PostgreSQL: an engine for each project that is in use.
pub struct CloudLakes {
    server: Arc<CatalogServer>,
    area: Arc<dyn Area>,
    open: Arc<OpenLakes>,
}

impl fmt::Debug for CloudLakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloudLakes")
    }
}

impl CloudLakes {
    /// Connects to the catalogs' server. Engines are opened when they are needed.
    pub async fn open(config: &LakeConfig, postgres: &PostgresPlace, limits: EngineLimits) -> Result<Self, CloudError> {
        prepare_folder("lakes", &config.lakes_dir, false)?;
        prepare_folder("staging", &config.staging_dir, true)?;
        prepare_folder("spill", &config.spill_dir, true)?;
        for extension in [runtime::DUCKLAKE, runtime::POSTGRES] {
            runtime::extension_file(&config.extension_dir, extension).map_err(OpenError::from)?;
        }
        let server = Arc::new(CatalogServer::connect(postgres).await?);
        let area = area::open(config, Arc::new(Fsync));
        let open = OpenLakes::new(config.clone(), Arc::clone(&server), Arc::clone(&area), limits);
        tokio::spawn(OpenLakes::close_idle(Arc::downgrade(&open), LOOK_EVERY));
        Ok(Self { server, area, open })
    }

    /// The engine of a lake, opened if it isn't.
    pub(crate) async fn of(&self, lake: LakeId) -> Result<Arc<EmbeddedLakes>, LakeError> {
        self.open.get(lake).await
    }

    /// The engine of a lake which reads all that a scope's links show.
    pub(crate) async fn within(&self, scope: &ReadScope) -> Result<Arc<EmbeddedLakes>, LakeError> {
        let sources: Vec<_> = links::sources(scope).collect();
        if sources.is_empty() { self.of(scope.lake).await } else { self.open.reading(scope.lake, &sources).await }
    }

    /// The engines that are open.
    pub(crate) fn engines(&self) -> Vec<Arc<EmbeddedLakes>> {
        self.open.all()
    }

    /// Has another engine opened for a lake: its catalog was changed past this one.
    pub(crate) fn reopen(&self, lake: LakeId) {
        self.open.forget(lake);
    }

    /// Closes all engines once they are done; answers whose they were.
    pub(crate) fn forget_all(&self) -> Vec<LakeId> {
        self.open.forget_all()
    }

    /// Whether the catalogs' server answers.
    pub(crate) async fn ping(&self) -> Result<(), LakeError> {
        self.server.ping().await
    }

    /// Engines that are open.
    pub fn open_engines(&self) -> usize {
        self.open.count()
    }

    /// Removes files that no snapshot knows and that are older than `age` from lakes that are open; answers how many.
    /// Files of writes that other processes are at may be as old as the longest write.
    pub async fn sweep(&self, age: Duration) -> usize {
        /// Younger files are left alone, whatever is asked for.
        const FLOOR: Duration = Duration::from_hours(24);
        if let Err(error) = self.server.drop_stale_shares().await {
            tracing::warn!(error = %error, "shares that are out of date were not removed");
        }
        let mut removed = 0;
        for lakes in self.open.all() {
            removed += lakes.sweep(age.max(FLOOR)).await;
        }
        removed
    }
}
