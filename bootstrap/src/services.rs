//! The use cases, put together over the adapters that they are given.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_application::access::{Access, AdminPolicy};
use gadwall_application::analytics::{self, Analytics, EngineLimits};
use gadwall_application::audit::{Audit, AuditRetention};
use gadwall_application::backups::{self, Backups};
use gadwall_application::breaker::{Breaker, BreakerConfig};
use gadwall_application::buckets::Buckets;
use gadwall_application::changes::{Changes, Consumers};
use gadwall_application::contracts::{self, Contracts, Recorder};
use gadwall_application::data::Data;
use gadwall_application::datasets::Datasets;
use gadwall_application::doctor::{self, Doctor};
use gadwall_application::elsewhere::Elsewhere;
use gadwall_application::events::{Bell, EventSettings, Events};
use gadwall_application::guarded::{GuardedEngine, GuardedScripts, LakePorts};
use gadwall_application::history::History;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::instances::Instances;
use gadwall_application::keys::Keys;
use gadwall_application::lineage::{Failures, Lineage};
use gadwall_application::maintenance::{self, Maintenance, MaintenanceSettings};
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
use gadwall_domain::ports::background::Background;
use gadwall_domain::ports::lake::LakeMaintenance;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::operating::{EngineControl, LogControl, MachineMonitor, PoolMonitor};
use gadwall_domain::ports::peers::Peers;
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::{Clock, HealthProbe, IdGenerator, ProcessMonitor, SystemStatistics};
use gadwall_domain::ports::transfer::BulkTransfer;
use gadwall_domain::ports::webhooks::WebhookSender;
use gadwall_domain::quota::Quota;
use gadwall_http::Services;

use crate::backups::BackupPorts;
use crate::config::total_memory;
use crate::elsewhere::ElsewhereTask;
use crate::system::{ProcessMemory, SystemClock, SystemIds};

/// The adapters, as the use cases see them.
pub(crate) struct Outside {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) instances: Arc<Instances>,
    pub(crate) lakes: LakePorts,
    pub(crate) backups: BackupPorts,
    pub(crate) maintenance: (Arc<dyn LakeMaintenance>, MaintenanceSettings),
    pub(crate) guard: Guard,
    pub(crate) objects: Arc<dyn ObjectStorage>,
    pub(crate) transfers: Arc<dyn BulkTransfer>,
    pub(crate) background: Arc<dyn Background>,
    pub(crate) results: Arc<dyn ResultStore>,
    pub(crate) long_queries: Arc<dyn Background>,
    /// The server of schemas, if there is one.
    pub(crate) ontology: Option<SchemaServer>,
    /// The servers with the same metadata, if there may be others.
    pub(crate) peers: Option<Arc<dyn Peers>>,
    /// Rings when the log of events has grown.
    pub(crate) bell: Bell,
    pub(crate) webhooks: Arc<dyn WebhookSender>,
    /// How many events of lineage may wait for another server, if there is one.
    pub(crate) forward: Option<u64>,
}

/// What holds for keys and tokens.
pub(crate) struct KeyPolicy {
    pub(crate) admins: AdminPolicy,
    pub(crate) max_failures: u32,
    pub(crate) overlap: TimeDelta,
    pub(crate) tokens: Option<Tokens>,
}

/// What watches over the engine.
pub(crate) struct Guard {
    pub(crate) probe: Arc<dyn HealthProbe>,
    pub(crate) statistics: Arc<dyn SystemStatistics>,
    pub(crate) breaker: BreakerConfig,
    /// Those before other machines.
    pub(crate) outside: Vec<Arc<Breaker>>,
    pub(crate) limits: EngineLimits,
    pub(crate) operators: Operators,
}

/// What operators look at and turn.
pub(crate) struct Operators {
    pub(crate) log: Arc<dyn LogControl>,
    pub(crate) machine: Arc<dyn MachineMonitor>,
    pub(crate) engines: Arc<dyn EngineControl>,
    pub(crate) pools: Vec<Arc<dyn PoolMonitor>>,
    pub(crate) settings: ServiceSettings,
    pub(crate) measured: Arc<Measured>,
}

/// Puts every use case together.
#[expect(clippy::too_many_lines, reason = "puts every use case together, one after the other")]
pub(crate) fn services(
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
        backups,
        maintenance: (maintenance, maintenance_settings),
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
        forward,
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
    let projection = Arc::new(projection.forwarding(forward));
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
    let lineage = lineage.woken_by(projection.copied()).forwarding(forward);
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
    let failures = Failures::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids), projection.copied());
    let failures = failures.forwarding(forward);
    let tables = Arc::new(tables.recording(recorder.clone()).telling(failures.clone()));
    let contracts = Contracts::new(contracts::Parts {
        store: Arc::clone(&store),
        lakes: Arc::clone(&lakes),
        access: Arc::clone(&access),
        tables: Arc::clone(&tables),
        clock: Arc::clone(&clock),
    });
    let versions = Arc::new(Versions::new(Arc::clone(&store), Arc::clone(&lakes) as _));
    let writes = Writes::new(Arc::clone(&store), Arc::clone(&lakes) as _, Arc::clone(&projection));
    let writes = Arc::new(writes.recording(recorder).telling(failures));
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
    let operations = Operations::new(
        Arc::clone(&store),
        Arc::clone(&access),
        Arc::clone(&clock),
        Arc::clone(&ids),
        background,
        instances,
    );
    let operations = Arc::new(operations.with_elsewhere(elsewhere.clone()));
    let kept = Backups::new(backups::Parts {
        store: Arc::clone(&store),
        metadata: backups.metadata,
        lakes: Arc::clone(&lakes) as _,
        lakes_archive: backups.lakes,
        catalogs: backups.catalogs,
        objects: Arc::clone(&objects),
        shelf: backups.shelf,
        operations: Arc::clone(&operations),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        made_by: concat!("gadwall ", env!("CARGO_PKG_VERSION")).to_owned(),
    });
    let doctor = Doctor::new(doctor::Parts {
        store: Arc::clone(&store),
        lakes: Arc::clone(&lakes) as _,
        doctor: backups.doctor,
        projection: Arc::clone(&projection),
        operations: Arc::clone(&operations),
        clock: Arc::clone(&clock),
    });
    let maintenance = Maintenance::new(maintenance::Parts {
        store,
        maintenance,
        access: Arc::clone(&access),
        projection: Arc::clone(&projection),
        projects: Arc::clone(&projects),
        operations: Arc::clone(&operations),
        followers: Arc::clone(&consumers) as _,
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        measured: Arc::clone(&measured),
        settings: maintenance_settings,
    });
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
        backups: Arc::new(kept),
        doctor: Arc::new(doctor),
        maintenance: Arc::new(maintenance),
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
