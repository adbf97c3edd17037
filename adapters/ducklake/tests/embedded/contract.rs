//! The lake's contract suite on the real engine.

use std::sync::Arc;

use gadwall_domain::ports::lake::Lake;
use gadwall_ducklake::EmbeddedLakes;
use tempfile::TempDir;

use crate::support;

fn fresh() -> (Arc<dyn Lake>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
    (Arc::new(lakes), dir)
}

gadwall_application::lake_contract!(fresh());

mod views {
    use std::sync::Arc;

    use gadwall_application::testing::contract::views::ViewLake;
    use gadwall_ducklake::EmbeddedLakes;
    use tempfile::TempDir;

    use super::support;

    fn fresh() -> (Arc<dyn ViewLake>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
        (Arc::new(lakes), dir)
    }

    gadwall_application::views_contract!(fresh());
}

mod links {
    use std::sync::Arc;

    use gadwall_application::testing::contract::links::LinkLake;
    use gadwall_ducklake::EmbeddedLakes;
    use tempfile::TempDir;

    use super::support;

    fn fresh() -> (Arc<dyn LinkLake>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
        (Arc::new(lakes), dir)
    }

    gadwall_application::links_contract!(fresh());
}

mod maintenance {
    use std::sync::Arc;

    use gadwall_application::testing::contract::maintenance::MaintainedLake;
    use gadwall_ducklake::EmbeddedLakes;
    use tempfile::TempDir;

    use super::support;

    fn fresh() -> (Arc<dyn MaintainedLake>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let lakes = EmbeddedLakes::open(&support::config(dir.path())).unwrap();
        (Arc::new(lakes), dir)
    }

    gadwall_application::maintenance_contract!(fresh());
}
