//! The use cases of operators, over fakes.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use gadwall_domain::access::Principal;
use gadwall_domain::audit::AuditFilter;
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::lake::{LakeError, QueryEngine};
use gadwall_domain::ports::operating::LogControlError;
use gadwall_domain::query::{Query, QueryError, QueryOutput, ReadScope};

use super::*;
use crate::breaker::BreakerConfig;
use crate::caller::Identity;
use crate::testing::FixedClock;
use crate::testing::MemoryMetadata;

const MB: u64 = 1 << 20;

struct Outside {
    resident: Mutex<u64>,
    breaks: bool,
    log: Mutex<LogSetting>,
}

#[async_trait]
impl MachineMonitor for Outside {
    async fn machine(&self) -> MachineFigures {
        MachineFigures { memory_total: 100 * MB, memory_available: 75 * MB, ..MachineFigures::default() }
    }

    async fn process(&self) -> ProcessFigures {
        ProcessFigures { resident: *self.resident.lock().unwrap(), ..ProcessFigures::default() }
    }

    async fn give_back(&self) -> bool {
        *self.resident.lock().unwrap() /= 2;
        true
    }
}

#[async_trait]
impl EngineControl for Outside {
    async fn figures(&self) -> EngineFigures {
        EngineFigures { engines: 1, ..EngineFigures::default() }
    }

    async fn reopen(&self) -> Result<u64, LakeError> {
        if self.breaks { Err(LakeError::Busy) } else { Ok(1) }
    }
}

#[async_trait]
impl HealthProbe for Outside {
    async fn check(&self) -> Health {
        Health { name: "engine", ok: true, detail: None }
    }
}

#[async_trait]
impl QueryEngine for Outside {
    async fn query(&self, _: ReadScope, _: Query) -> Result<QueryOutput, QueryError> {
        Err(QueryError::Busy)
    }
}

impl LogControl for Outside {
    fn setting(&self) -> LogSetting {
        self.log.lock().unwrap().clone()
    }

    fn set(&self, level: LoggingLevel, module: Option<&ModuleName>) -> Result<(), LogControlError> {
        let mut log = self.log.lock().unwrap();
        match module {
            Some(module) => log.modules.push((module.clone(), level)),
            None => *log = LogSetting { level, modules: Vec::new() },
        }
        Ok(())
    }
}

struct World {
    operating: Operating,
    store: Arc<MemoryMetadata>,
    clock: Arc<FixedClock>,
    outside: Arc<Outside>,
}

fn world(breaks: bool) -> World {
    let clock = Arc::new(FixedClock::default());
    let log = Mutex::new(LogSetting { level: LoggingLevel::Info, modules: Vec::new() });
    let outside = Arc::new(Outside { resident: Mutex::new(100 * MB), breaks, log });
    let store = Arc::new(MemoryMetadata::default());
    let breaker = Breaker::new("duckdb", BreakerConfig::default(), Arc::clone(&clock) as _);
    let measured = Arc::new(Measured::new(Arc::clone(&clock) as _, true));
    let queries = GuardedEngine::new(Arc::clone(&outside) as _, breaker, Arc::clone(&clock) as _);
    let operating = Operating::new(Parts {
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&clock) as _,
        log: Arc::clone(&outside) as _,
        machine: Arc::clone(&outside) as _,
        engines: Arc::clone(&outside) as _,
        probe: Arc::clone(&outside) as _,
        queries: Arc::new(queries.measured_by(Arc::clone(&measured))),
        outside: Vec::new(),
        pools: Vec::new(),
        measured,
        settings: ServiceSettings::default(),
    });
    World { operating, store, clock, outside }
}

fn admin() -> Caller {
    Caller::new(Principal::Admin, RequestId::parse("r").unwrap())
}

async fn audited(store: &MemoryMetadata) -> Vec<(String, String)> {
    let filter = AuditFilter { limit: 10, ..AuditFilter::default() };
    let found = store.read().await.unwrap().audit().list(&filter).await.unwrap();
    found.into_iter().map(|logged| (logged.entry.operation, logged.entry.resource)).collect()
}

