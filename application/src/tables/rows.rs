//! Rows that are put into tables, changed, deleted and purged.

use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::commit::RowCounts;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{Committed, LakeWrite, LoadMode, Purge, PurgeError, PurgeReport};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;

use super::{OpenTable, Tables};
use crate::caller::Caller;
use crate::error::{UseCaseError, about_table};

/// A change of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Rows are deleted: all without a filter.
    Delete {
        /// Which.
        filter: Option<Filter>,
    },
    /// Rows are changed.
    Update {
        /// Which.
        filter: Filter,
        /// Their new values.
        set: Vec<Assignment>,
    },
}

/// What a change touched, or would touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Rows.
    pub rows: RowCounts,
    /// The snapshot it stands in; none on a dry run.
    pub snapshot: Option<SnapshotId>,
}

impl From<Committed> for Outcome {
    fn from(committed: Committed) -> Self {
        Self { rows: committed.rows, snapshot: Some(committed.snapshot) }
    }
}

/// How a change is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meant {
    /// What the table must be.
    pub expected: Expected,
    /// Only to say what would happen.
    pub dry_run: bool,
}

/// What a purge did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purged {
    /// It was done.
    Done(PurgeReport),
    /// It would delete so many rows of the newest version.
    WouldDelete(u64),
}

impl Tables {
    /// Puts rows into an opened table, all or none; answered once they are durable.
    #[tracing::instrument(skip_all, fields(project.id = %open.project.id, table.name = %open.table))]
    pub async fn load(
        &self,
        caller: &Caller,
        open: OpenTable,
        mode: LoadMode,
        rows: RowSource,
        meant: Meant,
    ) -> Result<Outcome, UseCaseError> {
        let OpenTable { project, table, schema } = open;
        // What was written before needs no room any more.
        if !meant.dry_run
            && self.is_bounded(&project)
            && let Some(before) = self.writes.committed_before(caller, &project).await?
        {
            return Ok(before.into());
        }
        let (rows, room) = self.bounded(&project, rows).await?.split();
        let schema = Arc::unwrap_or_clone(schema);
        let columns = schema.columns().len();
        if let RowSource::Parquet(file) = &rows {
            let same = RowSource::Parquet(Arc::clone(file));
            self.require_few_rows(&project, (&table, &schema), mode, same).await?;
        }
        let write = LakeWrite::Load { table: table.clone(), schema, mode, rows, expected: meant.expected };
        let outcome = self.carry_out(caller, &project, &table, write, meant.dry_run).await?;
        if !meant.dry_run {
            room.keep(columns);
        }
        // Appends come too often to count the whole project after each.
        if mode != LoadMode::Append && !meant.dry_run {
            self.projects.refresh_size(&project).await?;
        }
        Ok(outcome)
    }

    /// Changes or deletes rows. The change is read once the table's columns are known.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn edit(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        read: impl FnOnce(&TableSchema) -> Result<Edit, UseCaseError> + Send,
        meant: Meant,
    ) -> Result<Outcome, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Write).await?;
        // What was done before may have changed what the request would be read by now.
        if !meant.dry_run
            && let Some(before) = self.writes.committed_before(caller, &project).await?
        {
            return Ok(before.into());
        }
        let OpenTable { project, table, schema } = self.open_in(project, table).await?;
        let edit = read(&schema)?;
        let (schema, expected) = (Arc::unwrap_or_clone(schema), meant.expected);
        let write = match edit {
            Edit::Delete { filter } => LakeWrite::Delete { table: table.clone(), schema, filter, expected },
            Edit::Update { filter, set } => {
                self.projects.require_room(&project, QuotaKind::TableBytes).await?;
                LakeWrite::Update { table: table.clone(), schema, filter: Some(filter), set, expected }
            }
        };
        let outcome = self.carry_out(caller, &project, &table, write, meant.dry_run).await?;
        if !meant.dry_run {
            self.projects.refresh_size(&project).await?;
        }
        Ok(outcome)
    }

    /// Deletes rows for good: also from history and storage. Snapshots that a tag holds refuse it.
    ///
    /// What the table must be is looked at before it begins: unlike other changes, a purge means rows by what they hold,
    /// in every version.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn purge(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        read: impl FnOnce(&TableSchema) -> Result<Filter, UseCaseError> + Send,
        meant: Meant,
    ) -> Result<Purged, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let found = self.require_at(&project, table, ReadAt::Head).await?;
        if !meant.expected.fits(found.version) {
            return Err(UseCaseError::NotExpected { table: found.name.clone(), found: Some(Box::new(found)) });
        }
        let (table, filter, schema) = (found.name, read(&found.schema)?, found.schema);
        if meant.dry_run {
            let write =
                LakeWrite::Delete { table: table.clone(), schema, filter: Some(filter), expected: meant.expected };
            return Ok(Purged::WouldDelete(self.carry_out(caller, &project, &table, write, true).await?.rows.deleted));
        }
        let tags = self.store.read().await?.tags().list(&project.id).await?;
        let held = tags.iter().map(|tag| tag.snapshot).collect();
        let purge = Purge { table: table.clone(), schema, filter: Some(filter) };
        let report = match self.lakes.purge(project.lake, purge, held, caller.origin()).await {
            Ok(report) => report,
            Err(PurgeError::Held(snapshot)) => {
                let holder = tags.into_iter().find(|tag| tag.snapshot == snapshot);
                let missing =
                    || UseCaseError::NoSnapshot { project: project.id.clone(), snapshot: snapshot.to_string() };
                let tag = holder.ok_or_else(missing)?.name;
                return Err(UseCaseError::SnapshotHeld { snapshot, tag });
            }
            Err(PurgeError::Write(error)) => return Err(about_table(&project.id, &table)(error)),
        };
        self.projection.catch_up(&project, None).await?;
        self.projects.refresh_size(&project).await?;
        Ok(Purged::Done(report))
    }

    /// Commits a write to a table, or says what it would touch.
    pub(super) async fn carry_out(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        write: LakeWrite,
        dry_run: bool,
    ) -> Result<Outcome, UseCaseError> {
        let tell = about_table(&project.id, table);
        let done = if dry_run {
            let rows = self.lakes.dry_run(project.lake, write).await.map_err(tell);
            rows.map(|rows| Outcome { rows, snapshot: None })
        } else {
            self.writes.commit(caller, project, write, tell).await.map(Outcome::from)
        };
        match done {
            // Told with what it is now, so that the caller can go on from there.
            Err(UseCaseError::NotExpected { table: name, .. }) => {
                let found = self.find(project, table, ReadAt::Head).await?.map(Box::new);
                Err(UseCaseError::NotExpected { table: name, found })
            }
            Err(absent @ UseCaseError::NoTable { .. }) => {
                self.require_bucket(project, &table.bucket, ReadAt::Head).await?;
                Err(absent)
            }
            done => done,
        }
    }
}
