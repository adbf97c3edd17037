//! The service itself: is it well, and is its storage there?

use std::fmt;
use std::sync::Arc;

use futures_util::future::{join_all, join3};
use gadwall_domain::ports::system::{BrokenLakes, Folder, Health, HealthProbe, LakeProbe, StorageFolders};

use crate::breaker::{Breaker, BreakerState};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Lakes that are named when they can't be opened.
const MAX_NAMED: usize = 20;

/// The use cases of the service itself.
pub struct System {
    probes: Vec<Arc<dyn HealthProbe>>,
    folders: Arc<dyn StorageFolders>,
    lakes: Arc<dyn LakeProbe>,
    breakers: Vec<Arc<Breaker>>,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

/// How the service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHealth {
    /// Each part.
    pub parts: Vec<Health>,
    /// Each storage folder.
    pub folders: Vec<Folder>,
    /// Lakes that can't be opened. The service is well without them, but their projects aren't.
    pub broken: BrokenLakes,
    /// The circuit breakers before other machines. Each part is looked at past them.
    pub breakers: Vec<(&'static str, BreakerState)>,
}

impl ServiceHealth {
    /// Whether the part of that name works; a part that isn't there doesn't.
    pub fn part(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name == name && part.ok)
    }

    /// Whether all folders can be written.
    pub fn storage_available(&self) -> bool {
        self.folders.iter().all(|folder| folder.usable)
    }

    /// Whether some projects can't be served, though the service is well.
    pub fn degraded(&self) -> bool {
        self.broken.count > 0
    }

    /// Whether all parts are well.
    pub fn healthy(&self) -> bool {
        self.storage_available() && self.parts.iter().all(|part| part.ok)
    }
}

impl System {
    /// Watches these parts, folders and lakes.
    pub fn new(probes: Vec<Arc<dyn HealthProbe>>, folders: Arc<dyn StorageFolders>, lakes: Arc<dyn LakeProbe>) -> Self {
        Self { probes, folders, lakes, breakers: Vec::new() }
    }

    /// Tells of these circuit breakers, too.
    #[must_use]
    pub fn with_breakers(self, breakers: Vec<Arc<Breaker>>) -> Self {
        Self { breakers, ..self }
    }

    /// Looks at every part, at all of them at once: an answer takes as long as the slowest. Open to everyone.
    pub async fn health(&self) -> ServiceHealth {
        let parts = join_all(self.probes.iter().map(|probe| probe.check()));
        let (parts, folders, broken) = join3(parts, self.folders.check(), self.lakes.broken(MAX_NAMED)).await;
        let breakers = self.breakers.iter().map(|breaker| (breaker.name(), breaker.status().state)).collect();
        ServiceHealth { parts, folders, broken, breakers }
    }

    /// Makes storage folders that are missing. Answers all folders and the names of those it made.
    pub async fn init_backend(&self, caller: &Caller) -> Result<(Vec<Folder>, Vec<&'static str>), UseCaseError> {
        caller.require_admin()?;
        let created = self.folders.create_missing().await;
        Ok((self.folders.check().await, created))
    }

    /// Does nothing, on purpose: data is never removed by a single call. Only an admin may ask.
    pub fn remove_backend(&self, caller: &Caller) -> Result<(), UseCaseError> {
        caller.require_admin()
    }
}
