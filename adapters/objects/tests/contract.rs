//! Local files against the contract of object storage.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::sync::Arc;

use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_objects::LocalObjects;
use tempfile::TempDir;

fn fresh() -> (Arc<dyn ObjectStorage>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalObjects::open(folder.path(), Arc::new(FixedClock::default()), Arc::new(SeqIds::default()));
    (Arc::new(store.unwrap()), folder)
}

gadwall_application::objects_contract!(fresh());
