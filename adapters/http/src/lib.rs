//! The HTTP API: routes, documents and problems, and the loop that serves them.
//!
//! Handlers parse, call one use case, and present. Only `problem` names failing statuses, only `layers` sees
//! a request before it is routed, and only `server` touches sockets.

mod api;
mod auth;
mod cache;
mod context;
mod document;
mod exposition;
mod layers;
mod negotiate;
mod ontology;
mod output;
mod peer;
mod problem;
mod safe;
mod server;
mod sse;
mod statistics;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gadwall_application::access::Access;
use gadwall_application::analytics::Analytics;
use gadwall_application::audit::Audit;
use gadwall_application::backups::Backups;
use gadwall_application::buckets::Buckets;
use gadwall_application::changes::{Changes, Consumers};
use gadwall_application::contracts::Contracts;
use gadwall_application::data::Data;
use gadwall_application::datasets::Datasets;
use gadwall_application::doctor::Doctor;
use gadwall_application::events::Events;
use gadwall_application::history::History;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::keys::Keys;
use gadwall_application::lineage::Lineage;
use gadwall_application::maintenance::Maintenance;
use gadwall_application::operating::{Measured, Operating};
use gadwall_application::operations::Operations;
use gadwall_application::projects::Projects;
use gadwall_application::queries::{BackgroundQueries, Queries};
use gadwall_application::records::Records;
use gadwall_application::recovery::Recovery;
use gadwall_application::schemas::Schemas;
use gadwall_application::scripts::Scripts;
use gadwall_application::sharing::Sharing;
use gadwall_application::system::System;
use gadwall_application::tables::Tables;
use gadwall_application::transfers::Transfers;
use gadwall_application::usage::Usage;
use gadwall_application::views::Views;
use gadwall_application::webhooks::Webhooks;
use gadwall_domain::ports::ontology::SchemaRegistry;
use gadwall_domain::ports::system::{Clock, IdGenerator, ProcessMonitor, SystemStatistics};
use gadwall_telemetry::{Family, Sampling};
use poem::endpoint::{BoxEndpoint, EndpointExt as _};
use poem::http::HeaderValue;
use poem::middleware::CatchPanic;
use poem::{Response, Route};
use poem_openapi::OpenApiService;

use api::admin_tables::AdminTablesApi;
use api::analytics::AnalyticsApi;
use api::audit::AuditApi;
use api::backups::BackupsApi;
use api::batches::BatchesApi;
use api::buckets::BucketsApi;
use api::changes::ChangesApi;
use api::contracts::ContractsApi;
use api::data::DataApi;
use api::datasets::{DatasetsApi, ShortDatasetsApi};
use api::doctor::DoctorApi;
use api::edits::EditsApi;
use api::events::EventsApi;
use api::events::clients::EventClientsApi;
use api::history::HistoryApi;
use api::jobs::JobsApi;
use api::keys::KeysApi;
use api::lineage::{CatalogueApi, LineageApi, LineageQueueApi};
use api::maintenance::MaintenanceApi;
use api::operating::{ConfigApi, Exposing, MemoryApi, OperatingApi};
use api::operations::OperationsApi;
use api::projects::ProjectsApi;
use api::queries::QueriesApi;
use api::records::RecordsApi;
use api::results::ResultsApi;
use api::rows::Spool;
use api::running_queries::RunningQueriesApi;
use api::schemas::SchemasApi;
use api::shape::ShapeApi;
use api::sharing::SharingApi;
use api::short_tables::ShortTablesApi;
use api::system::SystemApi;
use api::tables::TablesApi;
use api::transfers::TransfersApi;
use api::usage::UsageApi;
use api::views::ViewsApi;
use api::webhooks::WebhooksApi;
use auth::AccessData;
use cache::ResultCache;
use layers::allow::Allowed;
use layers::body::Bounds;
use layers::context::{Bodies, Front, FrontEndpoint};
use layers::door::Door;

pub use api::operating::MetricsConfig;
pub use api::queries::QueryLimits;
pub use layers::door::{CorsConfig, DoorConfig, HeadLimits, Hosts, Origins, RateLimits, RatePolicy};
pub use peer::{ForwardedHeader, Networks, Proxies};
pub use server::{ClientAuthority, Http2Config, ServerConfig, Tls, TlsConfig, TlsError, serve};

