//! The composition root: opens adapters, makes use cases, serves them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use gadwall_application::access::{Access, AdminPolicy, digest};
use gadwall_application::analytics::{self, Analytics, EngineLimits};
use gadwall_application::audit::{Audit, AuditRetention};
use gadwall_application::breaker::{Breaker, BreakerConfig};
use gadwall_application::buckets::Buckets;
use gadwall_application::caller::Caller;
use gadwall_application::changes::{Changes, Consumers};
use gadwall_application::contracts::{self, Contracts, Recorder};
use gadwall_application::data::Data;
use gadwall_application::datasets::Datasets;
use gadwall_application::elsewhere::Elsewhere;
use gadwall_application::events::{AnnouncingMetadata, Bell, EventSettings, Events};
use gadwall_application::guarded::{GuardedEngine, GuardedScripts, LakePorts};
use gadwall_application::history::History;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::instances::{Instances, Over};
use gadwall_application::keys::Keys;
use gadwall_application::lineage::Lineage;
use gadwall_application::operating::{self, Measured, Operating, ServiceSettings};
use gadwall_application::operations::Operations;
use gadwall_application::projection::Projection;
use gadwall_application::projects::{Files, Projects};
use gadwall_application::queries::{
    BackgroundQueries, Queries, QueryLogWriter, QuerySettings, ResultSettings, RunningQueries,
};
use gadwall_application::quotas::Quotas;
use gadwall_application::records::{self, Records};
use gadwall_application::recovery::Recovery;
use gadwall_application::schemas::{SchemaServer, Schemas};
use gadwall_application::scripts::{self, Scripts};
use gadwall_application::sharing::Sharing;
use gadwall_application::system::System;
use gadwall_application::tables::Tables;
use gadwall_application::tokens::Tokens;
use gadwall_application::transfers::{Parts, SqlFiles, Transfers};
use gadwall_application::usage::{self, Usage};
use gadwall_application::versions::Versions;
use gadwall_application::views::Views;
use gadwall_application::webhooks::Webhooks;
use gadwall_application::writes::Writes;
use gadwall_domain::access::Principal;
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::background::Background;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::operating::{EngineControl, LogControl, MachineMonitor, PoolMonitor};
use gadwall_domain::ports::peers::Peers;
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::{Clock, HealthProbe, IdGenerator, ProcessMonitor, SystemStatistics};
use gadwall_domain::ports::transfer::BulkTransfer;
use gadwall_domain::ports::webhooks::WebhookSender;
use gadwall_domain::quota::{Quota, QuotaKind};
use gadwall_ducklake::{DataPlace, LakeConfig, S3Place, find_extension_dir};
use gadwall_http::{App, Services};
use gadwall_oidc::OidcVerifier;
use gadwall_webhooks::HttpSender;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::background::{StopBackground, TokioBackground, WAITING};
use crate::breakers::{Breakers, breaker_config};
use crate::config::{CatalogKind, Config, Environment, total_memory};
use crate::elsewhere::ElsewhereTask;
use crate::events::{self, EventsTask};
use crate::files::FileStores;
use crate::folders::{DataLock, LocalFolders};
use crate::front::{self, Certificates, http_config};
use crate::housekeeping::{self, Keepers};
use crate::issuers;
use crate::key_uses::KeyUsesTask;
use crate::lakes::{self, Lakes};
use crate::lease::{Lease, Work};
use crate::lineage::LineageTask;
use crate::linked_reads;
use crate::machine::LocalMachine;
use crate::measuring;
use crate::metadata;
use crate::ontology;
use crate::purges;
use crate::query_log::QueryLogTask;
use crate::refusals::RefusalsTask;
use crate::rounds::Rounds;
use crate::settings;
use crate::statistics::LocalStatistics;
use crate::system::{ProcessMemory, SystemClock, SystemIds};
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
    certificates: Option<Certificates>,
    events: EventsTask,
    _lineage: LineageTask,
    _rounds: [Rounds; 3],
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
        let Opened { services, lakes, query_log, elsewhere, bell, generated_admin_key, background, lease, lock } =
            open(config).await?;
        let app = Arc::new(App::new(&services, &http_config(config)?));
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
        let lineage = LineageTask::start(services.lineage);
        let linked_reads = linked_reads::start(services.sharing);
        let events = EventsTask::start(
            (services.events, services.webhooks),
            bell,
            services.process,
            config.events.metrics_interval,
        );
        let refusals = RefusalsTask::start(services.audit);
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
            certificates,
            events,
            _lineage: lineage,
            _rounds: [housekeeping, linked_reads, purges],
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

    /// Reads the files again that may change while it runs: certificates.
    pub fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        } else {
            tracing::info!("there is nothing to read again");
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

/// Use cases over adapters that are open.
struct Opened {
    services: Services,
    query_log: QueryLogWriter,
    elsewhere: Option<ElsewhereTask>,
    bell: Bell,
    lakes: Lakes,
    generated_admin_key: Option<String>,
    background: [StopBackground; 2],
    lease: Lease,
    lock: DataLock,
}

async fn open(config: &Config) -> anyhow::Result<Opened> {
    let folders = LocalFolders::new(data_dir(config)?);
    let mut lock = folders.lock()?;
    folders
        .create()
        .context("folders can't be made in the data directory; set data_dir (DATA_DIR) to one that can be written")?;
    folders.require_writable()?;
    let (store, metadata_probe, pools) = metadata::open(config, &folders).await?;
    let breakers = Breakers::new(config);
    let past_the_breaker = Arc::clone(&store);
    let bell = Bell::default();
    let store: Arc<dyn MetadataStore> = Arc::new(AnnouncingMetadata::new(breakers.metadata(store), bell.clone()));
    let FileStores { objects, results, bucket, probe } = FileStores::open(config, &folders).await?;
    let (objects, results) = breakers.files(objects, results);
    let (lakes, transfers) = lakes::open(config, lake_config(config, &folders, bucket)?).await?;
    let (admins, generated_admin_key) = admin_policy(config)?;
    let statistics = Arc::new(LocalStatistics::new(folders.lakes()));
    let operators = Operators {
        log: Arc::new(ProcessLog::new(&config.logging)),
        machine: Arc::new(LocalMachine::new(folders.lakes(), total_memory())),
        engines: lakes.engines(),
        pools: vec![pools],
        settings: settings::of(config),
        measured: Arc::new(Measured::new(Arc::new(SystemClock), config.features.enable_performance_tracking)),
    };
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
    let over = match (config.ducklake.catalog, lock.before()) {
        // Who has the data directory has the lakes.
        (CatalogKind::Files, _) => Over::All,
        (CatalogKind::Postgres, before) => before.map_or(Over::None, Over::One),
    };
    let dead_after = TimeDelta::from_std(config.metadata.instance_timeout)?;
    let id = SystemIds.next_id();
    // Its breaker must not keep a server from saying that it is alive.
    let instances = Arc::new(Instances::new(past_the_breaker, Arc::new(SystemClock), id, dead_after));
    let outside = Outside {
        ontology: ontology::server(config, breakers.ontology(), Arc::clone(&background) as _)?,
        store,
        instances: Arc::clone(&instances),
        lakes: breakers.lakes(lakes.ports()),
        guard,
        objects,
        transfers,
        background,
        results,
        long_queries,
        peers: metadata::peers(config)?,
        bell: bell.clone(),
        webhooks: Arc::new(HttpSender::new(config.events.webhook_private_addresses)?),
    };
    let watched = (events::settings(&config.events)?, TimeDelta::from_std(config.events.consumer_max_hold)?);
    let settings = (query_settings(config)?, result_settings(config)?, watched);
    let keys = KeyPolicy {
        admins,
        max_failures: config.auth.max_failures_per_minute,
        overlap: TimeDelta::from_std(config.auth.rotation_overlap)?,
        tokens: tokens(config)?,
    };
    let retention = AuditRetention {
        changes: TimeDelta::from_std(config.audit.retention)?,
        refusals: TimeDelta::from_std(config.audit.refusals_retention)?,
    };
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
    Ok(Opened { services, query_log, elsewhere, bell, lakes, generated_admin_key, background, lease, lock })
}

/// The adapters, as the use cases see them.
struct Outside {
    store: Arc<dyn MetadataStore>,
    instances: Arc<Instances>,
    lakes: LakePorts,
    guard: Guard,
    objects: Arc<dyn ObjectStorage>,
    transfers: Arc<dyn BulkTransfer>,
    background: Arc<dyn Background>,
    results: Arc<dyn ResultStore>,
    long_queries: Arc<dyn Background>,
    /// The server of schemas, if there is one.
    ontology: Option<SchemaServer>,
    /// The servers with the same metadata, if there may be others.
    peers: Option<Arc<dyn Peers>>,
    /// Rings when the log of events has grown.
    bell: Bell,
    webhooks: Arc<dyn WebhookSender>,
}

/// What holds for keys and tokens.
struct KeyPolicy {
    admins: AdminPolicy,
    max_failures: u32,
    overlap: TimeDelta,
    tokens: Option<Tokens>,
}

/// What watches over the engine.
struct Guard {
    probe: Arc<dyn HealthProbe>,
    statistics: Arc<dyn SystemStatistics>,
    breaker: BreakerConfig,
    /// Those before other machines.
    outside: Vec<Arc<Breaker>>,
    limits: EngineLimits,
    operators: Operators,
}

/// What operators look at and turn.
struct Operators {
    log: Arc<dyn LogControl>,
    machine: Arc<dyn MachineMonitor>,
    engines: Arc<dyn EngineControl>,
    pools: Vec<Arc<dyn PoolMonitor>>,
    settings: ServiceSettings,
    measured: Arc<Measured>,
}

#[expect(clippy::too_many_lines, reason = "puts every use case together, one after the other")]
fn services(
    outside: Outside,
    keys: KeyPolicy,
    system: System,
    (keep, retention, (undelete_for, quota)): (TimeDelta, AuditRetention, (TimeDelta, Quota)),
    (queries, kept, events): (QuerySettings, ResultSettings, (EventSettings, TimeDelta)),
) -> (Services, QueryLogWriter, Option<ElsewhereTask>) {
    let Outside {
        store,
        instances,
        lakes,
        guard,
        objects,
        transfers,
        background,
        results,
        long_queries,
        ontology,
        peers,
        bell,
        webhooks,
    } = outside;
    let LakePorts { lakes, queries: engine, scripts, views } = lakes;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGenerator> = Arc::new(SystemIds);
    let process: Arc<dyn ProcessMonitor> = Arc::new(ProcessMemory { total: total_memory() });
    let breaker = Breaker::new("duckdb", guard.breaker, Arc::clone(&clock));
    let measured = Arc::clone(&guard.operators.measured);
    let engine = GuardedEngine::new(engine, breaker, Arc::clone(&clock)).measured_by(Arc::clone(&measured));
    let engine = Arc::new(engine);
    let access = Access::new(Arc::clone(&store), Arc::clone(&clock), keys.admins);
    let access = access.with_max_failures(keys.max_failures);
    let access = Arc::new(match keys.tokens {
        Some(tokens) => access.with_tokens(tokens),
        None => access,
    });
    let projection = Projection::new(Arc::clone(&store), Arc::clone(&lakes) as _).measured_by(Arc::clone(&measured));
    let projection = Arc::new(projection);
    let quotas = Quotas::new(quota, Arc::clone(&clock));
    let (running, query_log) =
        RunningQueries::within(queries, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids), Arc::clone(&quotas));
    let projects = Projects::new(
        Arc::clone(&store),
        Arc::clone(&lakes) as _,
        Files { objects: Arc::clone(&objects), results: Arc::clone(&results) },
        Arc::clone(&access),
        Arc::clone(&projection),
        Arc::clone(&clock),
        Arc::clone(&ids),
    );
    let projects =
        Arc::new(projects.with_undelete_for(undelete_for).with_running(Arc::clone(&running)).with_quotas(quotas));
    let lineage = Lineage::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), Arc::clone(&ids));
    let lineage = lineage.woken_by(projection.copied());
    let audit = Audit::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), retention);
    let keys = Keys::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), Arc::clone(&ids), keys.overlap);
    let idempotency = Arc::new(Idempotency::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&instances), keep));
    let sharing = Arc::new(Sharing::new(
        Arc::clone(&store),
        Arc::clone(&lakes),
        Arc::clone(&access),
        Arc::clone(&running),
        Arc::clone(&clock),
    ));
    let buckets = Buckets::new(
        Arc::clone(&store),
        Arc::clone(&lakes) as _,
        Arc::clone(&access),
        Arc::clone(&projection),
        Arc::clone(&projects),
        Arc::clone(&sharing),
    );
    let tables = Tables::new(
        Arc::clone(&store),
        Arc::clone(&lakes),
        Arc::clone(&access),
        Arc::clone(&projection),
        Arc::clone(&projects),
    );
    let recorder = Recorder::new(Arc::clone(&store), Arc::clone(&clock));
    let tables = Arc::new(tables.recording(recorder.clone()));
    let contracts = Contracts::new(contracts::Parts {
        store: Arc::clone(&store),
        lakes: Arc::clone(&lakes),
        access: Arc::clone(&access),
        tables: Arc::clone(&tables),
        clock: Arc::clone(&clock),
    });
    let versions = Arc::new(Versions::new(Arc::clone(&store), Arc::clone(&lakes) as _));
    let writes = Writes::new(Arc::clone(&store), Arc::clone(&lakes) as _, Arc::clone(&projection));
    let writes = Arc::new(writes.recording(recorder));
    let data = Data::new(Arc::clone(&lakes), Arc::clone(&access), Arc::clone(&tables), Arc::clone(&versions));
    let data = Arc::new(data);
    let schemas = Schemas::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), ontology);
    let schemas = Arc::new(schemas);
    schemas.warm_up();
    let records = Records::new(records::Parts {
        tables: Arc::clone(&tables),
        data: Arc::clone(&data),
        schemas: Arc::clone(&schemas),
        access: Arc::clone(&access),
        store: Arc::clone(&store),
        lakes: Arc::clone(&lakes),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    });
    let recovery = Recovery::new(
        Arc::clone(&lakes),
        Arc::clone(&access),
        Arc::clone(&tables),
        Arc::clone(&projects),
        Arc::clone(&versions),
        Arc::clone(&writes),
    );
    let views = Views::new(
        views,
        Arc::clone(&lakes) as _,
        Arc::clone(&access),
        Arc::clone(&projection),
        Arc::clone(&writes),
        Arc::clone(&running),
    );
    let files = Arc::new(SqlFiles::new(Arc::clone(&scripts), Arc::clone(&objects)));
    let scripts = Scripts::new(scripts::Parts {
        engine: Arc::new(GuardedScripts::new(scripts, Arc::clone(&engine))),
        access: Arc::clone(&access),
        lakes: Arc::clone(&lakes) as _,
        tables: Arc::clone(&tables),
        projection: Arc::clone(&projection),
        projects: Arc::clone(&projects),
        writes,
        files: Arc::clone(&files),
        running: Arc::clone(&running),
    });
    let history = History::new(Arc::clone(&store), Arc::clone(&lakes), Arc::clone(&access), Arc::clone(&clock));
    let operators = guard.operators;
    let operating = Operating::new(operating::Parts {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        log: operators.log,
        machine: operators.machine,
        engines: operators.engines,
        probe: Arc::clone(&guard.probe),
        queries: Arc::clone(&engine),
        outside: guard.outside.clone(),
        pools: operators.pools,
        measured: operators.measured,
        settings: operators.settings,
    });
    let analytics = Analytics::new(analytics::Parts {
        engine: Arc::clone(&engine),
        outside: guard.outside,
        probe: guard.probe,
        lakes: Arc::clone(&lakes),
        access: Arc::clone(&access),
        system: Arc::clone(&guard.statistics),
        process: Arc::clone(&process),
        clock: Arc::clone(&clock),
        limits: guard.limits,
    });
    let elsewhere = peers.map(|peers| Arc::new(Elsewhere::new(peers, Arc::clone(&ids)).with_bell(bell)));
    let queries = Arc::new(
        Queries::new(
            Arc::clone(&engine) as _,
            Arc::clone(&lakes) as _,
            Arc::clone(&access),
            versions,
            Arc::clone(&running),
        )
        .with_files(Arc::clone(&files))
        .with_elsewhere(elsewhere.clone()),
    );
    let usage = Usage::new(usage::Parts {
        store: Arc::clone(&store),
        lakes: Arc::clone(&lakes),
        results: Arc::clone(&results),
        access: Arc::clone(&access),
        projects: Arc::clone(&projects),
        running: Arc::clone(&running),
        clock: Arc::clone(&clock),
    });
    let (events, max_hold) = events;
    let events = Events::new(Arc::clone(&store), Arc::clone(&access), Arc::clone(&clock), Arc::clone(&ids), events);
    let events = Arc::new(events.with_elsewhere(elsewhere.clone()));
    let consumers = Arc::new(Consumers::new(
        Arc::clone(&store),
        Arc::clone(&lakes),
        Arc::clone(&access),
        Arc::clone(&tables),
        Arc::clone(&clock),
        max_hold,
    ));
    let webhooks =
        Webhooks::new(Arc::clone(&store), Arc::clone(&access), webhooks, Arc::clone(&clock), Arc::clone(&ids));
    let changes = Changes::new(
        Arc::clone(&lakes),
        Arc::clone(&access),
        Arc::clone(&data),
        Arc::clone(&events),
        Arc::clone(&consumers),
    );
    let in_background =
        BackgroundQueries::new(Arc::clone(&queries), results, long_queries, Arc::clone(&instances), kept);
    let operations =
        Operations::new(store, Arc::clone(&access), Arc::clone(&clock), Arc::clone(&ids), background, instances);
    let operations = Arc::new(operations.with_elsewhere(elsewhere.clone()));
    let elsewhere = elsewhere.map(|elsewhere| {
        ElsewhereTask::start(elsewhere, Arc::clone(&running), Arc::clone(&operations), Arc::clone(&events))
    });
    let transfers = Transfers::new(Parts {
        lakes,
        objects: Arc::clone(&objects),
        bulk: transfers,
        access: Arc::clone(&access),
        tables: Arc::clone(&tables),
        projection,
        projects: Arc::clone(&projects),
        operations: Arc::clone(&operations),
        files: Some(files),
        running: Some(running),
    });
    let services = Services {
        datasets: Arc::new(Datasets::new(objects, Arc::clone(&access)).with_projects(Arc::clone(&projects))),
        queries,
        background: in_background,
        scripts: Arc::new(scripts),
        access,
        audit: Arc::new(audit),
        lineage: Arc::new(lineage),
        events,
        usage: Arc::new(usage),
        projects,
        keys: Arc::new(keys),
        buckets: Arc::new(buckets),
        sharing,
        tables,
        contracts: Arc::new(contracts),
        views: Arc::new(views),
        data,
        changes: Arc::new(changes),
        consumers,
        webhooks: Arc::new(webhooks),
        history: Arc::new(history),
        recovery: Arc::new(recovery),
        idempotency,
        operations,
        transfers: Arc::new(transfers),
        system: Arc::new(system),
        clock,
        ids,
        process,
        machine: guard.statistics,
        schemas,
        records: Arc::new(records),
        analytics: Arc::new(analytics),
        operating: Arc::new(operating),
        measured,
    };
    (services, query_log, elsewhere)
}

