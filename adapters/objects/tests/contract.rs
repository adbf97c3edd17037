//! Local files against the contracts of object storage and of results.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::sync::Arc;

use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;
use gadwall_objects::{LocalObjects, LocalResults};
use tempfile::TempDir;

fn fresh() -> (Arc<dyn ObjectStorage>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalObjects::open(folder.path(), Arc::new(FixedClock::default()), Arc::new(SeqIds::default()));
    (Arc::new(store.unwrap()), folder)
}

fn fresh_results() -> (Arc<dyn ResultStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(LocalResults::open(folder.path()).unwrap()), folder)
}

mod objects {
    gadwall_application::objects_contract!(super::fresh());
}

mod results {
    gadwall_application::results_contract!(super::fresh_results());
}

mod turns {
    use std::sync::Arc;

    use gadwall_domain::ports::turns::Turns;
    use gadwall_objects::ProcessTurns;

    fn fresh() -> ([Arc<dyn Turns>; 2], ()) {
        let turns: Arc<dyn Turns> = Arc::new(ProcessTurns::default());
        ([Arc::clone(&turns), turns], ())
    }

    gadwall_application::turns_contract!(fresh());
}
