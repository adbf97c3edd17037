//! A change that has a commit of its own: anything but a load.

use std::time::SystemTime;

use gadwall_domain::commit::{Change, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ports::lake::{Committed, LakeWrite, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::{Commit, same_shape};
use crate::error::fault;
use crate::structure::told::{self, Told};
use crate::version::version;
use crate::{sql, structure};

impl Commit<'_> {
    /// Commits a change that isn't a load. One that touches no row has no snapshot.
    pub(crate) fn change(&self, write: &LakeWrite, origin: &WriteOrigin) -> Result<Committed, WriteError> {
        self.insist(|| self.change_with(write, Some(origin.clone())))
    }

    /// Does what a change would do, and undoes it.
    pub(crate) fn try_change(&self, write: &LakeWrite) -> Result<Committed, WriteError> {
        self.dry.set(true);
        let tried = self.change_with(write, None);
        self.dry.set(false);
        tried
    }

    fn change_with(&self, write: &LakeWrite, origin: Option<WriteOrigin>) -> Result<Committed, WriteError> {
        self.known.forget_shapes();
        let started = SystemTime::now();
        let mut rows = RowCounts::default();
        let done = self.transaction_of_rows(|| {
            let Some(change) = self.apply(write)? else { return Ok(None) };
            rows = change.counts();
            if let Some((table, schema)) = held(write) {
                self.require_contract(table, schema)?;
            }
            let breaches = self.hold_change(write)?;
            let Some(origin) = origin.filter(|_| !self.dry.get()) else { return Ok(None) };
            self.say(vec![WriteRecord { breaches, ..WriteRecord::new(origin, change) }])?;
            if let Some(table) = write.table().filter(|_| rows.total() > 0 || self.wrote_elsewhere.get()) {
                self.make_written_last(table, started)?;
            }
            Ok(Some(()))
        });
        self.known.forget_shapes();
        self.wrote_elsewhere.set(false);
        let linked = self.linked.take();
        if !matches!(done, Ok(Some(_))) {
            for path in linked {
                drop(self.shared.area.remove(&path));
            }
        }
        let snapshot = match done? {
            Some(((), snapshot)) => snapshot,
            None => structure::head(self.connection, self.lake)?,
        };
        Ok(Committed { snapshot, rows })
    }

    fn make_written_last(&self, table: &TableRef, started: SystemTime) -> Result<(), WriteError> {
        if self.wrote_elsewhere.get() {
            return self.make_all_last(started);
        }
        let shape = self.shape(table)?;
        self.make_files_last(&shape, started)
    }

    /// Does it, within a transaction. `None` when it touches nothing.
    fn apply(&self, write: &LakeWrite) -> Result<Option<Change>, WriteError> {
        match write {
            LakeWrite::CreateBucket { bucket, description } => {
                self.create_bucket(bucket, description.clone()).map(Some)
            }
            LakeWrite::DropBucket { bucket, cascade } => self.drop_bucket(bucket, *cascade).map(Some),
            LakeWrite::CreateTable { table, schema, layout } => self.create_table(table, schema, layout).map(Some),
            LakeWrite::DropTable { table, expected } => self.drop_table(table, *expected).map(Some),
            LakeWrite::Delete { table, schema, filter, expected } => {
                self.delete(&self.target(table, schema, *expected)?, schema, filter.as_ref())
            }
            LakeWrite::Update { table, schema, filter, set, expected } => {
                self.update(&self.target(table, schema, *expected)?, schema, filter.as_ref(), set)
            }
            LakeWrite::Alter { table, schema, alteration, expected } => {
                self.alter(&self.target(table, schema, *expected)?, table, schema, alteration).map(Some)
            }
            LakeWrite::RenameTable { table, to, expected } => {
                self.rename_table(&self.found(table, *expected)?, table, to).map(Some)
            }
            LakeWrite::Restore { table, from, schema, expected } => {
                self.restore(&self.found(table, *expected)?, table, *from, schema).map(Some)
            }
            LakeWrite::Undelete { table, from, schema } => self.undelete(table, *from, schema).map(Some),
            LakeWrite::RegisterFiles { table, schema, files, expected } => {
                self.register(&self.target(table, schema, *expected)?, table, schema, files).map(Some)
            }
            LakeWrite::Load { .. } => Err(fault("a load is not a change").into()),
        }
    }

    /// A table that is there and of the expected version.
    pub(super) fn found(&self, table: &TableRef, expected: Expected) -> Result<Told, WriteError> {
        let told = told::named(self.connection, self.lake, table, ReadAt::Head)?.ok_or(WriteError::NoTable)?;
        if expected != Expected::ANY {
            let found = version(self.connection, self.lake, told.id)?;
            if !expected.fits(found) {
                return Err(WriteError::NotExpected { found });
            }
        }
        Ok(told)
    }

    /// A table that is there, of the expected version, and of the shape that the caller knows.
    pub(super) fn target(
        &self,
        table: &TableRef,
        schema: &TableSchema,
        expected: Expected,
    ) -> Result<Told, WriteError> {
        let told = self.found(table, expected)?;
        if same_shape(&told.columns, schema) { Ok(told) } else { Err(WriteError::TableChanged) }
    }

    /// Makes a snapshot in which the table is as it was: what changed, only the commit's document says.
    pub(super) fn touch(&self, told: &Told) -> Result<(), WriteError> {
        Ok(self.execute(&self.comment_on_table(&sql::table(self.lake, &told.name), told.comments.table.as_deref()))?)
    }
}

/// The table whose contract the caller must know, and what the caller knows of it.
fn held(write: &LakeWrite) -> Option<(&TableRef, &TableSchema)> {
    match write {
        LakeWrite::Delete { table, schema, .. }
        | LakeWrite::Update { table, schema, .. }
        | LakeWrite::Alter { table, schema, .. }
        | LakeWrite::Restore { table, schema, .. }
        | LakeWrite::RegisterFiles { table, schema, .. } => Some((table, schema)),
        _ => None,
    }
}