fn query_settings(config: &Config) -> anyhow::Result<QuerySettings> {
    Ok(QuerySettings {
        max_concurrent: config.query.max_concurrent,
        max_concurrent_per_project: config.query.max_concurrent_per_project,
        max_queued: config.query.max_queued,
        queue_timeout: config.query.queue_timeout,
        history_limit: config.query.history_limit,
        history_retention: TimeDelta::from_std(config.query.history_retention)?,
    })
}

/// The limits of projects of which nothing else is said.
fn default_quota(config: &Config) -> anyhow::Result<Quota> {
    let quota = &config.quota;
    let given = [
        (QuotaKind::TableBytes, quota.table_bytes),
        (QuotaKind::DatasetBytes, quota.dataset_bytes),
        (QuotaKind::Tables, quota.tables.into()),
        (QuotaKind::Buckets, quota.buckets.into()),
        (QuotaKind::QueriesPerMinute, quota.queries_per_minute.into()),
        (QuotaKind::ConcurrentQueries, quota.concurrent_queries.into()),
        (QuotaKind::RowsPerAppend, quota.rows_per_append),
    ];
    let with = |all: Quota, (kind, limit): (QuotaKind, u64)| all.with(kind, limit.into());
    Ok(given.into_iter().try_fold(Quota::default(), with)?)
}

