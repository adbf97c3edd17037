//! Rows that come, change and go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gadwall_domain::commit::Change;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::history::Expected;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{LoadMode, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;
use serde_json::Value;

use super::checks;
use super::filter::{self, Misfit};
use super::rows::{self, Loaded};
use super::state::{State, Stored, default_of};
use super::values::Row;

/// A write to a table's rows.
pub(super) struct Target {
    pub(super) table: TableRef,
    pub(super) schema: TableSchema,
    pub(super) expected: Expected,
}

impl State {
    /// Puts rows in. `None` when nothing was touched.
    pub(super) fn load(
        &mut self,
        target: Target,
        mode: LoadMode,
        loaded: Loaded,
        now: SnapshotId,
    ) -> Result<Option<Change>, WriteError> {
        let Target { table, schema, expected } = target;
        let stored = self.change(&table, expected)?;
        stored.expect_shape(&schema)?;
        let rows = with_defaults(loaded, &stored.columns)?;
        let given = rows.len() as u64;
        let change = match mode {
            LoadMode::Append => {
                refuse_known_keys(&schema, stored, &rows)?;
                stored.add(rows);
                Change::RowsAppended { table, rows: given }
            }
            LoadMode::Upsert => {
                let (inserted, updated) = upsert(&schema, stored, rows);
                Change::RowsUpserted { table, inserted, updated }
            }
            LoadMode::Replace => {
                let deleted = stored.rows.len() as u64;
                stored.rows.clear();
                stored.add(rows);
                Change::RowsReplaced { table, inserted: given, deleted }
            }
        };
        Ok(touched(stored, change, now))
    }

    /// Deletes rows. `None` when nothing was touched.
    pub(super) fn delete(
        &mut self,
        target: Target,
        filter: Option<&Filter>,
        now: SnapshotId,
    ) -> Result<Option<Change>, WriteError> {
        let Target { table, schema, expected } = target;
        let stored = self.change(&table, expected)?;
        stored.expect_shape(&schema)?;
        let rows = remove(stored, filter)?.len() as u64;
        let change = match filter {
            Some(_) => Change::RowsDeleted { table, rows },
            None => Change::TableTruncated { table, rows },
        };
        Ok(touched(stored, change, now))
    }

    /// Changes rows. `None` when nothing was touched.
    pub(super) fn update(
        &mut self,
        target: Target,
        filter: Option<&Filter>,
        set: &[Assignment],
        now: SnapshotId,
    ) -> Result<Option<Change>, WriteError> {
        let Target { table, schema, expected } = target;
        let stored = self.change(&table, expected)?;
        stored.expect_shape(&schema)?;
        let test = filter::read(filter, &stored.columns).map_err(WriteError::BadFilter)?;
        let values = new_values(set, &schema).map_err(WriteError::BadFilter)?;
        let mut rows = 0;
        for row in stored.rows.values_mut().filter(|row| test.means(row)) {
            let row = Arc::make_mut(row);
            for (position, value) in &values {
                row[*position].clone_from(value);
            }
            rows += 1;
        }
        rows::refuse_duplicates(rows::twice(&schema, stored.rows.values().map(AsRef::as_ref)))?;
        Ok(touched(stored, Change::RowsUpdated { table, rows }, now))
    }
}

/// Takes the rows out that a filter means, and answers them.
pub(super) fn remove(stored: &mut Stored, filter: Option<&Filter>) -> Result<BTreeMap<u64, Arc<Row>>, WriteError> {
    let test = filter::read(filter, &stored.columns).map_err(WriteError::BadFilter)?;
    let (gone, kept) = std::mem::take(&mut stored.rows).into_iter().partition(|(_, row)| test.means(row));
    stored.rows = kept;
    Ok(gone)
}

fn touched(stored: &mut Stored, change: Change, now: SnapshotId) -> Option<Change> {
    if change.counts().total() == 0 {
        return None;
    }
    stored.version.rows = now;
    Some(change)
}

/// The table's defaults, as they are now, for what the rows don't mention.
fn with_defaults(loaded: Loaded, columns: &[Column]) -> Result<Vec<Row>, WriteError> {
    let Loaded { mut rows, mentioned } = loaded;
    let missing = mentioned.iter().enumerate().filter(|(_, mentioned)| !**mentioned);
    for (position, _) in missing {
        let default = default_of(&columns[position]);
        if default.is_null() && !columns[position].nullable && !rows.is_empty() {
            // There was a default when the rows were checked.
            return Err(WriteError::TableChanged);
        }
        for row in &mut rows {
            row[position].clone_from(&default);
        }
    }
    Ok(rows)
}

fn refuse_known_keys(schema: &TableSchema, stored: &Stored, rows: &[Row]) -> Result<(), WriteError> {
    if schema.key_columns().is_empty() {
        return Ok(());
    }
    let key_of = |row: &Row| rows::key_of(schema, row);
    let known: HashSet<String> = stored.rows.values().map(|row| key_of(row).to_string()).collect();
    rows::refuse_duplicates(rows.iter().map(key_of).filter(|key| known.contains(&key.to_string())).collect())
}

/// A full row takes the place of the one with its key; the last of a key wins.
fn upsert(schema: &TableSchema, stored: &mut Stored, rows: Vec<Row>) -> (u64, u64) {
    let key_of = |row: &Row| rows::key_of(schema, row).to_string();
    let mut last: HashMap<String, Row> = HashMap::new();
    let mut order = Vec::new();
    for row in rows {
        let key = key_of(&row);
        if last.insert(key.clone(), row).is_none() {
            order.push(key);
        }
    }
    let mut updated = 0;
    for row in stored.rows.values_mut() {
        if let Some(new) = last.remove(&key_of(row)) {
            *row = Arc::new(new);
            updated += 1;
        }
    }
    let new: Vec<Row> = order.iter().filter_map(|key| last.remove(key)).collect();
    let inserted = new.len() as u64;
    stored.add(new);
    (inserted, updated)
}

/// The positions and values that an update sets. The table's rules hold for them.
fn new_values(set: &[Assignment], schema: &TableSchema) -> Result<Vec<(usize, Value)>, Misfit> {
    let mut values: Vec<(usize, Value)> = Vec::new();
    for Assignment { column: name, value } in set {
        let position = filter::position(name, schema.columns())?;
        let column = &schema.columns()[position];
        if values.iter().any(|(other, _)| *other == position) {
            return Err(format!("column {name} is set twice"));
        }
        let value = match value {
            None if !column.nullable => return Err(format!("column {name} is NOT NULL")),
            None => Value::Null,
            Some(literal) => {
                let long =
                    column.data_type.max_chars().filter(|limit| literal.as_str().chars().count() > *limit as usize);
                if let Some(limit) = long {
                    return Err(format!("the value for column {name} is longer than {limit} characters"));
                }
                let value = filter::value_of(literal, column)?;
                if let Some(broken) = checks::broken(column, &value).next() {
                    return Err(format!("column {name}: {:?} {}", literal.as_str(), broken.reason()));
                }
                value
            }
        };
        values.push((position, value));
    }
    Ok(values)
}
