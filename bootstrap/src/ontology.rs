//! The ontology: from its settings to the server that is asked for schemas.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use gadwall_application::breaker::{Breaker, BreakerConfig};
use gadwall_application::schemas::{SchemaServer, SchemaTimes};
use gadwall_domain::ports::background::Background;
use gadwall_ontology::{HttpRegistry, OntologyConfig};

use crate::breakers::breaker_config;
use crate::config::Config;
use crate::system::SystemClock;

/// The server of schemas; none where built-in ones stand in for it.
pub(crate) fn server(config: &Config, background: Arc<dyn Background>) -> anyhow::Result<Option<SchemaServer>> {
    let ontology = &config.ontology;
    if ontology.use_mock {
        return Ok(None);
    }
    let settings = OntologyConfig { url: ontology.url.clone(), timeout: ontology.timeout };
    let registry = HttpRegistry::new(&settings).context("ontology.url (ONTO_SERVER_URL)")?;
    // One good answer tells that it is back.
    let breaker = BreakerConfig { success_threshold: 1, ..breaker_config(config) };
    let times = SchemaTimes {
        fresh_for: TimeDelta::from_std(ontology.fresh_for)?,
        stale_for: TimeDelta::from_std(ontology.stale_for)?,
    };
    Ok(Some(SchemaServer {
        registry: Arc::new(registry),
        breaker: Breaker::new("ontology", breaker, Arc::new(SystemClock)),
        background,
        times,
    }))
}
