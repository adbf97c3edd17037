//! Tables that become what they were, and rows that are erased from what was.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, WriteOrigin};
use gadwall_domain::filter::Filter;
use gadwall_domain::history::{Expected, ReadAt, TableVersion};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Purge, PurgeError, PurgeReport, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::change;
use super::filter;
use super::past::Lake;
use super::state::{State, Stored};

impl Lake {
    /// Makes a table in `state` what it was.
    pub(super) fn restore(
        &self,
        state: &mut State,
        table: TableRef,
        from: SnapshotId,
        schema: &TableSchema,
        expected: Expected,
    ) -> Result<Change, WriteError> {
        let now = self.next()?;
        let stored = state.change(&table, expected)?;
        let (_, past) = self.at(ReadAt::Snapshot(from)).ok_or(WriteError::NoSnapshot)?;
        let then = past.find_id(stored.id).or_else(|| past.find(&table)).ok_or(WriteError::NoTable)?;
        then.expect_shape(schema)?;
        let (inserted, deleted) = (then.rows.len() as u64, stored.rows.len() as u64);
        let same = then.id == stored.id;
        // No rows in the place of none, in a table that stays: only a new version of the same shape.
        let stays =
            (&then.columns, &then.layout, &then.comments) == (&stored.columns, &stored.layout, &stored.comments);
        let rows_stay = stays && inserted == 0 && deleted == 0;
        let version = TableVersion { schema: now, rows: if rows_stay { stored.version.rows } else { now } };
        let mut restored = Stored { id: stored.id, version, ..Stored::clone(then) };
        restored.next_row = restored.next_row.max(stored.next_row);
        if !same {
            // Rows of another table that had this name: its numbers mean nothing in this one.
            let rows = std::mem::take(&mut restored.rows);
            restored.add(rows.into_values().map(|row| row.as_ref().clone()));
        }
        *stored = restored;
        Ok(Change::TableRestored {
            table,
            from,
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            inserted,
            deleted,
        })
    }

    /// Brings a dropped table back into `state`.
    pub(super) fn undelete(
        &self,
        state: &mut State,
        table: TableRef,
        from: SnapshotId,
        schema: &TableSchema,
    ) -> Result<Change, WriteError> {
        let now = self.next()?;
        state.expect_place(&table)?;
        let (_, past) = self.at(ReadAt::Snapshot(from)).ok_or(WriteError::NoSnapshot)?;
        let then = past.find(&table).ok_or(WriteError::NoTable)?;
        then.expect_shape(schema)?;
        let rows = then.rows.len() as u64;
        // It may live on under another name; this one is another table then.
        let id = if state.find_id(then.id).is_some() { now.get() } else { then.id };
        state.bring_back(&table, Stored { id, version: version(now), ..Stored::clone(then) })?;
        Ok(Change::TableUndeleted {
            table,
            from,
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            rows,
        })
    }

    /// Deletes rows and every version that shows one of them.
    pub(super) fn purge(
        &mut self,
        purge: Purge,
        held: &[SnapshotId],
        origin: WriteOrigin,
        committed_at: DateTime<Utc>,
    ) -> Result<PurgeReport, PurgeError> {
        let Purge { table, schema, filter } = purge;
        let now = self.next().map_err(WriteError::from)?;
        let (_, newest) = self.at(ReadAt::Head).ok_or(WriteError::NoSnapshot)?;
        let mut state = newest.clone();
        let stored = state.change(&table, Expected::ANY)?;
        stored.expect_shape(&schema)?;
        let gone: BTreeSet<u64> = change::remove(stored, filter.as_ref())?.into_keys().collect();
        stored.version.rows = now;
        let id = stored.id;
        let is_bad = |state: &State| state.find_id(id).is_some_and(|then| shows(then, &gone, filter.as_ref()));
        let bad = self.versions.iter().filter(|(_, version)| is_bad(&version.state));
        let expired: Vec<SnapshotId> = bad.map(|(snapshot, _)| *snapshot).collect();
        if let Some(snapshot) = expired.iter().find(|snapshot| held.contains(snapshot)) {
            return Err(PurgeError::Held(*snapshot));
        }
        let rows = gone.len() as u64;
        if rows > 0 {
            self.append(now, state, Change::RowsPurged { table, rows }, origin, committed_at);
        }
        self.versions.retain(|snapshot, _| !expired.contains(snapshot));
        Ok(PurgeReport { rows, snapshot: self.head(), expired, files_deleted: 0, files_rewritten: 0, bytes_deleted: 0 })
    }
}

fn version(now: SnapshotId) -> TableVersion {
    TableVersion { schema: now, rows: now }
}

/// Whether a version of the table shows one of the rows, or one that the filter means.
fn shows(then: &Stored, gone: &BTreeSet<u64>, filter: Option<&Filter>) -> bool {
    // A version without the filter's columns can only be known by the rows' numbers.
    let test = filter::read(filter, &then.columns).ok();
    then.rows.iter().any(|(number, row)| gone.contains(number) || test.as_ref().is_some_and(|test| test.means(row)))
}