fn result_settings(config: &Config) -> anyhow::Result<ResultSettings> {
    let retention = TimeDelta::from_std(config.query.result_retention)?;
    Ok(ResultSettings { retention, limit: config.query.result_limit })
}

pub(crate) fn data_dir(config: &Config) -> anyhow::Result<PathBuf> {
    // The engine's sandbox compares paths as text, so they must not depend on the working directory or on links.
    std::fs::create_dir_all(&config.data_dir).and_then(|()| config.data_dir.canonicalize()).with_context(|| {
        format!(
            "the data directory {} can't be used; set data_dir (DATA_DIR) to one that can be written",
            config.data_dir.display()
        )
    })
}

pub(crate) fn lake_config(
    config: &Config,
    folders: &LocalFolders,
    bucket: Option<S3Place>,
) -> anyhow::Result<LakeConfig> {
    /// Engines that are at work at the same time share the memory; others hold next to none.
    const AT_WORK: usize = 4;
    let engine = &config.engine;
    let sharing = match config.ducklake.catalog {
        CatalogKind::Files => 1,
        CatalogKind::Postgres => config.ducklake.max_open.min(AT_WORK),
    };
    let memory = config.effective_memory_limit(total_memory()) / sharing as u64;
    Ok(LakeConfig {
        files_dir: Some(bucket.as_ref().map_or_else(|| folders.files(), S3Place::root)),
        data: bucket.map_or(DataPlace::Local, DataPlace::S3),
        lakes_dir: folders.lakes(),
        staging_dir: folders.staging(),
        spill_dir: folders.spill(),
        extension_dir: find_extension_dir(engine.extension_dir.as_deref())?,
        memory_limit: memory,
        spill_limit: engine.spill_limit,
        threads: engine.threads,
        max_queries: engine.max_queries,
        max_waiting: engine.max_waiting_queries,
        queue_timeout: engine.queue_timeout,
        max_attached: engine.max_attached_lakes,
        writer_queue: engine.writer_queue,
        inlining_row_limit: config.ducklake.data_inlining_row_limit,
        encrypted: config.ducklake.encrypted,
        profiling: config.query.profiling,
    })
}

