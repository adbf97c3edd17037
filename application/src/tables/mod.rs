//! Tables: create, list, look at, preview, change, delete.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::alteration::{Alteration, Compatibility};
use gadwall_domain::commit::RowCounts;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::lake::{Lake, LakeError, LakeWrite, LoadMode, Purge, PurgeError, PurgeReport, StoredTable};
use gadwall_domain::ports::metadata::{MetadataStore, TableFacts};
use gadwall_domain::project::Project;
use gadwall_domain::rows::{RowSource, RowStream};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::{Table, TableRef};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::{UseCaseError, about_table};
use crate::projection::Projection;
use crate::projects::Projects;
use crate::writes::Writes;

/// A preview reads a bounded number of rows; if that takes longer than this, something is wrong.
const PREVIEW_TIMEOUT: Duration = Duration::from_secs(30);

/// The use cases of tables.
pub struct Tables {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    projection: Arc<Projection>,
    projects: Arc<Projects>,
    writes: Writes,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables")
    }
}

/// A table that takes rows: opened and authorised before the first byte of them is read.
#[derive(Debug)]
pub struct OpenTable {
    project: Project,
    table: TableRef,
    schema: Arc<TableSchema>,
}

impl OpenTable {
    /// The columns that rows must fit.
    pub fn schema(&self) -> Arc<TableSchema> {
        Arc::clone(&self.schema)
    }
}

/// A change of an opened table.
#[derive(Debug)]
pub enum TableChange {
    /// Rows are put in.
    Load {
        /// What happens to those that are there.
        mode: LoadMode,
        /// The rows.
        rows: RowSource,
    },
    /// Rows are deleted: all without a filter.
    Delete {
        /// Which.
        filter: Option<Filter>,
    },
    /// Rows are changed: all without a filter.
    Update {
        /// Which.
        filter: Option<Filter>,
        /// Their new values.
        set: Vec<Assignment>,
    },
    /// The shape changes.
    Alter(Alteration),
    /// The name changes.
    Rename(TableName),
}

impl TableChange {
    fn of(self, table: TableRef, schema: TableSchema, expected: Expected) -> LakeWrite {
        match self {
            Self::Load { mode, rows } => LakeWrite::Load { table, schema, mode, rows, expected },
            Self::Delete { filter } => LakeWrite::Delete { table, schema, filter, expected },
            Self::Update { filter, set } => LakeWrite::Update { table, schema, filter, set, expected },
            Self::Alter(alteration) => LakeWrite::Alter { table, schema, alteration, expected },
            Self::Rename(to) => LakeWrite::RenameTable { table, to, expected },
        }
    }
}

/// What a change touched, or would touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Rows.
    pub rows: RowCounts,
    /// The snapshot it stands in; none on a dry run.
    pub snapshot: Option<SnapshotId>,
}

/// How a change of shape is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alter {
    /// Also if others can't go on as before.
    pub allow_breaking: bool,
    /// Only to say what would happen.
    pub dry_run: bool,
}

fn check_layout(alteration: &Alteration, schema: &TableSchema) -> Result<(), UseCaseError> {
    let layout = match alteration {
        Alteration::PartitionBy { partition_by } => Layout { partition_by: partition_by.clone(), ..Layout::default() },
        Alteration::SortBy { sort_by } => Layout { sort_by: sort_by.clone(), ..Layout::default() },
        _ => return Ok(()),
    };
    Ok(layout.check(schema)?)
}

