//! What rules find, as far as it takes no engine: NULLs and numbers of rows.

use gadwall_domain::contract::{Breach, Measure, Metric, QualityRule};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Measured, Measuring};

use super::filter;
use super::state::Stored;

pub(super) fn measure(stored: &Stored, snapshot: SnapshotId, measuring: &Measuring) -> Measured {
    let rules = measuring.schema.contract().map(|held| held.contract.terms.rules.as_slice()).unwrap_or_default();
    let found = |rule: &QualityRule| {
        let count = match &rule.metric {
            Metric::RowCount => Some(stored.rows.len()),
            Metric::NullValues(column) => filter::position(column, &stored.columns)
                .ok()
                .map(|position| stored.rows.values().filter(|row| row[position].is_null()).count()),
            _ => None,
        };
        let count = count.and_then(|count| u32::try_from(count).ok());
        let measure = match count {
            Some(count) => Measure::of(rule, Some(f64::from(count))),
            None => Measure::failed(rule, "a lake in memory can't measure it".to_owned()),
        };
        Breach { measure, samples: Vec::new() }
    };
    Measured { snapshot, rules: rules.iter().map(found).collect(), times: vec![None; measuring.times.len()] }
}
