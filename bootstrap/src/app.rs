//! The composition root: opens adapters, makes use cases, serves them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use gadwall_application::audit::AuditRetention;
use gadwall_application::caller::Caller;
use gadwall_application::events::{AnnouncingMetadata, Bell};
use gadwall_application::instances::{Instances, Over};
use gadwall_application::lineage::Forwarding;
use gadwall_application::operating::Measured;
use gadwall_application::queries::QueryLogWriter;
use gadwall_application::system::System;
use gadwall_domain::access::Principal;
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::operating::{LogControl, PoolMonitor};
use gadwall_domain::ports::system::{HealthProbe, IdGenerator};
use gadwall_http::{App, Services};
use gadwall_webhooks::HttpSender;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::background::{StopBackground, TokioBackground, WAITING};
use crate::backups::BackupPorts;
use crate::breakers::{Breakers, breaker_config};
use crate::config::{CatalogKind, Config, total_memory};
use crate::elsewhere::ElsewhereTask;
use crate::events::{self, EventsTask};
use crate::files::FileStores;
use crate::folders::{DataLock, LocalFolders};
use crate::front::{self, Certificates, http_config};
use crate::housekeeping::{self, Keepers};
use crate::key_uses::KeyUsesTask;
use crate::lakes::{self, Lakes};
use crate::lease::{Lease, Work};
use crate::lineage::{self, ForwardTask, LineageTask};
use crate::linked_reads;
use crate::machine::LocalMachine;
use crate::maintenance;
use crate::measuring;
use crate::metadata::{self, OpenMetadata};
use crate::metrics::{self, MetricsTask};
use crate::ontology;
use crate::policies::{
    admin_policy, data_dir, default_quota, engine_limits, lake_config, query_settings, result_settings, tokens,
};
use crate::purges;
use crate::query_log::QueryLogTask;
use crate::queue_status;
use crate::refusals::RefusalsTask;
use crate::reload::Live;
use crate::rounds::Rounds;
use crate::services::{Guard, KeyPolicy, Operators, Outside, services};
use crate::settings;
use crate::statistics::LocalStatistics;
use crate::system::{SystemClock, SystemIds};
use crate::telemetry::ProcessLog;

/// A server that answers requests.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    generated_admin_key: Option<String>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    query_log: QueryLogTask,
    key_uses: KeyUsesTask,
    refusals: RefusalsTask,
    metrics: Option<MetricsTask>,
    certificates: Option<Certificates>,
    live: Box<Live>,
    events: EventsTask,
    _lineage: LineageTask,
    _forward: Option<ForwardTask>,
    _rounds: [Rounds; 5],
    _measuring: Vec<Rounds>,
    _elsewhere: Option<ElsewhereTask>,
    background: [StopBackground; 2],
    lease: Lease,
    _lock: DataLock,
}