/// The use cases that the API offers, and what it needs beside them.
#[derive(Clone)]
pub struct Services {
    /// Authentication.
    pub access: Arc<Access>,
    /// The audit log.
    pub audit: Arc<Audit>,
    /// What happens, as it happens.
    pub events: Arc<Events>,
    /// Tables as they change.
    pub changes: Arc<Changes>,
    /// Who follows tables.
    pub consumers: Arc<Consumers>,
    /// Addresses that are told of events.
    pub webhooks: Arc<Webhooks>,
    /// Projects.
    pub projects: Arc<Projects>,
    /// What projects use.
    pub usage: Arc<Usage>,
    /// Keys of projects.
    pub keys: Arc<Keys>,
    /// Buckets.
    pub buckets: Arc<Buckets>,
    /// Shares and links.
    pub sharing: Arc<Sharing>,
    /// Datasets.
    pub datasets: Arc<Datasets>,
    /// Tables.
    pub tables: Arc<Tables>,
    /// Contracts of tables.
    pub contracts: Arc<Contracts>,
    /// Views.
    pub views: Arc<Views>,
    /// Reading tables.
    pub data: Arc<Data>,
    /// Snapshots and tags.
    pub history: Arc<History>,
    /// Bringing back what was.
    pub recovery: Arc<Recovery>,
    /// Long work.
    pub operations: Arc<Operations>,
    /// Imports and exports.
    pub transfers: Arc<Transfers>,
    /// Backups of projects.
    pub backups: Arc<Backups>,
    /// What is wrong with catalogs.
    pub doctor: Arc<Doctor>,
    /// Maintenance of the lakes.
    pub maintenance: Arc<Maintenance>,
    /// Jobs, runs, and what comes from what.
    pub lineage: Arc<Lineage>,
    /// Queries.
    pub queries: Arc<Queries>,
    /// Queries in the background.
    pub background: Arc<BackgroundQueries>,
    /// SQL that may write.
    pub scripts: Arc<Scripts>,
    /// Requests that may be repeated.
    pub idempotency: Arc<Idempotency>,
    /// The service itself.
    pub system: Arc<System>,
    /// The engine, to its operators.
    pub analytics: Arc<Analytics>,
    /// Running the service.
    pub operating: Arc<Operating>,
    /// What requests did.
    pub measured: Arc<Measured>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Request ids.
    pub ids: Arc<dyn IdGenerator>,
    /// Memory of the process.
    pub process: Arc<dyn ProcessMonitor>,
    /// How busy the machine is.
    pub machine: Arc<dyn SystemStatistics>,
    /// Schemas of the ontology.
    pub schemas: Arc<Schemas>,
    /// Governed tables and their records.
    pub records: Arc<Records>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// How large bodies may be.
    pub bodies: BodyLimits,
    /// How long queries may run.
    pub query_limits: QueryLimits,
    /// Memory for results that may be asked for again, in bytes.
    pub result_cache_bytes: u64,
    /// Whether answers are compressed for who can read that.
    pub compression: bool,
    /// Of which requests traces are made.
    pub traces: Option<Sampling>,
    /// Figures for Prometheus.
    pub metrics: MetricsConfig,
    /// Folder for bodies that must be whole before they can be read.
    pub staging_dir: PathBuf,
    /// Shown in health answers.
    pub environment: String,
    /// Whether callers need a key.
    pub auth_enabled: bool,
    /// Proxies that may say whom they speak for.
    pub proxies: Proxies,
    /// How large a request's head may be.
    pub heads: HeadLimits,
    /// Whom the server lets in.
    pub door: DoorConfig,
    /// How long browsers that came by TLS shall insist on it; zero doesn't.
    pub hsts: Duration,
}

/// How large and how slow request bodies may be.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Largest body of rows, in bytes. No other body but a file may be larger.
    pub rows: u64,
    /// Largest file, in bytes.
    pub files: u64,
    /// Largest body with SQL, in bytes.
    pub sql: u64,
    /// Largest other body, in bytes.
    pub documents: u64,
    /// Longest time without a byte.
    pub idle_timeout: Duration,
    /// Bytes a second that must come on average; 0 for any number.
    pub min_rate: u32,
}

/// The API, ready to be served.
pub struct App {
    routes: BoxEndpoint<'static, Response>,
    /// None where everybody is let in.
    door: Option<Arc<Door>>,
    /// What it tells of itself; nothing where it is no server of data.
    exposing: Option<Exposing>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// A handler's panic is a problem to its client, and no more than that to anyone else.
fn catch_panics() -> CatchPanic<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanic::new().with_handler(|_| problem::panicked())
}

/// In groups, as a tuple of them has its limit.
type Apis = (ServiceApis, TableApis, FileApis, QueryApis, ShortApis, (LineageApis, EventApis), OperatingApis);
type ServiceApis = (SystemApi, ProjectsApi, KeysApi, BucketsApi, SharingApi, AnalyticsApi, AuditApi, UsageApi);
type TableApis = (TablesApi, ViewsApi, ShapeApi, EditsApi, DataApi, HistoryApi, ContractsApi);
type FileApis = (DatasetsApi, TransfersApi, OperationsApi, MaintenanceApi);
type QueryApis = (QueriesApi, BatchesApi, RunningQueriesApi, ResultsApi);
type ShortApis = ((ShortTablesApi, ShortDatasetsApi), (RecordsApi, AdminTablesApi, SchemasApi));
type OperatingApis = (OperatingApi, MemoryApi, ConfigApi, BackupsApi, DoctorApi);
type LineageApis = (JobsApi, LineageApi, CatalogueApi, LineageQueueApi);
type EventApis = (EventsApi, EventClientsApi, ChangesApi, WebhooksApi);

