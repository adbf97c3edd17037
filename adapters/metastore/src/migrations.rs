//! Brings a database up to date. A migration means the same in every database, under the same number.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description and text of a migration. One that was released is never changed.
pub(crate) type Script = (i64, &'static str, &'static str);

macro_rules! scripts {
    ($database:literal) => {
        [
            (1, "init", include_str!(concat!("../migrations/", $database, "/0001_init.sql"))),
            (2, "tables in depth", include_str!(concat!("../migrations/", $database, "/0002_tables_in_depth.sql"))),
            (3, "queries", include_str!(concat!("../migrations/", $database, "/0003_queries.sql"))),
            (4, "instances", include_str!(concat!("../migrations/", $database, "/0004_instances.sql"))),
            (5, "keys", include_str!(concat!("../migrations/", $database, "/0005_keys.sql"))),
            (6, "sharing", include_str!(concat!("../migrations/", $database, "/0006_sharing.sql"))),
            (7, "audit", include_str!(concat!("../migrations/", $database, "/0007_audit.sql"))),
            (8, "profiles", include_str!(concat!("../migrations/", $database, "/0008_profiles.sql"))),
            (9, "quotas", include_str!(concat!("../migrations/", $database, "/0009_quotas.sql"))),
            (10, "ontology", include_str!(concat!("../migrations/", $database, "/0010_ontology.sql"))),
            (11, "contracts", include_str!(concat!("../migrations/", $database, "/0011_contracts.sql"))),
            (12, "events", include_str!(concat!("../migrations/", $database, "/0012_events.sql"))),
            (13, "webhooks", include_str!(concat!("../migrations/", $database, "/0013_webhooks.sql"))),
            (14, "lineage", include_str!(concat!("../migrations/", $database, "/0014_lineage.sql"))),
            (15, "readerships", include_str!(concat!("../migrations/", $database, "/0015_readerships.sql"))),
            (16, "maintenance", include_str!(concat!("../migrations/", $database, "/0016_maintenance.sql"))),
            (
                17,
                "lineage forwarding",
                include_str!(concat!("../migrations/", $database, "/0017_lineage_forwarding.sql")),
            ),
            (18, "lineage at speed", include_str!(concat!("../migrations/", $database, "/0018_lineage_at_speed.sql"))),
            (19, "access version", include_str!(concat!("../migrations/", $database, "/0019_access_version.sql"))),
        ]
    };
}

pub(crate) const SQLITE: [Script; 19] = scripts!("sqlite");
pub(crate) const POSTGRES: [Script; 19] = scripts!("postgres");

/// What applies them, each in a transaction of its own.
pub(crate) fn migrator(scripts: impl IntoIterator<Item = Script>) -> Migrator {
    let migration = |(version, description, text): Script| {
        Migration::new(version, description.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(scripts.into_iter().map(migration).collect())
}
