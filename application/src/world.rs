//! All use cases over in-memory adapters, for their unit tests.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use gadwall_domain::access::Principal;
use gadwall_domain::audit::{AuditEntry, AuditFilter};
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::lake::Lake;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::objects::ObjectStorage;
use uuid::Uuid;

use crate::access::{Access, AdminPolicy, digest};
use crate::buckets::Buckets;
use crate::caller::{Caller, Identity};
use crate::datasets::Datasets;
use crate::instances::Instances;
use crate::projection::Projection;
use crate::projects::{Files, NewProject, Projects};
use crate::queries::{QuerySettings, RunningQueries};
use crate::sharing::Sharing;
use crate::tables::Tables;
use crate::testing::builders::{noon, project_id};
use crate::testing::{FixedClock, MemoryLake, MemoryMetadata, MemoryObjects, MemoryResults, SeqIds};

pub(crate) const ADMIN_KEY: &str = "the admin's key";

pub(crate) struct World {
    pub(crate) store: Arc<MemoryMetadata>,
    pub(crate) lakes: Arc<dyn Lake>,
    pub(crate) objects: Arc<dyn ObjectStorage>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) access: Arc<Access>,
    pub(crate) projection: Arc<Projection>,
    pub(crate) projects: Arc<Projects>,
    pub(crate) buckets: Buckets,
    pub(crate) datasets: Datasets,
    pub(crate) tables: Tables,
    pub(crate) sharing: Arc<Sharing>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FixedClock::at(noon()));
        let lakes = Arc::new(MemoryLake::new(Arc::clone(&clock) as _));
        Self::over(clock, lakes, Arc::default())
    }

    pub(crate) fn over(clock: Arc<FixedClock>, lakes: Arc<dyn Lake>, memory: Arc<MemoryMetadata>) -> Self {
        let store: Arc<dyn MetadataStore> = Arc::clone(&memory) as _;
        let admins = AdminPolicy::Keys(vec![digest("another"), digest(ADMIN_KEY)]);
        let access = Arc::new(Access::new(Arc::clone(&store), Arc::clone(&clock) as _, admins));
        let projection = Arc::new(Projection::new(Arc::clone(&store), Arc::clone(&lakes) as _));
        let objects: Arc<dyn ObjectStorage> = Arc::new(MemoryObjects::new(Arc::clone(&clock) as _));
        let projects = Arc::new(Projects::new(
            Arc::clone(&store),
            Arc::clone(&lakes) as _,
            Files { objects: Arc::clone(&objects), results: Arc::new(MemoryResults::default()) },
            Arc::clone(&access),
            Arc::clone(&projection),
            Arc::clone(&clock) as _,
            Arc::new(SeqIds::default()),
        ));
        let parts = || (Arc::clone(&store), Arc::clone(&lakes), Arc::clone(&access), Arc::clone(&projection));
        let (a, b, c, d) = parts();
        let sharing = Self::sharing(&store, &lakes, &access, &clock);
        let buckets = Buckets::new(a, b as _, c, d, Arc::clone(&projects), Arc::clone(&sharing));
        let (a, b, c, d) = parts();
        let tables = Tables::new(a, b, c, d, Arc::clone(&projects));
        let datasets = Datasets::new(Arc::clone(&objects), Arc::clone(&access));
        Self { store: memory, lakes, objects, clock, access, projection, projects, buckets, datasets, tables, sharing }
    }

    fn sharing(
        store: &Arc<dyn MetadataStore>,
        lakes: &Arc<dyn Lake>,
        access: &Arc<Access>,
        clock: &Arc<FixedClock>,
    ) -> Arc<Sharing> {
        let settings = QuerySettings {
            max_concurrent: 2,
            max_concurrent_per_project: 0,
            max_queued: 2,
            queue_timeout: Duration::from_secs(10),
            history_limit: 3,
            history_retention: TimeDelta::days(7),
        };
        let ids = Arc::new(SeqIds::default());
        // Its writer goes: nothing runs here.
        let (running, _) = RunningQueries::new(settings, Arc::clone(store), Arc::clone(clock) as _, ids);
        let (store, lakes, access) = (Arc::clone(store), Arc::clone(lakes), Arc::clone(access));
        Arc::new(Sharing::new(store, lakes, access, running, Arc::clone(clock) as _))
    }

    /// A life of a server, which was not heard of yet.
    pub(crate) fn instance(&self, number: u128) -> Arc<Instances> {
        let (store, clock) = (Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _);
        Arc::new(Instances::new(store, clock, Uuid::from_u128(number), TimeDelta::seconds(30)))
    }

    #[expect(clippy::unused_self, reason = "reads as it is meant: the world's admin")]
    pub(crate) fn admin(&self) -> Caller {
        caller(Identity::Known(Principal::Admin))
    }

    /// Makes a project; answers its key and a caller who uses it.
    pub(crate) async fn project(&self, id: &str) -> (String, Caller) {
        let new = NewProject::of(project_id(id));
        let key = self.projects.create(&self.admin(), new).await.unwrap().api_key.unwrap();
        let identity = self.access.authenticate(Some(&key)).await.unwrap();
        (key, caller(identity))
    }

    /// A project's newest audit entries, newest first.
    pub(crate) async fn audited(&self, id: &str) -> Vec<AuditEntry> {
        let filter = AuditFilter { project: Some(project_id(id)), limit: 100, ..AuditFilter::default() };
        let found = self.store.read().await.unwrap().audit().list(&filter).await.unwrap();
        found.into_iter().map(|logged| logged.entry).collect()
    }

    /// The types of a project's logged events.
    pub(crate) async fn events(&self, id: &str) -> Vec<String> {
        let mut tx = self.store.read().await.unwrap();
        let events = tx.events().read_after(&project_id(id), 0, 100).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

pub(crate) fn caller(identity: Identity) -> Caller {
    let request_id = RequestId::parse("r1").unwrap();
    Caller { identity, ..Caller::new(Principal::Admin, request_id) }
}