impl App {
    /// A small ontology server instead: these schemas, and nothing else.
    pub fn of_schemas(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { routes: ontology::routes(registry), door: None, exposing: None }
    }

    /// Puts routes and layers together.
    pub fn new(services: &Services, config: &HttpConfig) -> Self {
        let exposing = exposing(services, config);
        let service = api(apis(services, config, &exposing));
        let spec = document::complete(&service.spec());
        let allowed = Allowed::of_document(&spec);
        let routes = Route::new()
            .nest("/docs", Route::new().at("/", document::page(&service.swagger_ui_html(), &service.spec(), &spec)))
            .at("/openapi.json", document::endpoint(spec))
            .at("/events/test", poem::get(api::events::page::page()))
            .nest("/", service)
            .with(catch_panics());
        let limits = config.bodies;
        let bounds = |limit| Bounds { limit, idle: limits.idle_timeout, min_rate: limits.min_rate };
        let door = Arc::new(Door::new(config));
        let front = Front {
            clock: Arc::clone(&services.clock),
            ids: Arc::clone(&services.ids),
            access: Arc::new(AccessData {
                access: Arc::clone(&services.access),
                events: Arc::clone(&services.events),
                proxies: config.proxies.clone(),
            }),
            measured: Arc::clone(&services.measured),
            compression: config.compression,
            traces: config.traces.clone(),
            idempotency: Arc::clone(&services.idempotency),
            door: Arc::clone(&door),
            bodies: Bodies {
                rows: bounds(limits.rows),
                files: bounds(limits.files),
                sql: bounds(limits.sql.min(limits.rows)),
                documents: bounds(limits.documents.min(limits.rows)),
            },
            stand_in_key: (!config.auth_enabled).then(|| HeaderValue::from_static("Bearer none")),
        };
        Self { routes: FrontEndpoint::new(front, allowed, routes).boxed(), door: Some(door), exposing: Some(exposing) }
    }

    /// All figures of the server as they are now, for a collector.
    pub async fn families(&self) -> Vec<Family> {
        match &self.exposing {
            Some(exposing) => exposition::families(exposing.figures().await),
            None => Vec::new(),
        }
    }

    /// Lets others in from the next request on.
    pub fn set_door(&self, config: &DoorConfig) {
        if let Some(door) = &self.door {
            door.set(config);
        }
    }
}

