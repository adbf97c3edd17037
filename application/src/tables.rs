//! Tables: create, list, look at, preview, append to, delete.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{Committed, Lake, LakeError, LakeWrite, StoredTable};
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

/// A preview reads a bounded number of rows; if that takes longer than this, something is wrong.
const PREVIEW_TIMEOUT: Duration = Duration::from_secs(30);

/// The use cases of tables.
pub struct Tables {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    projection: Arc<Projection>,
    projects: Arc<Projects>,
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

impl Tables {
    /// Works on these stores.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        projection: Arc<Projection>,
        projects: Arc<Projects>,
    ) -> Self {
        Self { store, lakes, access, projection, projects }
    }

    /// Creates a table.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: TableRef,
        schema: TableSchema,
    ) -> Result<Table, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        self.projection.ensure(&project).await?;
        let write = LakeWrite::create_table(table.clone(), schema);
        let written = self.lakes.write(project.lake, write, caller.origin()).await;
        let committed = written.map_err(about_table(&project.id, &table))?;
        self.after_change(&project, committed).await?;
        self.require(&project, &table).await
    }

    /// A bucket's tables by name.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
    ) -> Result<Vec<Table>, UseCaseError> {
        let project = self.access.open_bucket(caller, project, bucket, Scope::Read).await?;
        self.projection.ensure(&project).await?;
        let Some(stored) = self.lakes.tables(project.lake, bucket, ReadAt::Head).await? else {
            return Err(UseCaseError::NoBucket { project: project.id, bucket: bucket.clone() });
        };
        let facts = self.store.read().await?.lake_index().tables(&project.id, Some(bucket), ReadAt::Head).await?;
        let facts_of = |table: &TableRef| facts.iter().find(|facts| facts.table == *table);
        stored.into_iter().map(|stored| put_together(&stored, facts_of(&stored.name))).collect()
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
        self.require(&project, table).await
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
        let found = self.require(&project, table).await?;
        let selection = Selection { limit: Some(limit.into()), ..Selection::default() };
        let rows = self.lakes.rows(project.lake, &found.name, selection, ReadAt::Head, PREVIEW_TIMEOUT).await?.0;
        Ok((found, rows))
    }

    /// Deletes a table.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn delete(&self, caller: &Caller, project: &ProjectId, table: &TableRef) -> Result<(), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        self.require_bucket(&project, &table.bucket, ReadAt::Head).await?;
        let write = LakeWrite::drop_table(table.clone());
        let written = self.lakes.write(project.lake, write, caller.origin()).await;
        let committed = written.map_err(about_table(&project.id, table))?;
        self.after_change(&project, committed).await
    }

    /// Opens a table for rows.
    pub async fn open_for_append(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<OpenTable, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Write).await?;
        self.projection.ensure(&project).await?;
        let (known, changes) = self.projection.known_table(project.lake, table);
        if let Some((table, schema)) = known {
            return Ok(OpenTable { project, table, schema });
        }
        let found = self.require(&project, table).await?;
        let schema = Arc::new(found.schema);
        self.projection.keep_table(project.lake, table, (found.name.clone(), Arc::clone(&schema)), changes);
        Ok(OpenTable { project, table: found.name, schema })
    }

    /// Appends rows, all or none; answered once they are durable.
    #[tracing::instrument(skip_all, fields(project.id = %open.project.id, table.name = %open.table))]
    pub async fn append(&self, caller: &Caller, open: OpenTable, rows: RowSource) -> Result<Committed, UseCaseError> {
        let OpenTable { project, table, schema } = open;
        let write = LakeWrite::append(table.clone(), Arc::unwrap_or_clone(schema), rows);
        let written = self.lakes.write(project.lake, write, caller.origin()).await;
        let committed = written.map_err(about_table(&project.id, &table))?;
        self.projection.catch_up(&project, Some(committed.snapshot)).await?;
        Ok(committed)
    }

    async fn after_change(&self, project: &Project, committed: Committed) -> Result<(), UseCaseError> {
        self.projection.catch_up(project, Some(committed.snapshot)).await?;
        self.projects.refresh_size(project).await
    }

    async fn require_bucket(&self, project: &Project, bucket: &BucketName, at: ReadAt) -> Result<(), UseCaseError> {
        let buckets = self.lakes.buckets(project.lake, at).await?;
        if bucket.is_main() || buckets.iter().any(|known| known.name == *bucket) {
            return Ok(());
        }
        Err(UseCaseError::NoBucket { project: project.id.clone(), bucket: bucket.clone() })
    }

    async fn require(&self, project: &Project, table: &TableRef) -> Result<Table, UseCaseError> {
        self.require_at(project, table, ReadAt::Head).await
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
        world.tables.create(&owner, &id, t.clone(), schema(vec![column("i", "INTEGER")], &[])).await.unwrap();
        let open = world.tables.open_for_append(&owner, &id, &t).await.unwrap();
        let done = world.tables.append(&owner, open, rows(["i"], &[[Some("1")], [Some("2")]])).await.unwrap();
        assert_eq!(done.rows.inserted, 2);
        assert_eq!(world.events("p").await.last().map(String::as_str), Some("rows.appended"));
        let mut tx = world.store.read().await.unwrap();
        let entry = tx.audit().latest(&id, 1).await.unwrap().remove(0);
        assert_eq!((entry.resource.as_str(), entry.snapshot), ("main.t", Some(done.snapshot)));
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
        let missing = world.tables.list(&owner, &id, &bucket("no")).await;
        assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
        let missing = world.tables.delete(&owner, &id, &table("no.t")).await;
        assert!(matches!(missing, Err(UseCaseError::NoBucket { .. })));
    }
}
