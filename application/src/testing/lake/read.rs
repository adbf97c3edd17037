//! Reading rows, and what happened to them.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType as ArrowType, Field, Schema};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;

use super::filter::{self, Misfit};
use super::past::Lake;
use super::state::{State, Stored, default_of};
use super::values::{Row, compare, to_batch};

/// Finds a table in a version that is there.
pub(super) fn find<'a>(
    lake: &'a Lake,
    table: &TableRef,
    at: ReadAt,
) -> Result<(SnapshotId, &'a Arc<Stored>), QueryError> {
    let (snapshot, state) = match at {
        ReadAt::Snapshot(wanted) => lake.at(at).ok_or(QueryError::NoSnapshot(wanted))?,
        ReadAt::Head => lake.at(at).ok_or_else(|| QueryError::Engine("the lake holds nothing".to_owned()))?,
    };
    let unknown = || QueryError::UnknownTable { name: table.to_string(), candidates: Vec::new() };
    state.find(table).map(|stored| (snapshot, stored)).ok_or_else(unknown)
}

/// One batch of rows as a stream.
pub(super) fn stream(rows: RecordBatch) -> RowStream {
    RowStream { schema: rows.schema(), batches: Box::pin(futures_util::stream::iter([Ok(rows)])) }
}

/// The part of a table that is selected.
pub(super) fn select(stored: &Stored, selection: &Selection) -> Result<RecordBatch, QueryError> {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let rows = ordered(stored, selection).map_err(QueryError::Sql)?;
    let skipped = rows.into_iter().skip(size(selection.offset));
    let rows: Vec<&Row> = skipped.take(selection.limit.map_or(usize::MAX, size)).collect();
    let all = to_batch(&stored.columns, &rows).map_err(|error| QueryError::Engine(error.to_string()))?;
    let Some(wanted) = &selection.columns else { return Ok(all) };
    let at = wanted.iter().map(|name| filter::position(name, &stored.columns)).collect::<Result<Vec<_>, _>>();
    all.project(&at.map_err(QueryError::Sql)?).map_err(|error| QueryError::Engine(error.to_string()))
}

fn ordered<'a>(stored: &'a Stored, selection: &Selection) -> Result<Vec<&'a Row>, Misfit> {
    let test = filter::read(selection.filter.as_ref(), &stored.columns)?;
    let mut keys = Vec::new();
    for key in &selection.order_by {
        keys.push((filter::position(&key.column, &stored.columns)?, key.descending, key.nulls_first));
    }
    let mut rows: Vec<&Row> = stored.rows.values().map(AsRef::as_ref).filter(|row| test.means(row)).collect();
    rows.sort_by(|left, right| {
        let by = |&(at, descending, nulls_first): &(usize, bool, bool)| {
            let nulls = right[at].is_null().cmp(&left[at].is_null());
            let values = compare(&left[at], &right[at]).unwrap_or(Ordering::Equal);
            let nulls = if nulls_first { nulls } else { nulls.reverse() };
            nulls.then(if descending { values.reverse() } else { values })
        };
        keys.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    Ok(rows)
}

/// One thing that happened to a row.
struct Happened {
    snapshot: SnapshotId,
    number: u64,
    what: &'static str,
    row: Row,
}

/// What happened to a table's rows, as the table is in the last of these snapshots.
pub(super) fn changes(
    lake: &Lake,
    table: &TableRef,
    from: SnapshotId,
    to: SnapshotId,
    limit: Option<u64>,
) -> Result<RecordBatch, QueryError> {
    let (_, last) = find(lake, table, ReadAt::Snapshot(to))?;
    let asked = (from.get()..=to.get()).filter_map(|number| SnapshotId::new(number.cast_signed()).ok());
    if let Some(gone) = asked.into_iter().find(|snapshot| !lake.versions.contains_key(snapshot)) {
        return Err(QueryError::NoSnapshot(gone));
    }
    let mut happened = Vec::new();
    for (snapshot, version) in lake.versions.iter().filter(|(snapshot, _)| (from..=to).contains(*snapshot)) {
        let changed = version.state.find_id(last.id).filter(|stored| stored.version.rows == *snapshot);
        if let Some(now) = changed {
            compare_versions(*snapshot, lake.before(*snapshot), now, last, &mut happened);
        }
    }
    happened.truncate(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
    describe(last, &happened).map_err(|error| QueryError::Engine(error.to_string()))
}

fn compare_versions(
    snapshot: SnapshotId,
    before: Option<&State>,
    now: &Stored,
    last: &Stored,
    happened: &mut Vec<Happened>,
) {
    let mut say = |number: u64, what, row: Row| happened.push(Happened { snapshot, number, what, row });
    let before = before.and_then(|state| state.find_id(now.id));
    for (number, row, then) in
        before.iter().flat_map(|then| then.rows.iter().map(move |(number, row)| (*number, row, then)))
    {
        let row = as_in(last, then, row);
        match now.rows.get(&number) {
            None => say(number, "delete", row),
            Some(new) if as_in(last, now, new) != row => {
                say(number, "update_preimage", row);
                say(number, "update_postimage", as_in(last, now, new));
            }
            Some(_) => {}
        }
    }
    for (number, row) in &now.rows {
        if before.is_none_or(|before| !before.rows.contains_key(number)) {
            say(*number, "insert", as_in(last, now, row));
        }
    }
}

/// A row as it would be in a later version of its table.
fn as_in(later: &Stored, then: &Stored, row: &Row) -> Row {
    let value = |(id, column)| match then.column_ids.iter().position(|other| other == id) {
        Some(position) => row[position].clone(),
        None => default_of(column),
    };
    later.column_ids.iter().zip(&later.columns).map(value).collect()
}

fn describe(table: &Stored, happened: &[Happened]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let numbers = |of: fn(&Happened) -> u64| -> ArrayRef {
        Arc::new(happened.iter().map(|happened| of(happened).cast_signed()).collect::<Int64Array>())
    };
    let what: StringArray = happened.iter().map(|happened| Some(happened.what)).collect();
    let mut fields = vec![
        Field::new("snapshot_id", ArrowType::Int64, false),
        Field::new("rowid", ArrowType::Int64, false),
        Field::new("change_type", ArrowType::Utf8, false),
    ];
    let mut arrays: Vec<ArrayRef> =
        vec![numbers(|happened| happened.snapshot.get()), numbers(|happened| happened.number), Arc::new(what)];
    let rows = to_batch(&table.columns, &happened.iter().map(|happened| &happened.row).collect::<Vec<_>>())?;
    fields.extend(rows.schema().fields().iter().map(|field| field.as_ref().clone()));
    arrays.extend(rows.columns().iter().cloned());
    let options = RecordBatchOptions::new().with_row_count(Some(happened.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}
