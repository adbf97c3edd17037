//! Tables that become what they were, or are there again.
//!
//! Where the shape is the same, the table stays and its rows change places with those of then. Else another table
//! takes its place: its rows are then written once, and its changes begin anew.

use gadwall_domain::commit::Change;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::build::Plan;
use super::{Commit, same_shape};
use crate::structure::told::{self, Told};
use crate::version::{name_of_copy, name_of_new};
use crate::{sql, structure};

/// True for rows that stand in a snapshot: those that a transaction adds are numbered from here until it commits. No
/// user's column can be named `rowid`.
const STANDS: &str = "rowid < 1000000000000000000";

impl Commit<'_> {
    pub(super) fn restore(
        &self,
        told: &Told,
        table: &TableRef,
        from: SnapshotId,
        schema: &TableSchema,
    ) -> Result<Change, WriteError> {
        if !structure::is_kept(self.connection, self.lake, from)? {
            return Err(WriteError::NoSnapshot);
        }
        let then = match told::rooted(self.connection, self.lake, told.root, ReadAt::Snapshot(from))? {
            Some(then) => then,
            None => {
                told::named(self.connection, self.lake, table, ReadAt::Snapshot(from))?.ok_or(WriteError::NoTable)?
            }
        };
        if !same_shape(&then.columns, schema) {
            return Err(WriteError::TableChanged);
        }
        let target = sql::table(self.lake, &told.name);
        let stays = then.columns == told.columns && then.layout == told.layout && then.comments == told.comments;
        let (inserted, deleted) = if stays {
            self.touch(told)?;
            let names = sql::columns(told.columns.iter().map(|column| &column.name));
            // Rows of then first: what a transaction deletes is gone for its looks at the past, too.
            let inserted = self.count_of(&format!("INSERT INTO {target} ({names}) {}", self.rows_of(&then, from)))?;
            (inserted, self.count_of(&format!("DELETE FROM {target} WHERE {STANDS}"))?)
        } else {
            let deleted = self.count(&format!("SELECT count(*) FROM {target}"))?;
            let name = name_of_new(structure::head(self.connection, self.lake)?, told.root);
            (self.build(&told.name, Some(told), &name, &self.plan(&then, from))?, deleted)
        };
        Ok(Change::TableRestored {
            table: table.clone(),
            from,
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            inserted,
            deleted,
        })
    }

    pub(super) fn undelete(
        &self,
        table: &TableRef,
        from: SnapshotId,
        schema: &TableSchema,
    ) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, &table.bucket, ReadAt::Head)?.is_none() {
            return Err(WriteError::NoBucket);
        }
        if told::named(self.connection, self.lake, table, ReadAt::Head)?.is_some() {
            return Err(WriteError::TableExists);
        }
        self.no_view(table)?;
        if !structure::is_kept(self.connection, self.lake, from)? {
            return Err(WriteError::NoSnapshot);
        }
        let then =
            told::named(self.connection, self.lake, table, ReadAt::Snapshot(from))?.ok_or(WriteError::NoTable)?;
        if !same_shape(&then.columns, schema) {
            return Err(WriteError::TableChanged);
        }
        let head = structure::head(self.connection, self.lake)?;
        // It may live on under another name; this one is another table then.
        let name = match told::rooted(self.connection, self.lake, then.root, ReadAt::Head)? {
            Some(_) => name_of_copy(head),
            None => name_of_new(head, then.root),
        };
        let rows = self.build(table, None, &name, &self.plan(&then, from))?;
        Ok(Change::TableUndeleted {
            table: table.clone(),
            from,
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            rows,
        })
    }

    fn rows_of(&self, then: &Told, from: SnapshotId) -> String {
        let names = sql::columns(then.columns.iter().map(|column| &column.name));
        format!("SELECT {names} FROM {} AT (VERSION => {})", sql::table(self.lake, &then.name), from.get())
    }

    fn plan<'a>(&self, then: &'a Told, from: SnapshotId) -> Plan<'a> {
        let rows = Some(self.rows_of(then, from));
        Plan { columns: &then.columns, layout: &then.layout, comments: &then.comments, rows }
    }
}