fn engine_limits(config: &Config) -> EngineLimits {
    EngineLimits {
        memory: config.effective_memory_limit(total_memory()),
        threads: config.engine.threads,
        queries: config.engine.max_queries,
    }
}

/// Tokens of the identity providers; none where there are none. Their keys begin to be fetched.
fn tokens(config: &Config) -> anyhow::Result<Option<Tokens>> {
    let issuers = &config.auth.oidc;
    if issuers.is_empty() {
        return Ok(None);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rules = issuers.iter().map(|issuer| Ok((issuer.issuer.clone(), issuers::rules(issuer)?)));
    let rules = rules.collect::<anyhow::Result<Vec<_>>>()?;
    let verifier = OidcVerifier::new(issuers.iter().map(issuers::adapter).collect(), Arc::clone(&clock))?;
    verifier.warm_up();
    Ok(Some(Tokens::new(Arc::new(verifier), rules, clock)))
}

/// Who is an admin; and the key that had to be made because none is configured.
fn admin_policy(config: &Config) -> anyhow::Result<(AdminPolicy, Option<String>)> {
    if !config.auth.enabled {
        return Ok((AdminPolicy::Everyone, None));
    }
    let keys: Vec<_> = config.auth.admin_keys.iter().map(|key| digest(key.expose())).collect();
    if !keys.is_empty() {
        return Ok((AdminPolicy::Keys(keys), None));
    }
    anyhow::ensure!(
        config.environment != Environment::Production,
        "no admin key is configured; set ADMIN_API_KEY (production starts only with one)"
    );
    let key = format!("admin_{}", hex::encode(SystemIds.secret()));
    Ok((AdminPolicy::Keys(vec![digest(&key)]), Some(key)))
}
