//! What a query took, as the engine measures it.
//!
//! Of what DuckDB offers, these figures are real for lakes, and cheap: see "Figures of a query" in docs/engine-facts.md.

use duckdb::Connection;
use duckdb::profiling::ProfilingInfo;
use gadwall_domain::query_figures::QueryProfile;

/// Settings that a connection may change although the configuration is locked. No statement of users can.
pub(crate) const ALLOWED: [&str; 2] = ["enable_profiling", "custom_profiling_settings"];

const ENABLE: &str = r#"
    SET enable_profiling='no_output';
    SET custom_profiling_settings='{"OPERATOR_TYPE": "true", "OPERATOR_CARDINALITY": "true", "RESULT_SET_SIZE": "true",
        "SYSTEM_PEAK_BUFFER_MEMORY": "true", "SYSTEM_PEAK_TEMP_DIR_SIZE": "true"}';"#;

/// The operators that read tables, files and nothing else.
const SCAN: &str = "TABLE_SCAN";

/// Has the next statement of a connection measured.
pub(crate) fn begin(connection: &Connection) -> Result<(), duckdb::Error> {
    connection.execute_batch(ENABLE)
}

/// What the last statement took, once all its rows were read. None where the engine says nothing, as of one that was
/// answered from the catalog's statistics alone.
pub(crate) fn measured(connection: &Connection) -> Option<QueryProfile> {
    let query = connection.get_profiling_info()?;
    let mut profile = QueryProfile {
        rows_scanned: 0,
        bytes_scanned: 0,
        peak_memory: number(&query, "SYSTEM_PEAK_BUFFER_MEMORY"),
        peak_spill: number(&query, "SYSTEM_PEAK_TEMP_DIR_SIZE"),
    };
    let mut operators = vec![&query];
    while let Some(operator) = operators.pop() {
        if operator.metrics.get("OPERATOR_TYPE").is_some_and(|kind| kind == SCAN) {
            profile.rows_scanned += number(operator, "OPERATOR_CARDINALITY");
            profile.bytes_scanned += number(operator, "RESULT_SET_SIZE");
        }
        operators.extend(&operator.children);
    }
    Some(profile)
}

fn number(of: &ProfilingInfo, metric: &str) -> u64 {
    of.metrics.get(metric).and_then(|value| value.parse().ok()).unwrap_or_default()
}