impl Server {
    /// Starts everything and opens the listener last: whoever can connect is served.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        // First, as it is soon done and often wrong.
        let tls = front::tls(config).await?;
        let Opened {
            services,
            lakes,
            query_log,
            elsewhere,
            bell,
            forwarding,
            log,
            generated_admin_key,
            background,
            lease,
            lock,
        } = open(config).await?;
        let mut http = http_config(config)?;
        let exporter = metrics::exporter(config)?;
        http.metrics.exports = exporter.as_ref().map(gadwall_telemetry::MetricExporter::counts);
        let app = Arc::new(App::new(&services, &http));
        let listener = TcpListener::bind((config.server.host.as_str(), config.server.port))
            .await
            .with_context(|| format!("can't listen on {}:{}", config.server.host, config.server.port))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // A dropped sender stops the server as well as a sent message.
            let _ = stopped.await;
        };
        let server = front::server_config(config, tls.clone())?;
        let live = Box::new(Live::new(config, Arc::clone(&app), Arc::clone(&services.access), log));
        let metrics = exporter.map(|exporter| MetricsTask::start(exporter, Arc::clone(&app), config.metrics.interval));
        let serving = tokio::spawn(gadwall_http::serve(listener, app, server, shutdown));
        let certificates = tls.map(|tls| Certificates::watch(tls, config.tls.reload_interval));
        let query_log = QueryLogTask::start(query_log);
        let key_uses = KeyUsesTask::start(services.access, config.auth.last_used_interval);
        let keepers = Keepers {
            idempotency: services.idempotency,
            operations: services.operations,
            queries: services.queries,
            results: services.background,
            sharing: Arc::clone(&services.sharing),
            audit: Arc::clone(&services.audit),
            events: Arc::clone(&services.events),
            lakes,
        };
        let housekeeping = housekeeping::start(keepers, config.query.result_retention);
        let measuring = measuring::start(services.operating, services.measured, &config.features);
        let queue_status = queue_status::start(
            Arc::clone(&services.lineage),
            Arc::clone(&services.events),
            Arc::clone(&services.clock),
            config.events.metrics_interval,
        );
        let forward = forwarding.map(ForwardTask::start);
        let lineage = LineageTask::start(services.lineage);
        let linked_reads = linked_reads::start(services.sharing);
        let events = EventsTask::start(
            (services.events, services.webhooks),
            bell,
            services.process,
            config.events.metrics_interval,
        );
        let refusals = RefusalsTask::start(services.audit);
        let maintenance = maintenance::start(services.maintenance, config.maintenance.check_interval);
        let purges = purges::start(services.projects, config.projects.undelete_for);
        tracing::info!(%address, "gadwall serves");
        Ok(Self {
            address,
            generated_admin_key,
            stop,
            serving,
            query_log,
            key_uses,
            refusals,
            metrics,
            certificates,
            live,
            events,
            _lineage: lineage,
            _forward: forward,
            _rounds: [housekeeping, linked_reads, maintenance, purges, queue_status],
            _measuring: measuring,
            _elsewhere: elsewhere,
            background,
            lease,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin key that was made because none is configured. To be shown once, to a person.
    pub fn generated_admin_key(&self) -> Option<&str> {
        self.generated_admin_key.as_deref()
    }

    /// Has a configuration that was read again hold, as far as it may change while the server runs: who is an admin, whom the
    /// door lets in and how often, what is logged. Certificates are read again in any case. One that can't be used changes
    /// nothing.
    pub fn reload(&self, read: anyhow::Result<Config>) {
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        }
        if let Err(error) = read.and_then(|config| self.live.change(config)) {
            tracing::error!(error = format!("{error:#}"), "the configuration that was read again is not used");
        }
    }

    /// Stops accepting, lets running requests finish, and closes everything.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.events.close();
        let served = self.serving.await;
        self.query_log.finish().await;
        self.key_uses.finish().await;
        self.refusals.finish().await;
        if let Some(metrics) = self.metrics {
            metrics.finish().await;
        }
        drop(self.background);
        self.lease.end().await;
        served.context("the server's task failed")?.context("the server failed")
    }
}

/// The API's OpenAPI document.
pub async fn openapi(config: &Config) -> anyhow::Result<String> {
    let opened = open(config).await?;
    Ok(gadwall_http::openapi_document(&opened.services, &http_config(config)?))
}

/// Whose work ended with the last server here.
fn over(config: &Config, lock: &DataLock) -> Over {
    match (config.ducklake.catalog, lock.before()) {
        // Who has the data directory has the lakes.
        (CatalogKind::Files, _) => Over::All,
        (CatalogKind::Postgres, before) => before.map_or(Over::None, Over::One),
    }
}

fn audit_retention(config: &Config) -> anyhow::Result<AuditRetention> {
    Ok(AuditRetention {
        changes: TimeDelta::from_std(config.audit.retention)?,
        refusals: TimeDelta::from_std(config.audit.refusals_retention)?,
    })
}

fn operators(
    config: &Config,
    log: Arc<dyn LogControl>,
    folders: &LocalFolders,
    lakes: &Lakes,
    pools: Arc<dyn PoolMonitor>,
) -> Operators {
    Operators {
        log,
        machine: Arc::new(LocalMachine::new(folders.lakes(), total_memory())),
        engines: lakes.engines(),
        pools: vec![pools],
        settings: settings::of(config),
        measured: Arc::new(Measured::new(Arc::new(SystemClock), config.features.enable_performance_tracking)),
    }
}

/// Use cases over adapters that are open.
pub(crate) struct Opened {
    pub(crate) services: Services,
    query_log: QueryLogWriter,
    elsewhere: Option<ElsewhereTask>,
    bell: Bell,
    /// What hands lineage on to another server, if there is one.
    forwarding: Option<Forwarding>,
    lakes: Lakes,
    log: Arc<dyn LogControl>,
    generated_admin_key: Option<String>,
    background: [StopBackground; 2],
    lease: Lease,
    lock: DataLock,
}

impl Opened {
    /// Ends what runs in the background, and says that this process is done.
    pub(crate) async fn close(self) {
        drop(self.background);
        self.lease.end().await;
    }
}

