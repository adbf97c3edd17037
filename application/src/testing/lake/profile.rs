//! What columns hold.

use std::cmp::Ordering;
use std::collections::HashMap;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{ColumnProfile, TableProfile};
use gadwall_domain::schema::Column;
use serde_json::Value;

use super::state::Stored;
use super::values::{compare, is_number, is_plain};

/// Most values that are listed as frequent.
const TOP: usize = 10;

pub(super) fn profile(stored: &Stored, snapshot: SnapshotId) -> TableProfile {
    let of = |(position, column): (usize, &Column)| {
        let values = stored.rows.values().map(|row| &row[position]).filter(|value| !value.is_null());
        column_profile(column, values.collect(), stored.rows.len())
    };
    let columns = stored.columns.iter().enumerate().map(of).collect();
    TableProfile { snapshot, rows: stored.rows.len() as u64, columns }
}

#[expect(clippy::cast_precision_loss, reason = "as exact as a mean is")]
fn column_profile(column: &Column, mut values: Vec<&Value>, rows: usize) -> ColumnProfile {
    let ordered = is_plain(&column.data_type);
    values.sort_by(|left, right| compare(left, right).unwrap_or(Ordering::Equal));
    let mut times: HashMap<String, (Value, u64)> = HashMap::new();
    for value in &values {
        times.entry(value.to_string()).or_insert_with(|| ((*value).clone(), 0)).1 += 1;
    }
    let distinct = times.len() as u64;
    let mut top: Vec<(Value, u64)> = times.into_values().collect();
    top.sort_by(|(left, more), (right, less)| less.cmp(more).then(left.to_string().cmp(&right.to_string())));
    top.truncate(TOP);
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
    let has_mean = is_number(&column.data_type) && !numbers.is_empty();
    let count = numbers.len() as f64;
    let mean = has_mean.then(|| numbers.iter().sum::<f64>() / count);
    let squares = |mean: f64| numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
    let std_dev = mean.filter(|_| numbers.len() > 1).map(|mean| (squares(mean) / (count - 1.0)).sqrt());
    let quarter = |quarters: usize| values.get((values.len().max(1) - 1) * quarters / 4).map(|value| (*value).clone());
    let quantiles = || Some([quarter(1)?, quarter(2)?, quarter(3)?]);
    let end = |value: Option<&&Value>| value.filter(|_| ordered).map(|value| (*value).clone());
    ColumnProfile {
        column: column.name.clone(),
        data_type: column.data_type.spelling(),
        count: values.len() as u64,
        nulls: (rows - values.len()) as u64,
        distinct: Some(distinct),
        min: end(values.first()),
        max: end(values.last()),
        mean,
        std_dev,
        quantiles: if ordered { quantiles() } else { None },
        top,
    }
}
