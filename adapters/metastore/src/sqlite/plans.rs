//! Statements over tables that grow find their rows by an index, however much there is.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};

use super::open::{self, SqliteConfig};
use crate::{audit, event_tokens, idempotency, lake_index, lineage, operations, projects, queries};

#[tokio::test]
async fn statements_over_growing_tables_use_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(5);
    let path = folder.path().join("m.sqlite");
    let config = SqliteConfig { path, max_readers: 1, acquire_timeout: patience, busy_timeout: patience };
    let (writer, _readers) = open::pools(&config).await.unwrap();
    for (statement, indexes) in [
        (lake_index::TABLES, &["table_facts_now", "table_facts_by_end"][..]),
        (lake_index::FORGET_KEYS, &["keyed_writes_by_age"]),
        (audit::OF_PROJECT, &["audit_by_project"]),
        (audit::FORGET, &["audit_by_age"]),
        (event_tokens::FORGET, &["event_tokens_by_end"]),
        (projects::TO_PURGE, &["projects_by_purge"]),
        (idempotency::FORGET_BEFORE, &["idempotency_by_age"]),
        (operations::LIST, &["operations_by_project"]),
        (operations::UNFINISHED, &["operations_by_end"]),
        (operations::FORGET_BEFORE, &["operations_by_end"]),
        (lineage::LIST_RUNS, &["lineage_runs_by_age"]),
        (lineage::RUNS_OF_JOB, &["lineage_runs_by_job"]),
        (lineage::WAITING, &["lineage_queue_by_state"]),
        (lineage::DEAD, &["lineage_queue_by_project"]),
        (queries::LIST, &["queries_by_project"]),
        (queries::KEEP_NEWEST, &["queries_by_project"]),
        (queries::FORGET_BEFORE, &["queries_by_end"]),
        (&of_keys(lineage::EDGES_OF_JOBS), &["PRIMARY KEY"]),
        (&of_keys(lineage::EDGES_OF_DATASETS), &["lineage_edges_by_dataset"]),
    ] {
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan = sqlx::query(plan).fetch_all(&writer).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN") && step != "SCAN CONSTANT ROW"),
            "{statement}: {plan:#?}"
        );
        for index in indexes {
            assert!(plan.iter().any(|step| step.contains(index)), "{statement}: {index} in {plan:#?}");
        }
    }
}

/// A statement for one key.
fn of_keys(before: &str) -> String {
    format!("{before} IN (VALUES ($1)) AND e.project = $2 AND e.direction = 1 LIMIT $3")
}