pub(crate) async fn open(config: &Config) -> anyhow::Result<Opened> {
    let folders = LocalFolders::new(data_dir(config)?);
    let mut lock = folders.lock()?;
    folders
        .create()
        .context("folders can't be made in the data directory; set data_dir (DATA_DIR) to one that can be written")?;
    folders.require_writable()?;
    let OpenMetadata { store, archive, probe: metadata_probe, pools } = metadata::open(config, &folders).await?;
    let breakers = Breakers::new(config);
    let past_the_breaker = Arc::clone(&store);
    let bell = Bell::default();
    let store: Arc<dyn MetadataStore> = Arc::new(AnnouncingMetadata::new(breakers.metadata(store), bell.clone()));
    let FileStores { objects, results, bucket, probe } = FileStores::open(config, &folders).await?;
    let (objects, results) = breakers.files(objects, results);
    let lake_settings = lake_config(config, &folders, bucket)?;
    let (lakes, transfers) = lakes::open(config, lake_settings.clone()).await?;
    let backups = BackupPorts::of(config, &lakes, &lake_settings, archive)?;
    let (admins, generated_admin_key) = admin_policy(config)?;
    let statistics = Arc::new(LocalStatistics::new(folders.lakes()));
    let log: Arc<dyn LogControl> = Arc::new(ProcessLog::new(&config.logging));
    let operators = operators(config, Arc::clone(&log), &folders, &lakes, pools);
    let guard = Guard {
        probe: lakes.health(),
        statistics,
        breaker: breaker_config(config),
        outside: breakers.all(),
        limits: engine_limits(config),
        operators,
    };
    let probes: Vec<Arc<dyn HealthProbe>> = [metadata_probe, lakes.health()].into_iter().chain(probe).collect();
    let system = System::new(probes, Arc::new(folders), lakes.broken()).with_breakers(breakers.all());
    let keep = TimeDelta::from_std(config.metadata.idempotency_retention)?;
    let background = TokioBackground::new();
    // Beside the queries in the background, others always find a place.
    let long_queries = TokioBackground::of((config.query.max_concurrent / 2).max(1), WAITING);
    let stop_background = [background.stop_with(), long_queries.stop_with()];
    let over = over(config, &lock);
    let dead_after = TimeDelta::from_std(config.metadata.instance_timeout)?;
    let id = SystemIds.next_id();
    // Its breaker must not keep a server from saying that it is alive.
    let instances = Arc::new(Instances::new(past_the_breaker, Arc::new(SystemClock), id, dead_after));
    let forwarding = lineage::forwarding(&config.lineage.forward, &store)?;
    let outside = Outside {
        ontology: ontology::server(config, breakers.ontology(), Arc::clone(&background) as _)?,
        store,
        instances: Arc::clone(&instances),
        lakes: breakers.lakes(lakes.ports()),
        backups,
        maintenance: (lakes.maintenance(), maintenance::settings(&config.maintenance)?),
        guard,
        objects,
        transfers,
        background,
        results,
        long_queries,
        peers: metadata::peers(config)?,
        bell: bell.clone(),
        webhooks: Arc::new(HttpSender::new(config.events.webhook_private_addresses)?),
        forward: forwarding.as_ref().map(|_| config.lineage.forward.queue_size),
    };
    let watched = (events::settings(&config.events)?, TimeDelta::from_std(config.events.consumer_max_hold)?);
    let settings = (query_settings(config)?, result_settings(config)?, watched);
    let keys = KeyPolicy {
        admins,
        max_failures: config.auth.max_failures_per_minute,
        overlap: TimeDelta::from_std(config.auth.rotation_overlap)?,
        tokens: tokens(config)?,
    };
    let retention = audit_retention(config)?;
    let undelete_for = TimeDelta::from_std(config.projects.undelete_for)?;
    let projects = (undelete_for, default_quota(config)?);
    let (services, query_log, elsewhere) = services(outside, keys, system, (keep, retention, projects), settings);

    instances.begin(over).await?;
    lock.belongs_to(instances.id()).context("the data directory's lock can't be written")?;
    let (operations, in_background) = (Arc::clone(&services.operations), Arc::clone(&services.background));
    let work = Work { instances, operations, background: in_background };
    let lease = match over {
        Over::All => Lease::alone(work.clone()),
        Over::One(_) | Over::None => Lease::keep(work.clone(), config.metadata.instance_renewal),
    };
    let starter = Caller::new(Principal::Admin, RequestId::minted(services.ids.next_id()));
    services.projects.ensure_default(&starter).await?;
    work.mark_interrupted().await?;
    let background = stop_background;
    Ok(Opened {
        services,
        query_log,
        elsewhere,
        bell,
        forwarding,
        lakes,
        log,
        generated_admin_key,
        background,
        lease,
        lock,
    })
}