impl Tables {
    /// Works on these stores.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        projection: Arc<Projection>,
        projects: Arc<Projects>,
    ) -> Self {
        let writes = Writes::new(Arc::clone(&store), Arc::clone(&lakes) as _, Arc::clone(&projection));
        Self { store, lakes, access, projection, projects, writes }
    }

    /// Creates a table.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: TableRef,
        schema: TableSchema,
        layout: Layout,
    ) -> Result<Table, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        self.projection.ensure(&project).await?;
        layout.check(&schema)?;
        let write = LakeWrite::CreateTable { table: table.clone(), schema, layout };
        self.writes.commit(caller, &project, write, about_table(&project.id, &table)).await?;
        self.projects.refresh_size(&project).await?;
        self.require_at(&project, &table, ReadAt::Head).await
    }

    /// A bucket's tables by name.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Vec<Table>, UseCaseError> {
        let project = self.access.open_bucket(caller, project, bucket, Scope::Read).await?;
        self.projection.ensure(&project).await?;
        let Some(stored) = self.lakes.tables(project.lake, bucket, at).await? else {
            return Err(UseCaseError::NoBucket { project: project.id, bucket: bucket.clone() });
        };
        let facts = self.store.read().await?.lake_index().tables(&project.id, Some(bucket), at).await?;
        let facts_of: HashMap<&TableRef, &TableFacts> = facts.iter().map(|facts| (&facts.table, facts)).collect();
        stored.into_iter().map(|stored| put_together(&stored, facts_of.get(&stored.name).copied())).collect()
    }

    /// The names of all tables that the caller may see, by bucket and name.
    pub async fn names(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<TableRef>, UseCaseError> {
        let opened = self.access.open(caller, project, Scope::Read).await?;
        let mut names = Vec::new();
        for bucket in self.lakes.buckets(opened.lake, ReadAt::Head).await? {
            let seen = caller.principal().is_some_and(|principal| principal.may_touch(&bucket.name));
            if seen && let Some(tables) = self.lakes.tables(opened.lake, &bucket.name, ReadAt::Head).await? {
                names.extend(tables.into_iter().map(|table| table.name));
            }
        }
        Ok(names)
    }

    /// A table.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, table: &TableRef) -> Result<Table, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        self.require_at(&project, table, ReadAt::Head).await
    }

    /// A table and its first rows.
    pub async fn preview(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        limit: u32,
    ) -> Result<(Table, RowStream), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let found = self.require_at(&project, table, ReadAt::Head).await?;
        let selection = Selection { limit: Some(limit.into()), ..Selection::default() };
        let rows = self.lakes.rows(project.lake, &found.name, selection, ReadAt::Head, PREVIEW_TIMEOUT).await?.0;
        Ok((found, rows))
    }

    /// Deletes a table.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        expected: Expected,
    ) -> Result<(), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let write = LakeWrite::DropTable { table: table.clone(), expected };
        match self.writes.commit(caller, &project, write, about_table(&project.id, table)).await {
            Err(absent @ UseCaseError::NoTable { .. }) => {
                self.require_bucket(&project, &table.bucket, ReadAt::Head).await?;
                return Err(absent);
            }
            done => done?,
        };
        self.projects.refresh_size(&project).await
    }

    /// Opens a table whose rows (scope `write`) or shape (scope `manage`) shall change.
    pub async fn open(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        scope: Scope,
    ) -> Result<OpenTable, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, scope).await?;
        self.projection.ensure(&project).await?;
        let (known, changes) = self.projection.known_table(project.lake, table);
        if let Some((table, schema)) = known {
            return Ok(OpenTable { project, table, schema });
        }
        let found = self.require_at(&project, table, ReadAt::Head).await?;
        let schema = Arc::new(found.schema);
        self.projection.keep_table(project.lake, table, (found.name.clone(), Arc::clone(&schema)), changes);
        Ok(OpenTable { project, table: found.name, schema })
    }

    /// Changes an opened table; answered once that is durable, or with what it would touch on a dry run.
    #[tracing::instrument(skip_all, fields(project.id = %open.project.id, table.name = %open.table))]
    pub async fn change(
        &self,
        caller: &Caller,
        open: OpenTable,
        change: TableChange,
        expected: Expected,
        dry_run: bool,
    ) -> Result<Outcome, UseCaseError> {
        let OpenTable { project, table, schema } = open;
        let schema = Arc::unwrap_or_clone(schema);
        let resizes = !matches!(change, TableChange::Load { mode: LoadMode::Append, .. });
        let write = change.of(table.clone(), schema, expected);
        let tell = about_table(&project.id, &table);
        if dry_run {
            let rows = self.lakes.dry_run(project.lake, write).await.map_err(tell)?;
            return Ok(Outcome { rows, snapshot: None });
        }
        let committed = self.writes.commit(caller, &project, write, tell).await?;
        if resizes {
            self.projects.refresh_size(&project).await?;
        }
        Ok(Outcome { rows: committed.rows, snapshot: Some(committed.snapshot) })
    }

    /// Changes the shape of an opened table. Others that can't go on as before must be meant to: `allow_breaking`.
    pub async fn alter(
        &self,
        caller: &Caller,
        open: OpenTable,
        alteration: Alteration,
        expected: Expected,
        how: Alter,
    ) -> Result<(Table, Outcome), UseCaseError> {
        let (project, table) = (open.project.clone(), open.table.clone());
        let schema = alteration.apply(&open.schema)?;
        check_layout(&alteration, &schema)?;
        if let Compatibility::Breaking { why } = alteration.compatibility()
            && !how.allow_breaking
            && !how.dry_run
        {
            return Err(UseCaseError::Breaking { table, why });
        }
        let outcome = self.change(caller, open, TableChange::Alter(alteration), expected, how.dry_run).await?;
        Ok((self.require_at(&project, &table, ReadAt::Head).await?, outcome))
    }

    /// Gives an opened table another name in its bucket.
    pub async fn rename(
        &self,
        caller: &Caller,
        open: OpenTable,
        to: TableName,
        expected: Expected,
        how: Alter,
    ) -> Result<(Table, Outcome), UseCaseError> {
        let (project, table) = (open.project.clone(), open.table.clone());
        let why = "those who know the table by its old name no longer find it";
        if !how.allow_breaking && !how.dry_run {
            return Err(UseCaseError::Breaking { table, why });
        }
        let renamed = TableRef { bucket: table.bucket.clone(), table: to.clone() };
        let outcome = self.change(caller, open, TableChange::Rename(to), expected, how.dry_run).await?;
        let now = if how.dry_run { table } else { renamed };
        Ok((self.require_at(&project, &now, ReadAt::Head).await?, outcome))
    }

    /// Deletes rows for good: also from history and storage. Snapshots that a tag holds refuse it.
    #[tracing::instrument(skip_all, fields(project.id = %open.project.id, table.name = %open.table))]
    pub async fn purge(
        &self,
        caller: &Caller,
        open: OpenTable,
        filter: Option<Filter>,
    ) -> Result<PurgeReport, UseCaseError> {
        let OpenTable { project, table, schema } = open;
        let tags = self.store.read().await?.tags().list(&project.id).await?;
        let held = tags.iter().map(|tag| tag.snapshot).collect();
        let purge = Purge { table: table.clone(), schema: Arc::unwrap_or_clone(schema), filter };
        let done = self.lakes.purge(project.lake, purge, held, caller.origin()).await;
        let report = match done {
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
        Ok(report)
    }

    async fn require_bucket(&self, project: &Project, bucket: &BucketName, at: ReadAt) -> Result<(), UseCaseError> {
        let buckets = self.lakes.buckets(project.lake, at).await?;
        if bucket.is_main() || buckets.iter().any(|known| known.name == *bucket) {
            return Ok(());
        }
        Err(UseCaseError::NoBucket { project: project.id.clone(), bucket: bucket.clone() })
    }

    /// The table as it was in a version; tells whether it is the table or its bucket that isn't there.
    pub(crate) async fn require_at(
        &self,
        project: &Project,
        table: &TableRef,
        at: ReadAt,
    ) -> Result<Table, UseCaseError> {
        if let Some(found) = self.find(project, table, at).await? {
            return Ok(found);
        }
        self.require_bucket(project, &table.bucket, at).await?;
        Err(UseCaseError::NoTable { project: project.id.clone(), table: table.clone() })
    }

    async fn find(&self, project: &Project, table: &TableRef, at: ReadAt) -> Result<Option<Table>, UseCaseError> {
        self.projection.ensure(project).await?;
        let Some(stored) = self.lakes.table(project.lake, &table.bucket, &table.table, at).await? else {
            return Ok(None);
        };
        let facts = self.store.read().await?.lake_index().table(&project.id, table, at).await?;
        put_together(&stored, facts.as_ref()).map(Some)
    }
}

