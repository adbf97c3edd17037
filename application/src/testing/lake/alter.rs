//! Tables that change their shape.

use std::sync::Arc;

use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::commit::Change;
use gadwall_domain::history::Expected;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::{Layout, Transform};
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::{Column, DefaultValue, SchemaError, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

use super::checks;
use super::filter;
use super::rows;
use super::state::{State, Stored, column_id, default_of, stored_column};
use super::values::{Row, parse};
use serde_json::Value;

impl State {
    pub(super) fn alter(
        &mut self,
        table: TableRef,
        schema: &TableSchema,
        alteration: Alteration,
        expected: Expected,
        now: SnapshotId,
    ) -> Result<Change, WriteError> {
        let stored = self.change(&table, expected)?;
        stored.expect_shape(schema)?;
        stored.expect_defaults(schema)?;
        let after = alteration.apply(schema)?;
        let last = match &alteration {
            Alteration::Together { steps } => {
                let mut shape = schema.clone();
                for step in steps {
                    shape = step.apply(&shape)?;
                    check(stored, step, &shape)?;
                }
                steps.last()
            }
            one => {
                check(stored, one, &after)?;
                Some(one)
            }
        };
        // Those before the last change nothing but what the commit tells.
        if let Some(last) = last {
            change(stored, last, now);
        }
        stored.columns = after.columns().iter().map(stored_column).collect();
        stored.version.schema = now;
        let primary_key = after.key_columns().to_vec();
        Ok(Change::TableAltered { table, alteration, columns: after.columns().to_vec(), primary_key })
    }
}

/// What depends on the rows, the layout and the values that can be read.
fn check(stored: &Stored, alteration: &Alteration, after: &TableSchema) -> Result<(), WriteError> {
    match alteration {
        Alteration::AddColumn { column } => {
            check_default(column)?;
            if !column.nullable && column.default.is_none() && !stored.rows.is_empty() {
                return Err(AlterationError::NeedsDefault(column.name.clone()).into());
            }
        }
        Alteration::DropColumn { column } => stored.layout.require_without(column)?,
        Alteration::SetNotNull { column } => refuse_nulls(stored, column)?,
        Alteration::Retype { column, .. } => refuse_loss(stored, column, after)?,
        Alteration::SetDefault { column, .. } => {
            after.columns().iter().filter(|after| after.name == *column).try_for_each(check_default)?;
        }
        Alteration::SetChecks { column, .. } => {
            let position = filter::position(column, after.columns());
            let position = position.map_err(|_| AlterationError::NoColumn(column.clone()))?;
            let held = &after.columns()[position];
            checks::fit(held)?;
            let breaks = |row: &&Arc<Row>| checks::broken(held, &row[position]).next().is_some();
            match stored.rows.values().filter(breaks).count() as u64 {
                0 => {}
                rows => return Err(AlterationError::BreaksChecks { column: column.clone(), rows }.into()),
            }
        }
        Alteration::SetPrimaryKey { columns } => {
            columns.iter().try_for_each(|column| refuse_nulls(stored, column))?;
            rows::refuse_duplicates(rows::twice(after, stored.rows.values().map(AsRef::as_ref)))?;
        }
        Alteration::PartitionBy { partition_by } => {
            let layout = Layout { partition_by: partition_by.clone(), sort_by: Vec::new() };
            check_layout(&layout, after.columns())?;
        }
        Alteration::SortBy { sort_by } => {
            let layout = Layout { partition_by: Vec::new(), sort_by: sort_by.clone() };
            check_layout(&layout, after.columns())?;
        }
        _ => {}
    }
    Ok(())
}

/// What happens beside the columns themselves.
fn change(stored: &mut Stored, alteration: &Alteration, now: SnapshotId) {
    match alteration {
        Alteration::AddColumn { column } => {
            let default = default_of(column);
            each_row(stored, |row| row.push(default.clone()));
            stored.column_ids.push(column_id(now, 0));
        }
        Alteration::DropColumn { column } => {
            if let Ok(position) = filter::position(column, &stored.columns) {
                each_row(stored, |row| drop(row.remove(position)));
                stored.column_ids.remove(position);
            }
            stored.comments.columns.remove(column);
        }
        Alteration::RenameColumn { column, to } => {
            let partitions = stored.layout.partition_by.iter_mut().map(|part| &mut part.column);
            let sorted = stored.layout.sort_by.iter_mut().map(|key| &mut key.column);
            partitions.chain(sorted).filter(|name| *name == column).for_each(|name| *name = to.clone());
            if let Some(comment) = stored.comments.columns.remove(column) {
                stored.comments.columns.insert(to.clone(), comment);
            }
        }
        Alteration::Comment { column: None, comment } => stored.comments.table.clone_from(comment),
        Alteration::Comment { column: Some(column), comment } => {
            stored.comments.columns.remove(column);
            if let Some(comment) = comment {
                stored.comments.columns.insert(column.clone(), comment.clone());
            }
        }
        Alteration::PartitionBy { partition_by } => stored.layout.partition_by.clone_from(partition_by),
        Alteration::SortBy { sort_by } => stored.layout.sort_by.clone_from(sort_by),
        Alteration::Retype { column, data_type } => {
            if let Ok(position) = filter::position(column, &stored.columns) {
                each_row(stored, |row| row[position] = retyped(&row[position], data_type).unwrap_or_default());
            }
        }
        Alteration::SetType { column, data_type: DataType::Double } => {
            // The same number, written as one of the new type.
            if let Ok(position) = filter::position(column, &stored.columns) {
                each_row(stored, |row| {
                    if let Some(number) = row[position].as_f64() {
                        row[position] = number.into();
                    }
                });
            }
        }
        _ => {}
    }
}

fn each_row(stored: &mut Stored, change: impl Fn(&mut Row)) {
    stored.rows.values_mut().for_each(|row| change(Arc::make_mut(row)));
}

/// A value as one of another type, if it can be.
fn retyped(value: &Value, data_type: &DataType) -> Option<Value> {
    match value {
        Value::Null => Some(Value::Null),
        Value::String(text) => parse(text, data_type),
        other => parse(&other.to_string(), data_type),
    }
}

/// Values that are there must be of the new type, and come back as they were.
fn refuse_loss(stored: &Stored, column: &ColumnName, after: &TableSchema) -> Result<(), WriteError> {
    stored.layout.require_without(column)?;
    let position = filter::position(column, &stored.columns);
    let position = position.map_err(|_| AlterationError::NoColumn(column.clone()))?;
    let (now, then) = (&stored.columns[position], &after.columns()[position]);
    check_default(then)?;
    let is_lost = |row: &&Arc<Row>| {
        let there = retyped(&row[position], &then.data_type);
        let is_long = |value: &Value| {
            let chars = value.as_str().map(|text| text.chars().count());
            chars.zip(then.data_type.max_chars()).is_some_and(|(chars, most)| chars > most as usize)
        };
        let holds = there.filter(|value| !is_long(value) && checks::broken(then, value).next().is_none());
        holds.and_then(|value| retyped(&value, &now.data_type)).as_ref() != Some(&row[position])
    };
    match stored.rows.values().filter(is_lost).count() as u64 {
        0 => Ok(()),
        rows => {
            let (column, to) = (column.clone(), then.data_type.spelling());
            Err(AlterationError::WouldLose { column, to, rows }.into())
        }
    }
}

fn refuse_nulls(stored: &Stored, column: &ColumnName) -> Result<(), WriteError> {
    let position = filter::position(column, &stored.columns);
    let position = position.map_err(|_| AlterationError::NoColumn(column.clone()))?;
    match stored.rows.values().filter(|row| row[position].is_null()).count() as u64 {
        0 => Ok(()),
        rows => Err(AlterationError::HasNulls { column: column.clone(), rows }.into()),
    }
}

/// A default is a value of its column.
pub(super) fn check_default(column: &Column) -> Result<(), WriteError> {
    let Some(text) = column.default.as_ref().map(DefaultValue::as_str) else { return checks::fit(column) };
    let fits = column.data_type.max_chars().is_none_or(|limit| text.chars().count() <= limit as usize)
        && parse(text, &column.data_type).is_some();
    let misfit = || SchemaError::Default(text.chars().take(60).collect());
    if fits { checks::fit(column) } else { Err(AlterationError::Schema(misfit()).into()) }
}

/// A layout is of columns that are there, and can be had of their types.
pub(super) fn check_layout(layout: &Layout, columns: &[Column]) -> Result<(), WriteError> {
    let find = |name: &ColumnName| columns.iter().find(|column| column.name == *name);
    for part in &layout.partition_by {
        let column = find(&part.column).ok_or_else(|| misfit(format!("there is no column {}", part.column)))?;
        let fits = match part.transform {
            Transform::Identity => !column.data_type.is_nested(),
            Transform::Bucket(count) => count > 0 && !column.data_type.is_nested(),
            Transform::Hour => is_timestamp(&column.data_type),
            _ => column.data_type == DataType::Date || is_timestamp(&column.data_type),
        };
        if !fits {
            return Err(misfit(format!("{part} can't be had of {}", column.data_type.spelling())));
        }
    }
    match layout.sort_by.iter().find(|key| find(&key.column).is_none()) {
        Some(key) => Err(misfit(format!("there is no column {}", key.column))),
        None => Ok(()),
    }
}

fn misfit(reason: String) -> WriteError {
    AlterationError::Layout(reason).into()
}

fn is_timestamp(data_type: &DataType) -> bool {
    use DataType::{Timestamp, TimestampMs, TimestampNs, TimestampS, TimestampTz};
    matches!(data_type, Timestamp | TimestampMs | TimestampNs | TimestampS | TimestampTz)
}