#[tokio::test]
async fn the_level_is_set_by_its_exact_word_and_written_down() {
    let World { operating, store, .. } = world(false);
    assert_eq!(operating.set_logging(&admin(), "DEBUG", None).await.unwrap(), LoggingLevel::Debug);
    operating.set_logging(&admin(), "ERROR", Some("gadwall_http")).await.unwrap();
    let setting = operating.logging(&admin()).unwrap();
    assert_eq!((setting.level, setting.modules.len()), (LoggingLevel::Debug, 1));
    for (level, module) in [("debug", None), ("TRACE", None), ("INFO", Some("a=b,c"))] {
        let refused = operating.set_logging(&admin(), level, module).await;
        assert!(matches!(refused, Err(UseCaseError::Invalid(_))), "{level}");
    }
    let told = [("logging.level_set", "gadwall_http=ERROR"), ("logging.level_set", "DEBUG")];
    assert_eq!(audited(&store).await, told.map(|(what, to)| (what.to_owned(), to.to_owned())));
}

#[tokio::test]
async fn nobody_else_may_do_or_see_anything() {
    let World { operating, store, .. } = world(false);
    let stranger = Caller { identity: Identity::Unknown, ..admin() };
    let refused = |error: UseCaseError| matches!(error, UseCaseError::Unauthenticated);
    assert!(refused(operating.machine(&stranger).await.unwrap_err()));
    assert!(refused(operating.logging(&stranger).unwrap_err()));
    assert!(refused(operating.set_logging(&stranger, "DEBUG", None).await.unwrap_err()));
    assert!(refused(operating.settings(&stranger).unwrap_err()));
    assert!(refused(operating.connection(&stranger).await.unwrap_err()));
    assert!(refused(operating.reconnect(&stranger).await.unwrap_err()));
    assert!(refused(operating.memory(&stranger).await.unwrap_err()));
    assert!(refused(operating.performance(&stranger).unwrap_err()));
    assert!(refused(operating.release(&stranger, 0).await.unwrap_err()));
    assert!(audited(&store).await.is_empty());
}

#[tokio::test]
async fn a_reopening_that_fails_is_not_told_as_done() {
    let World { operating, store, .. } = world(true);
    assert!(matches!(operating.reconnect(&admin()).await, Err(UseCaseError::Lake(LakeError::Busy))));
    assert!(audited(&store).await.is_empty());
    assert_eq!(operating.figures().await.reopened, 0);
    let World { operating, store, .. } = world(false);
    let (engines, connection) = operating.reconnect(&admin()).await.unwrap();
    assert!(engines == 1 && connection.health.ok);
    assert_eq!(audited(&store).await, [("engine.reopened".to_owned(), "1".to_owned())]);
    assert_eq!(operating.figures().await.reopened, 1);
}

#[tokio::test]
async fn memory_is_told_now_and_of_the_last_hour() {
    let World { operating, clock, outside, .. } = world(false);
    assert_eq!(operating.memory(&admin()).await.unwrap().stats, None);
    for step in 0..20 {
        *outside.resident.lock().unwrap() = (100 + 20 * step) * MB;
        operating.sample().await;
        clock.advance(TimeDelta::seconds(5));
    }
    let memory = operating.memory(&admin()).await.unwrap();
    let stats = memory.stats.unwrap();
    assert_eq!((stats.min, stats.max, memory.process.resident), (100 * MB, 480 * MB, 480 * MB));
    assert_eq!(operating.figures().await.leak_alerts, 2);
    let released = operating.release(&admin(), 3).await.unwrap();
    assert_eq!((released.before, released.process.resident), (480 * MB, 240 * MB));
}

#[tokio::test]
async fn what_is_counted_is_among_the_figures() {
    let World { operating, .. } = world(false);
    let labels = RequestLabels { method: "GET", route: "/projects".into(), status: 200 };
    operating.parts.measured.request(labels, Duration::from_millis(3));
    let figures = operating.figures().await;
    assert_eq!((figures.requests.len(), figures.breakers[0].name, figures.engines.engines), (1, "duckdb", 1));
    assert_eq!(figures.lineage.map(|lineage| lineage.waiting), Some(0));
    assert_eq!(operating.performance(&admin()).unwrap().requests.map(|requests| requests.count), Some(1));
}
