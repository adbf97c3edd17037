//! The ontology: from its settings to the server that is asked for schemas; and a small server of our own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use gadwall_application::breaker::Breaker;
use gadwall_application::schemas::{SchemaServer, SchemaTimes};
use gadwall_domain::ports::background::Background;
use gadwall_http::App;
use gadwall_ontology::{FolderRegistry, HttpRegistry, OntologyConfig};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::front;

/// The server of schemas; none where built-in ones stand in for it.
pub(crate) fn server(
    config: &Config,
    breaker: Option<Arc<Breaker>>,
    background: Arc<dyn Background>,
) -> anyhow::Result<Option<SchemaServer>> {
    let ontology = &config.ontology;
    let Some(breaker) = breaker else { return Ok(None) };
    let settings = OntologyConfig { url: ontology.url.clone(), timeout: ontology.timeout };
    let registry = HttpRegistry::new(&settings).context("ontology.url (ONTO_SERVER_URL)")?;
    let times = SchemaTimes {
        fresh_for: TimeDelta::from_std(ontology.fresh_for)?,
        stale_for: TimeDelta::from_std(ontology.stale_for)?,
    };
    Ok(Some(SchemaServer { registry: Arc::new(registry), breaker, background, times }))
}

/// Serves the schemas in a folder until the process is told to stop.
pub async fn serve(config: &Config, folder: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    anyhow::ensure!(folder.is_dir(), "{} is not a folder", folder.display());
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let app = App::of_schemas(Arc::new(FolderRegistry::new(folder)));
    tracing::info!(address = %listener.local_addr()?, "the ontology server serves");
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(gadwall_http::serve(listener, Arc::new(app), front::server_config(config, None)?, stop).await?)
}