/// What the lake stores, completed by what its commits say: lengths, key, time of creation.
fn put_together(stored: &StoredTable, facts: Option<&TableFacts>) -> Result<Table, UseCaseError> {
    let declared = |column: &Column| {
        let facts = facts?.columns.iter().find(|known| known.name == column.name)?;
        (facts.data_type.without_lengths() == column.data_type).then(|| facts.data_type.clone())
    };
    let complete = |column: &Column| Column {
        data_type: declared(column).unwrap_or_else(|| column.data_type.clone()),
        ..column.clone()
    };
    let columns = stored.columns.iter().map(complete).collect();
    let key = facts.map(|facts| facts.primary_key.clone()).unwrap_or_default();
    let schema =
        TableSchema::new(columns, key).map_err(|error| UseCaseError::Lake(LakeError::Fault(Box::new(error))))?;
    Ok(Table {
        name: stored.name.clone(),
        schema,
        created_at: facts.map(|facts| facts.created_at),
        size: stored.size,
        layout: stored.layout.clone(),
        comments: stored.comments.clone(),
        version: stored.version,
    })
}

#[cfg(test)]
mod tests {
    use gadwall_domain::history::TableVersion;
    use gadwall_domain::layout::Layout;
    use gadwall_domain::table::{Comments, TableSize};

