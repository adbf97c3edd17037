//! The lake's contract suites on the real engine.

use std::sync::Arc;

use gadwall_ducklake::EmbeddedLakes;
use tempfile::TempDir;

use crate::support;

fn fresh() -> (Arc<EmbeddedLakes>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
    (Arc::new(lakes), dir)
}

gadwall_application::lake_contract!(fresh());

mod views {
    gadwall_application::views_contract!(super::fresh());
}

mod links {
    gadwall_application::links_contract!(super::fresh());
}

mod maintenance {
    gadwall_application::maintenance_contract!(super::fresh());
}
