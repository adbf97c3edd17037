//! Random steps of several clients on a lake equal the same steps on a simple model, snapshot by snapshot.
//!
//! `PROPTEST_CASES=500 cargo nextest run -p gadwall-ducklake -E 'binary(model)'` looks longer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crowd;
mod driver;
mod steps;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gadwall_application::testing::MemoryLake;
use gadwall_application::testing::builders::lake;
use gadwall_domain::ports::lake::Lake;
use gadwall_ducklake::EmbeddedLakes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use driver::Pair;
use steps::Step;

/// A lake under test, of which every case gets a fresh one.
struct Subject {
    store: Arc<dyn Lake>,
    runtime: Runtime,
    cases: AtomicU64,
}

impl Subject {
    fn new(store: Arc<dyn Lake>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { store, runtime, cases: AtomicU64::new(1) }
    }

    async fn pair(&self) -> Pair {
        let case = self.cases.fetch_add(1, Ordering::Relaxed);
        Pair::new(Arc::clone(&self.store), lake(case.into())).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test may be told to look longer")]
    /// Runs so many cases, or as many as `PROPTEST_CASES` says.
    fn check<S: Strategy>(&self, cases: u32, scripts: &S, run: impl AsyncFn(Pair, S::Value)) {
        let mut config = Config { max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = cases;
        }
        let case = |script| -> Result<(), TestCaseError> {
            self.runtime.block_on(async {
                let pair = self.pair().await;
                let lake = pair.lake;
                run(pair, script).await;
                self.store.remove(lake).await.unwrap();
            });
            Ok(())
        };
        TestRunner::new(config).run(scripts, case).unwrap();
    }
}

async fn one_after_the_other(mut pair: Pair, script: Vec<Step>) {
    for step in &script {
        pair.step(step).await;
    }
    pair.compare_past().await;
}

fn embedded(dir: &std::path::Path) -> Subject {
    Subject::new(Arc::new(EmbeddedLakes::open(&support::config(dir)).unwrap()))
}

#[test]
fn random_steps_equal_the_model() {
    let dir = tempfile::tempdir().unwrap();
    embedded(dir.path()).check(6, &steps::script(16), one_after_the_other);
}

#[test]
fn steps_at_once_equal_the_model_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    embedded(dir.path()).check(6, &(steps::script(6), steps::crowd(12)), crowd::at_once);
}

/// The model is put to its own test: whatever the steps, it never answers with a fault, and its past stands still.
#[test]
fn the_model_equals_itself() {
    let subject = Subject::new(Arc::new(MemoryLake::default()));
    subject.check(200, &steps::script(40), one_after_the_other);
    subject.check(200, &(steps::script(6), steps::crowd(24)), crowd::at_once);
}