    use super::*;
    use crate::testing::builders::{bucket, column, project_id, rows, schema, table};
    use crate::world::World;

    #[tokio::test]
    async fn a_table_that_something_else_made_shows_without_key_and_lengths() {
        let stored = StoredTable {
            name: table("main.t"),
            columns: vec![column("c", "VARCHAR")],
            size: TableSize::default(),
            layout: Layout::default(),
            comments: Comments::default(),
            version: TableVersion::default(),
        };
        let found = put_together(&stored, None).unwrap();
        assert_eq!((found.schema.key_columns().len(), found.created_at), (0, None));
    }

    #[tokio::test]
    async fn an_append_is_told_by_event_and_names_its_request() {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let (id, t) = (project_id("p"), table("main.t"));
        world
            .tables
            .create(&owner, &id, t.clone(), schema(vec![column("i", "INTEGER")], &[]), Layout::default())
            .await
            .unwrap();
        let open = world.tables.open(&owner, &id, &t, Scope::Write).await.unwrap();
        let load = TableChange::Load { mode: LoadMode::Append, rows: rows(["i"], &[[Some("1")], [Some("2")]]) };
        let done = world.tables.change(&owner, open, load, Expected::ANY, false).await.unwrap();
        assert_eq!(done.rows.inserted, 2);
        assert_eq!(world.events("p").await.last().map(String::as_str), Some("rows.appended"));
        let mut tx = world.store.read().await.unwrap();
        let entry = tx.audit().latest(&id, 1).await.unwrap().remove(0);
        assert_eq!((entry.resource.as_str(), entry.snapshot), ("main.t", done.snapshot));
        assert!(entry.principal.starts_with("key:"), "{}", entry.principal);
    }

    #[tokio::test]
    async fn absence_is_told_from_the_outside_in() {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let id = project_id("p");
        let missing = world.tables.get(&owner, &id, &table("no.t")).await;
        assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
        let missing = world.tables.get(&owner, &id, &table("main.t")).await;
        assert!(matches!(missing, Err(UseCaseError::NoTable { .. })));
        let missing = world.tables.list(&owner, &id, &bucket("no"), ReadAt::Head).await;
        assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
        let missing = world.tables.delete(&owner, &id, &table("no.t"), Expected::ANY).await;
        assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
    }
}
