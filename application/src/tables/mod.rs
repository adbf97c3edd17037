//! Tables: create, list, look at, change, delete.

mod contract;
mod room;
mod rows;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::contract::{DataContract, HeldContract, StoredContract};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{Lake, LakeError, LakeWrite, StoredTable};
use gadwall_domain::ports::metadata::{MetadataStore, TableFacts};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::{Comments, Table, TableRef};

use crate::access::Access;
use crate::caller::Caller;
use crate::contracts::Recorder;
use crate::error::{UseCaseError, about_table};
use crate::lineage::Failures;
use crate::projection::Projection;
use crate::projects::Projects;
use crate::sharing::Place;
use crate::writes::Writes;
use shape::check_comments;

pub use rows::{Edit, Meant, Outcome, Purged};
pub use shape::{Reshape, Reshaped};

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

/// What a new table should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTable {
    /// Its columns and key.
    pub schema: TableSchema,
    /// How its files are laid out.
    pub layout: Layout,
    /// What it and its columns are for.
    pub comments: Comments,
}

impl From<TableSchema> for NewTable {
    fn from(schema: TableSchema) -> Self {
        Self { schema, layout: Layout::default(), comments: Comments::default() }
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
        new: NewTable,
    ) -> Result<Table, UseCaseError> {
        let NewTable { schema, layout, comments } = new;
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        layout.check(&schema)?;
        check_comments(&comments)?;
        let room = match self.writes.committed_before(caller, &project).await? {
            Some(_) => None,
            None => Some(self.projects.reserve(&project, QuotaKind::Tables, 1).await?),
        };
        let write = LakeWrite::CreateTable { table: table.clone(), schema, layout };
        self.writes.commit(caller, &project, write, about_table(&project.id, &table)).await?;
        if comments != Comments::default() {
            self.comment(caller, &project, &table, comments).await?;
        }
        self.projects.refresh_size(&project).await?;
        // It is in what was measured by now.
        drop(room);
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
        let place = self.access.open_to_read(caller, project, bucket).await?;
        // A pinned link shows no other version.
        let at = place.link.as_ref().and_then(|link| link.snapshot).map_or(at, ReadAt::Snapshot);
        self.list_in(&place, at).await.map_err(|error| place.told(error))
    }

    /// The tables of a bucket that was opened, as its reader knows them.
    pub(crate) async fn list_in(&self, place: &Place, at: ReadAt) -> Result<Vec<Table>, UseCaseError> {
        let Place { project, bucket, .. } = place;
        self.projection.ensure(project).await?;
        let Some(stored) = self.lakes.tables(project.lake, bucket, at).await? else {
            return Err(UseCaseError::NoBucket { project: project.id.clone(), bucket: bucket.clone() });
        };
        let facts = self.store.read().await?.lake_index().tables(&project.id, Some(bucket), at).await?;
        let facts_of: HashMap<&TableRef, &TableFacts> = facts.iter().map(|facts| (&facts.table, facts)).collect();
        let told = |stored: StoredTable| {
            let facts = facts_of.get(&stored.name).copied();
            Ok(place.shown(put_together(&stored, facts)?))
        };
        stored.into_iter().map(told).collect()
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
        let links = self.access.links(&opened.id, caller.seen).await?;
        names.retain(|table| !links.iter().any(|known| known.link.name == table.bucket));
        for known in links.iter().filter(|known| known.open) {
            let name = &known.link.name;
            if caller.principal().is_some_and(|principal| principal.may_touch(name)) {
                let tables = self.list(caller, &opened.id, name, ReadAt::Head).await;
                names.extend(tables.unwrap_or_default().into_iter().map(|table| table.name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// A table.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, table: &TableRef) -> Result<Table, UseCaseError> {
        let place = self.access.open_to_read(caller, project, &table.bucket).await?;
        let at = place.link.as_ref().and_then(|link| link.snapshot).map_or(ReadAt::Head, ReadAt::Snapshot);
        let found = self.require_at(&place.project, &place.table(table), at).await;
        Ok(place.shown(found.map_err(|error| place.told(error))?))
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
        self.carry_out(caller, &project, table, write, false).await?;
        self.projects.refresh_size(&project).await
    }

    /// Opens a table for something that needs the scope.
    pub async fn open(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        scope: Scope,
    ) -> Result<OpenTable, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, scope).await?;
        self.open_in(project, table).await
    }

    /// Writes down which writes were refused for a contract.
    #[must_use]
    pub fn recording(self, recorder: Recorder) -> Self {
        Self { writes: self.writes.recording(recorder), ..self }
    }

    /// Tells lineage which writes came to nothing.
    #[must_use]
    pub fn telling(self, failures: Failures) -> Self {
        Self { writes: self.writes.telling(failures), ..self }
    }

    async fn open_in(&self, project: Project, table: &TableRef) -> Result<OpenTable, UseCaseError> {
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
        if !self.lakes.views(project.lake, &table.bucket, Some(&table.table), at).await?.is_empty() {
            return Err(UseCaseError::IsView(table.clone()));
        }
        Err(UseCaseError::NoTable { project: project.id.clone(), table: table.clone() })
    }

    async fn find(&self, project: &Project, table: &TableRef, at: ReadAt) -> Result<Option<Table>, UseCaseError> {
        self.projection.ensure(project).await?;
        let Some(stored) = self.lakes.table(project.lake, &table.bucket, &table.table, at).await? else {
            return Ok(None);
        };
        let mut tx = self.store.read().await?;
        let facts = tx.lake_index().table(&project.id, table, at).await?;
        let contract = match at {
            ReadAt::Head => tx.contracts().contract(&project.id, table).await?,
            ReadAt::Snapshot(_) => None,
        };
        drop(tx);
        let mut found = put_together(&stored, facts.as_ref())?;
        if let Some(contract) = contract {
            found.schema = found.schema.held_to(Some(Arc::new(held(&contract)?)));
        }
        Ok(Some(found))
    }

    /// The contract that a table is held to.
    pub(crate) async fn contract_of(
        &self,
        project: &Project,
        table: &TableRef,
    ) -> Result<Option<Arc<HeldContract>>, UseCaseError> {
        self.projection.ensure(project).await?;
        let found = self.store.read().await?.contracts().contract(&project.id, table).await?;
        found.map(|contract| held(&contract).map(Arc::new)).transpose()
    }
}

/// A contract as it was stored. It was read before it was: if it can't be any more, nobody may write past it.
pub(crate) fn held(stored: &StoredContract) -> Result<HeldContract, UseCaseError> {
    let read = DataContract::parse(&stored.object, &stored.document);
    let contract = read.map_err(|error| UseCaseError::Lake(LakeError::Fault(Box::new(error))))?;
    Ok(HeldContract { since: stored.since, contract })
}

/// What the lake stores, completed by what its commits say: lengths, checks, key, time of creation.
fn put_together(stored: &StoredTable, facts: Option<&TableFacts>) -> Result<Table, UseCaseError> {
    let declared = |column: &Column| {
        let facts = facts?.columns.iter().find(|known| known.name == column.name)?;
        (facts.data_type.without_lengths() == column.data_type).then_some(facts)
    };
    let complete = |column: &Column| match declared(column) {
        None => column.clone(),
        Some(facts) => Column { data_type: facts.data_type.clone(), checks: facts.checks.clone(), ..column.clone() },
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
