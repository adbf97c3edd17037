//! Which tables a project's metadata is in, and what becomes of each in a backup. A table that is in neither list fails a test: who
//! adds one decides.

/// When rows of a table arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrives {
    /// Always.
    Always,
    /// Where the project keeps its name.
    UnderItsName,
    /// Where it keeps its name, and nothing of that kind is there.
    ItsPast,
    /// Once all projects are there: rows name other ones.
    Related,
}

/// A table that backups have.
#[derive(Debug)]
pub(super) struct Archived {
    pub(super) name: &'static str,
    /// Which rows are a project's, `$1`.
    pub(super) of: &'static str,
    /// What tells its rows apart, in whose order they are read.
    pub(super) key: &'static [&'static str],
    /// The column that names the project.
    pub(super) project: &'static str,
    /// A column that counts rows, and counts anew where they arrive.
    pub(super) counts: Option<&'static str>,
    pub(super) arrives: Arrives,
}

const fn of_project(name: &'static str, key: &'static [&'static str], arrives: Arrives) -> Archived {
    Archived { name, of: "project = $1", key, project: "project", counts: None, arrives }
}

const fn counted(name: &'static str, key: &'static [&'static str], arrives: Arrives) -> Archived {
    Archived { counts: Some(key[0]), ..of_project(name, key, arrives) }
}

use Arrives::{Always, ItsPast, Related, UnderItsName};

/// The project itself.
pub(super) const PROJECTS: Archived = Archived {
    name: "projects",
    of: "id_key = $1",
    key: &["id_key"],
    project: "id_key",
    counts: None,
    arrives: Always,
};

/// All others, in the order in which their rows can be put.
pub(super) const TABLES: [Archived; 26] = [
    of_project("api_keys", &["id"], UnderItsName),
    of_project("lake_applied", &["project"], Always),
    of_project("bucket_facts", &["project", "bucket_key", "begin_snapshot"], Always),
    of_project("table_facts", &["project", "bucket_key", "table_key", "begin_snapshot"], Always),
    of_project("keyed_writes", &["project", "key_id", "idempotency_key", "snapshot", "write_number"], Always),
    of_project("tags", &["project", "name_key"], Always),
    of_project("usage_days", &["project", "day"], UnderItsName),
    Archived {
        name: "schema_versions",
        of: "schema_id IN (SELECT schema_id FROM governed_tables WHERE project = $1)",
        key: &["schema_id", "digest"],
        project: "",
        counts: None,
        arrives: Always,
    },
    of_project("governed_tables", &["project", "bucket_key", "table_key"], Always),
    of_project("contracts", &["project", "bucket_key", "table_key", "begin_snapshot"], Always),
    counted("contract_results", &["number"], Always),
    of_project("change_consumers", &["project", "bucket_key", "table_key", "name_key"], UnderItsName),
    of_project("webhooks", &["id"], UnderItsName),
    of_project("maintenance", &["project"], Always),
    of_project("lineage_jobs", &["project", "id"], Always),
    of_project("lineage_runs", &["project", "id"], Always),
    of_project("lineage_datasets", &["project", "id"], Always),
    of_project("lineage_uses", &["project", "run", "direction", "dataset"], Always),
    of_project("lineage_edges", &["project", "job", "direction", "dataset"], Always),
    of_project(
        "lineage_columns",
        &["project", "to_dataset", "job", "to_field", "from_dataset", "from_field", "influence", "transformation"],
        Always,
    ),
    counted("lineage_queue", &["position"], UnderItsName),
    counted("audit", &["entry"], ItsPast),
    Archived {
        name: "shares",
        of: "source = $1",
        key: &["source", "bucket_key", "target"],
        project: "source",
        counts: None,
        arrives: Related,
    },
    Archived {
        name: "read_grants",
        of: "source = $1",
        key: &["source", "bucket_key"],
        project: "source",
        counts: None,
        arrives: Related,
    },
    of_project("links", &["project", "name_key"], Related),
    Archived {
        name: "readerships",
        of: "source = $1",
        key: &["source", "bucket_key", "table_key", "reader"],
        project: "source",
        counts: None,
        arrives: Related,
    },
];

/// Columns that name other projects.
pub(super) const OTHERS: [(&str, &str); 3] = [("shares", "target"), ("links", "source"), ("readerships", "reader")];

/// Tables that backups don't have: the installation's own, what is under way, and what is told in the order of one installation.
#[cfg(test)]
pub(super) const LEFT_OUT: [&str; 12] = [
    "access_version",
    "events",
    "events_forgotten",
    "event_tokens",
    "idempotency",
    "instances",
    "operations",
    "queries",
    "webhook_dead_letters",
    "lineage_forward",
    "lineage_forwarding",
    "projects",
];
