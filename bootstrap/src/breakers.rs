//! The circuit breakers before other machines. What is embedded has none: there is nobody to wait for.

use std::sync::Arc;

use gadwall_application::breaker::{Breaker, BreakerConfig};
use gadwall_application::guarded::{
    CATALOG, GuardedMetadata, GuardedObjects, GuardedResults, LakePorts, METADATA, OBJECT_STORE,
};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;

use crate::config::{CatalogKind, Config};
use crate::metadata;
use crate::system::SystemClock;

/// The name of the ontology server's.
const ONTOLOGY: &str = "ontology";

/// Those that the configuration calls for.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    objects: Option<Arc<Breaker>>,
    metadata: Option<Arc<Breaker>>,
    catalog: Option<Arc<Breaker>>,
    ontology: Option<Arc<Breaker>>,
}

impl Breakers {
    /// All closed.
    pub(crate) fn new(config: &Config) -> Self {
        let timeout = config.breaker.outside_timeout;
        // One success tells that a machine is back; those who ask next need not come one by one.
        let settings = BreakerConfig { timeout, max_timeout: timeout, success_threshold: 1, ..breaker_config(config) };
        // Without it there are schemas all the same: nothing is lost by leaving it alone for longer.
        let patient = BreakerConfig { success_threshold: 1, ..breaker_config(config) };
        let one = |wanted: bool, name| wanted.then(|| Breaker::new(name, settings, Arc::new(SystemClock)));
        Self {
            objects: one(config.storage.enabled, OBJECT_STORE),
            metadata: one(metadata::is_remote(config), METADATA),
            catalog: one(config.ducklake.catalog == CatalogKind::Postgres, CATALOG),
            ontology: (!config.ontology.use_mock).then(|| Breaker::new(ONTOLOGY, patient, Arc::new(SystemClock))),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Breaker>> {
        [&self.objects, &self.metadata, &self.catalog, &self.ontology].into_iter().flatten().cloned().collect()
    }

    /// The one before the ontology server, if there is one.
    pub(crate) fn ontology(&self) -> Option<Arc<Breaker>> {
        self.ontology.clone()
    }

    pub(crate) fn metadata(&self, store: Arc<dyn MetadataStore>) -> Arc<dyn MetadataStore> {
        match &self.metadata {
            Some(breaker) => Arc::new(GuardedMetadata::new(store, Arc::clone(breaker))),
            None => store,
        }
    }

    pub(crate) fn files(
        &self,
        objects: Arc<dyn ObjectStorage>,
        results: Arc<dyn ResultStore>,
    ) -> (Arc<dyn ObjectStorage>, Arc<dyn ResultStore>) {
        match &self.objects {
            Some(breaker) => (
                Arc::new(GuardedObjects::new(objects, Arc::clone(breaker))),
                Arc::new(GuardedResults::new(results, Arc::clone(breaker))),
            ),
            None => (objects, results),
        }
    }

    pub(crate) fn lakes(&self, ports: LakePorts) -> LakePorts {
        match &self.catalog {
            Some(breaker) => ports.guarded(Arc::clone(breaker)),
            None => ports,
        }
    }
}

/// When breakers open and close.
pub(crate) fn breaker_config(config: &Config) -> BreakerConfig {
    let breaker = &config.breaker;
    BreakerConfig {
        failure_threshold: breaker.failure_threshold,
        success_threshold: breaker.success_threshold,
        timeout: breaker.timeout,
        max_timeout: breaker.max_timeout,
        window: breaker.window,
        window_age: breaker.window_age,
    }
}