fn apis(services: &Services, config: &HttpConfig, exposing: &Exposing) -> Apis {
    let queries = QueriesApi {
        queries: Arc::clone(&services.queries),
        background: Arc::clone(&services.background),
        scripts: Arc::clone(&services.scripts),
        transfers: Arc::clone(&services.transfers),
        clock: Arc::clone(&services.clock),
        cache: Arc::clone(&exposing.cache),
        limits: config.query_limits,
    };
    let operating = operating_apis(services, exposing);
    let spool = Spool { folder: config.staging_dir.clone(), ids: Arc::clone(&services.ids) };
    let service = (
        SystemApi {
            system: Arc::clone(&services.system),
            clock: Arc::clone(&services.clock),
            process: Arc::clone(&services.process),
            active: services.measured.active(),
            environment: config.environment.clone(),
            schemas: Arc::clone(&services.schemas),
            machine: Arc::clone(&services.machine),
        },
        ProjectsApi { projects: Arc::clone(&services.projects) },
        KeysApi { keys: Arc::clone(&services.keys) },
        BucketsApi { buckets: Arc::clone(&services.buckets) },
        SharingApi { sharing: Arc::clone(&services.sharing), buckets: Arc::clone(&services.buckets) },
        AnalyticsApi { analytics: Arc::clone(&services.analytics) },
        AuditApi { audit: Arc::clone(&services.audit) },
        UsageApi { projects: Arc::clone(&services.projects), usage: Arc::clone(&services.usage) },
    );
    let tables = (
        TablesApi { tables: Arc::clone(&services.tables), data: Arc::clone(&services.data) },
        ViewsApi { views: Arc::clone(&services.views) },
        ShapeApi { tables: Arc::clone(&services.tables) },
        EditsApi { tables: Arc::clone(&services.tables), spool: spool.clone() },
        DataApi { data: Arc::clone(&services.data), limits: config.query_limits },
        HistoryApi { history: Arc::clone(&services.history), recovery: Arc::clone(&services.recovery) },
        ContractsApi { contracts: Arc::clone(&services.contracts), limits: config.query_limits },
    );
    let files = (
        DatasetsApi { datasets: Arc::clone(&services.datasets) },
        TransfersApi { transfers: Arc::clone(&services.transfers) },
        OperationsApi { operations: Arc::clone(&services.operations) },
        MaintenanceApi { maintenance: Arc::clone(&services.maintenance) },
    );
    let short = (
        ShortTablesApi {
            access: Arc::clone(&services.access),
            tables: Arc::clone(&services.tables),
            queries: Arc::clone(&services.queries),
            spool,
            limits: config.query_limits,
        },
        ShortDatasetsApi { access: Arc::clone(&services.access), datasets: Arc::clone(&services.datasets) },
    );
    let running =
        RunningQueriesApi { background: Arc::clone(&services.background), clock: Arc::clone(&services.clock) };
    let later = ResultsApi { asked: queries.clone() };
    let batches = BatchesApi {
        access: Arc::clone(&services.access),
        queries: queries.clone(),
        process: Arc::clone(&services.process),
    };
    let governed = (
        RecordsApi {
            access: Arc::clone(&services.access),
            records: Arc::clone(&services.records),
            limits: config.query_limits,
        },
        AdminTablesApi {
            access: Arc::clone(&services.access),
            records: Arc::clone(&services.records),
            schemas: Arc::clone(&services.schemas),
            tables: Arc::clone(&services.tables),
        },
        SchemasApi {
            access: Arc::clone(&services.access),
            schemas: Arc::clone(&services.schemas),
            records: Arc::clone(&services.records),
        },
    );
    let events = (
        EventsApi {
            access: Arc::clone(&services.access),
            events: Arc::clone(&services.events),
            clock: Arc::clone(&services.clock),
        },
        EventClientsApi {
            access: Arc::clone(&services.access),
            events: Arc::clone(&services.events),
            clock: Arc::clone(&services.clock),
        },
        ChangesApi {
            changes: Arc::clone(&services.changes),
            consumers: Arc::clone(&services.consumers),
            limits: config.query_limits,
        },
        WebhooksApi { webhooks: Arc::clone(&services.webhooks) },
    );
    let watched = (lineage_apis(services), events);
    (service, tables, files, (queries, batches, running, later), (short, governed), watched, operating)
}

fn exposing(services: &Services, config: &HttpConfig) -> Exposing {
    Exposing {
        operating: Arc::clone(&services.operating),
        cache: Arc::new(ResultCache::new(config.result_cache_bytes)),
        metrics: config.metrics.clone(),
    }
}

fn operating_apis(services: &Services, exposing: &Exposing) -> OperatingApis {
    let figures = OperatingApi { exposing: exposing.clone() };
    let memory = MemoryApi { operating: Arc::clone(&services.operating), cache: Arc::clone(&exposing.cache) };
    let config = ConfigApi { operating: Arc::clone(&services.operating) };
    let backups = BackupsApi { backups: Arc::clone(&services.backups) };
    let doctor = DoctorApi { doctor: Arc::clone(&services.doctor) };
    (figures, memory, config, backups, doctor)
}

fn lineage_apis(services: &Services) -> LineageApis {
    let parts = || (Arc::clone(&services.access), Arc::clone(&services.lineage));
    let (access, lineage) = parts();
    let jobs = JobsApi { access, lineage };
    let (access, lineage) = parts();
    let graphs = LineageApi { access, lineage };
    let (access, lineage) = parts();
    let catalogue = CatalogueApi { access, lineage };
    let (access, lineage) = parts();
    (jobs, graphs, catalogue, LineageQueueApi { access, lineage })
}

fn api(apis: Apis) -> OpenApiService<Apis, ()> {
    OpenApiService::new(apis, "Gadwall", env!("CARGO_PKG_VERSION"))
        .description("Projects, buckets and tables over plain HTTP, on DuckDB and DuckLake.")
        .server("/")
}

/// The API's OpenAPI document, as `/openapi.json` serves it.
pub fn openapi_document(services: &Services, config: &HttpConfig) -> String {
    document::complete(&api(apis(services, config, &exposing(services, config))).spec())
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use poem::test::TestClient;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let routes = Route::new().at("/boom", make_sync(|_| -> Response { panic!("a secret") })).with(catch_panics());
        let answer = TestClient::new(routes).get("/boom").send().await;
        answer.assert_status(poem::http::StatusCode::INTERNAL_SERVER_ERROR);
        answer.assert_content_type("application/problem+json");
        let text = answer.0.into_body().into_string().await.unwrap();
        assert!(text.contains("internal_error") && !text.contains("secret"), "{text}");
    }
}
