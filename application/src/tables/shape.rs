//! Tables that change their shape: columns, keys, names, comments, layout.

use gadwall_domain::access::Scope;
use gadwall_domain::alteration::{Alteration, Compatibility};
use gadwall_domain::commit::Change;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{ProjectId, TableName};
use gadwall_domain::ports::lake::LakeWrite;
use gadwall_domain::project::Project;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::{Comments, Table, TableRef};

use super::{Meant, OpenTable, Tables};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Longest comment, in characters.
const MAX_COMMENT: usize = 10_000;
/// Most comments that a table can be made with: each is a snapshot of its own.
const MAX_NEW_COMMENTS: usize = 100;

/// A change of a table's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reshape {
    /// Its columns, key, comments or layout.
    Alter(Alteration),
    /// Its name.
    Rename(TableName),
}

impl Reshape {
    /// Whether those who read and write the table can go on as before.
    pub fn compatibility(&self) -> Compatibility {
        match self {
            Self::Alter(alteration) => alteration.compatibility(),
            Self::Rename(_) => {
                Compatibility::Breaking { why: "those who know the table by its old name no longer find it" }
            }
        }
    }

    /// The same for a table as it is.
    fn of_table(self, schema: &TableSchema) -> Self {
        match self {
            Self::Alter(alteration) => Self::Alter(alteration.of_table(schema)),
            rename @ Self::Rename(_) => rename,
        }
    }

    /// Fails if the table's columns and key already tell that it can't be.
    fn check(&self, schema: &TableSchema) -> Result<(), UseCaseError> {
        let Self::Alter(alteration) = self else { return Ok(()) };
        let after = alteration.apply(schema)?;
        let layout = match alteration {
            Alteration::PartitionBy { partition_by } => {
                Layout { partition_by: partition_by.clone(), ..Layout::default() }
            }
            Alteration::SortBy { sort_by } => Layout { sort_by: sort_by.clone(), ..Layout::default() },
            Alteration::Comment { comment: Some(comment), .. } => return check_comment(comment),
            _ => return Ok(()),
        };
        Ok(layout.check(&after)?)
    }
}

/// A table that was reshaped, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshaped {
    /// The table as it is since; as it still is on a dry run.
    pub table: Table,
    /// Whether others can go on as before.
    pub compatibility: Compatibility,
    /// The snapshot it stands in; none on a dry run.
    pub snapshot: Option<SnapshotId>,
}

impl Tables {
    /// Changes a table's shape. Others that can't go on as before must be meant to: `allow_breaking`.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn reshape(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        reshape: Reshape,
        meant: Meant,
        allow_breaking: bool,
    ) -> Result<Reshaped, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let name_since = match &reshape {
            Reshape::Rename(to) => TableRef { bucket: table.bucket.clone(), table: to.clone() },
            Reshape::Alter(_) => table.clone(),
        };
        // Done before, it can't be done again: the column is gone, the table has another name.
        let before = if meant.dry_run { None } else { self.writes.changed_before(caller, &project).await? };
        let (snapshot, compatibility) = match before {
            Some((before, Change::TableAltered { alteration, .. })) => {
                (Some(before.snapshot), alteration.compatibility())
            }
            Some((before, _)) => (Some(before.snapshot), reshape.compatibility()),
            None => self.make(caller, &project, table, reshape, meant, allow_breaking).await?,
        };
        let table = match snapshot {
            Some(snapshot) => match self.find(&project, &name_since, ReadAt::Snapshot(snapshot)).await? {
                Some(found) => found,
                // A purge may have taken that snapshot away already.
                None => self.require_at(&project, &name_since, ReadAt::Head).await?,
            },
            None => self.require_at(&project, table, ReadAt::Head).await?,
        };
        Ok(Reshaped { table, compatibility, snapshot })
    }

    async fn make(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        reshape: Reshape,
        meant: Meant,
        allow_breaking: bool,
    ) -> Result<(Option<SnapshotId>, Compatibility), UseCaseError> {
        let OpenTable { table, schema, .. } = self.open_in(project.clone(), table).await?;
        let reshape = reshape.of_table(&schema);
        reshape.check(&schema)?;
        let compatibility = reshape.compatibility();
        if let Compatibility::Breaking { why } = compatibility
            && !allow_breaking
            && !meant.dry_run
        {
            return Err(UseCaseError::Breaking { table, why });
        }
        let expected = meant.expected;
        // If a name is taken, it is the new one.
        let renamed = match &reshape {
            Reshape::Rename(to) => Some(TableRef { bucket: table.bucket.clone(), table: to.clone() }),
            Reshape::Alter(_) => None,
        };
        let write = match reshape {
            Reshape::Alter(alteration) => {
                LakeWrite::Alter { table: table.clone(), schema: (*schema).clone(), alteration, expected }
            }
            Reshape::Rename(to) => LakeWrite::RenameTable { table: table.clone(), to, expected },
        };
        let outcome = self.carry_out(caller, project, &table, write, meant.dry_run).await;
        let outcome = outcome.map_err(|error| match (error, renamed) {
            (UseCaseError::TableExists { project, .. }, Some(table)) => UseCaseError::TableExists { project, table },
            (error, _) => error,
        })?;
        if !meant.dry_run {
            self.projects.refresh_size(project).await?;
        }
        Ok((outcome.snapshot, compatibility))
    }

    /// Gives a new table the comments that it was asked for with, each in a snapshot of its own: DuckLake takes one such
    /// change in each. Those that are there already are left alone, so that a repetition goes on where it stopped.
    pub(super) async fn comment(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        wanted: Comments,
    ) -> Result<(), UseCaseError> {
        let OpenTable { table, schema, .. } = self.open_in(project.clone(), table).await?;
        let there = self.require_at(project, &table, ReadAt::Head).await?.comments;
        let of_table = wanted.table.filter(|comment| there.table.as_ref() != Some(comment));
        let of_columns = wanted.columns.into_iter();
        let of_columns = of_columns.filter(|(column, comment)| there.columns.get(column) != Some(comment));
        let all = of_table.map(|comment| (None, comment)).into_iter();
        let all = all.chain(of_columns.map(|(column, comment)| (Some(column), comment)));
        // The idempotency key belongs to the table's making.
        let caller = Caller { idempotency: None, ..caller.clone() };
        for (column, comment) in all {
            let alteration = Alteration::Comment { column, comment: Some(comment) };
            let expected = Expected::ANY;
            let write = LakeWrite::Alter { table: table.clone(), schema: (*schema).clone(), alteration, expected };
            self.carry_out(&caller, project, &table, write, false).await?;
        }
        Ok(())
    }
}

/// Comments that a new table can have.
pub(super) fn check_comments(comments: &Comments) -> Result<(), UseCaseError> {
    if comments.columns.len() > MAX_NEW_COMMENTS {
        return Err(UseCaseError::Invalid(format!(
            "a table is made with at most {MAX_NEW_COMMENTS} comments on columns; set the others afterwards"
        )));
    }
    comments.table.iter().chain(comments.columns.values()).try_for_each(|comment| check_comment(comment))
}

fn check_comment(comment: &str) -> Result<(), UseCaseError> {
    if comment.chars().count() > MAX_COMMENT || comment.contains('\0') {
        return Err(UseCaseError::Invalid(format!("a comment has at most {MAX_COMMENT} characters, and no NUL")));
    }
    Ok(())
}
