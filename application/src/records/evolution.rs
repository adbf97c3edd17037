//! From the table that is there to the one that its schema wants: what has to change, whom that touches, and doing it.

use gadwall_domain::access::Scope;
use gadwall_domain::alteration::{Alteration, Compatibility};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ColumnName, ProjectId};
use gadwall_domain::ontology::{GovernedTable, Obstacle, Plan, SchemaId, Step, Surplus};
use gadwall_domain::project::Project;
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::sharing::SourceBucket;
use gadwall_domain::table::{Table, TableRef};
use gadwall_domain::types::DataType;
use serde_json::{Value, json};

use super::{GovernedError, Records};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::schemas::Resolved;
use crate::tables::{Meant, Reshape};

/// Most links and views that are named.
const MAX_NAMED: usize = 100;

/// Who reads a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affected {
    /// Links of other projects to its bucket: project and name.
    pub links: Vec<(ProjectId, String)>,
    /// Views of its project that name it.
    pub views: Vec<TableRef>,
}

impl Affected {
    /// As JSON for a client.
    pub fn to_json(&self) -> Value {
        let link = |(project, name): &(ProjectId, String)| json!({ "project": project.as_str(), "bucket": name });
        let links: Vec<Value> = self.links.iter().map(link).collect();
        let views: Vec<String> = self.views.iter().map(TableRef::to_string).collect();
        json!({ "links": links, "views": views })
    }
}

/// What has to change for a table to be what its schema wants.
#[derive(Debug, Clone)]
pub struct Evolution {
    /// The table.
    pub table: TableRef,
    /// The version that it was made or last changed to; none if that is not known.
    pub from: Option<String>,
    /// The schema that it should follow.
    pub to: Resolved,
    /// The changes.
    pub plan: Plan,
    /// Who reads it.
    pub affected: Affected,
    /// The last snapshot that the changes made; none where nothing was done.
    pub snapshot: Option<SnapshotId>,
}

/// A step as JSON for a client.
pub fn step_json(step: &Step) -> Value {
    let mut told = serde_json::to_value(&step.alteration).unwrap_or_default();
    let (kind, why) = match step.compatibility {
        Compatibility::Compatible => ("compatible", Value::Null),
        Compatibility::Breaking { why } => ("breaking", why.into()),
    };
    told["compatibility"] = kind.into();
    if !why.is_null() {
        told["why"] = why;
    }
    told
}

/// An obstacle as JSON for a client.
pub fn obstacle_json(obstacle: &Obstacle) -> Value {
    json!({ "column": obstacle.column.as_ref().map(ColumnName::as_str), "reason": obstacle.reason })
}

impl Records {
    /// What has to change for a table to be what its schema wants now. `schema` names one for a table that follows none.
    pub async fn plan(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        schema: Option<&SchemaId>,
        surplus: Surplus,
    ) -> Result<Evolution, UseCaseError> {
        let found = self.tables.get(caller, project, table).await?;
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let (to, from) = self.wanted(&project, &found, schema, false).await?;
        self.evolution(&project, &found, to, from, surplus).await
    }

    /// Makes a table what its schema wants now. Steps that break others need `allow_breaking`. DuckLake takes one change of a
    /// table in a snapshot, beside rules that only the commit tells of; what was done before one that fails stays, and asked
    /// again it goes on from there.
    pub async fn evolve(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        schema: Option<&SchemaId>,
        surplus: Surplus,
        allow_breaking: bool,
    ) -> Result<Evolution, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let found = self.tables.require_at(&project, table, ReadAt::Head).await?;
        let (to, from) = self.wanted(&project, &found, schema, true).await?;
        let mut evolution = self.evolution(&project, &found, to, from, surplus).await?;
        let table = evolution.table.clone();
        if !evolution.plan.obstacles.is_empty() {
            return Err(GovernedError::Obstacles { table, obstacles: evolution.plan.obstacles }.into());
        }
        if evolution.plan.is_breaking() && !allow_breaking {
            return Err(GovernedError::Breaking(Box::new(evolution)).into());
        }
        let steps = evolution.plan.steps.iter().map(|step| step.alteration.clone());
        evolution.snapshot = self.alter(caller, &project, &table, (&found.schema, steps.collect())).await?;
        self.govern(&project, &table, &evolution.to, evolution.snapshot).await?;
        Ok(evolution)
    }

    /// Makes a table have columns of these types. Others stay, or are dropped.
    pub async fn retype(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        columns: Vec<(ColumnName, DataType)>,
        surplus: Surplus,
        allow_breaking: bool,
    ) -> Result<Vec<Alteration>, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let found = self.tables.require_at(&project, table, ReadAt::Head).await?;
        let changes = changes(&found.schema, columns, surplus)?;
        let breaks = changes.iter().find_map(|change| match change.compatibility() {
            Compatibility::Breaking { why } => Some(why),
            Compatibility::Compatible => None,
        });
        if let Some(why) = breaks.filter(|_| !allow_breaking) {
            return Err(UseCaseError::Breaking { table: found.name, why });
        }
        self.alter(caller, &project, &found.name, (&found.schema, changes.clone())).await?;
        Ok(changes)
    }

    /// The schema that a table should follow, and the version that it was made to.
    async fn wanted(
        &self,
        project: &Project,
        found: &Table,
        named: Option<&SchemaId>,
        fresh: bool,
    ) -> Result<(Resolved, Option<String>), UseCaseError> {
        let governed = self.store.read().await?.schemas().governed(&project.id, &found.name).await?;
        let is_builtin = found.name == self.builtin_table();
        let id = match (named, &governed) {
            (Some(id), _) => id.clone(),
            (None, Some(governed)) => governed.schema.clone(),
            (None, None) if is_builtin => self.schemas.builtin_id().clone(),
            (None, None) => return Err(GovernedError::NotGoverned(found.name.clone()).into()),
        };
        let to = if fresh { self.schemas.fresh(&id).await? } else { self.schemas.current(&id).await? };
        if to.schema.name != found.name.table {
            return Err(GovernedError::OtherTable { id, name: to.schema.name.to_string() }.into());
        }
        Ok((to, governed.map(|governed| governed.version)))
    }

    async fn evolution(
        &self,
        project: &Project,
        found: &Table,
        to: Resolved,
        from: Option<String>,
        surplus: Surplus,
    ) -> Result<Evolution, UseCaseError> {
        let plan = Plan::between(&found.schema, &to.schema, surplus);
        let affected = if plan.is_empty() { Affected::default() } else { self.affected(project, &found.name).await? };
        Ok(Evolution { table: found.name.clone(), from, to, plan, affected, snapshot: None })
    }

    /// Who reads a table: projects that link its bucket, and views that name it.
    async fn affected(&self, project: &Project, table: &TableRef) -> Result<Affected, UseCaseError> {
        let source = SourceBucket { project: project.id.clone(), bucket: table.bucket.clone() };
        let links = self.store.read().await?.sharing().links_to(Some(&source)).await?;
        let links = links.into_iter().filter(|known| known.open);
        let links = links.map(|known| (known.link.project, known.link.name.to_string())).take(MAX_NAMED).collect();
        let mut views = Vec::new();
        for bucket in self.lakes.buckets(project.lake, ReadAt::Head).await? {
            let all = self.lakes.views(project.lake, &bucket.name, None, ReadAt::Head).await?;
            views.extend(
                all.into_iter().filter(|view| mentions(&view.query, table.table.as_str())).map(|view| view.name),
            );
        }
        views.truncate(MAX_NAMED);
        Ok(Affected { links, views })
    }

    /// Alters a table in as few snapshots as can be; answers the last one.
    pub(super) async fn alter(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        (shape, steps): (&TableSchema, Vec<Alteration>),
    ) -> Result<Option<SnapshotId>, UseCaseError> {
        // What is left to do is found out anew each time: an idempotency key would name one of several steps.
        let caller = Caller { idempotency: None, ..caller.clone() };
        let mut snapshot = None;
        for step in Alteration::together(steps, shape)? {
            let meant = Meant { expected: Expected::ANY, dry_run: false };
            let done = self.tables.reshape(&caller, &project.id, table, Reshape::Alter(step), meant, true).await?;
            snapshot = done.snapshot;
        }
        Ok(snapshot)
    }

    /// Notes which version of its schema a table follows.
    pub(super) async fn govern(
        &self,
        project: &Project,
        table: &TableRef,
        to: &Resolved,
        snapshot: Option<SnapshotId>,
    ) -> Result<(), UseCaseError> {
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => self.lakes.head(project.lake).await?,
        };
        let noted = GovernedTable {
            project: project.id.clone(),
            table: table.clone(),
            schema: to.id.clone(),
            version: to.version.clone(),
            snapshot,
            applied_at: self.clock.now(),
        };
        let mut tx = self.store.write().await?;
        tx.schemas().govern(&noted).await?;
        Ok(tx.commit().await?)
    }
}

/// Whether a query has a word.
fn mentions(query: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    query.split(|letter| !is_part(letter)).any(|part| part.eq_ignore_ascii_case(word))
}

/// The changes that make a table have these columns.
fn changes(
    table: &TableSchema,
    columns: Vec<(ColumnName, DataType)>,
    surplus: Surplus,
) -> Result<Vec<Alteration>, UseCaseError> {
    let (mut now, mut changes) = (table.clone(), Vec::new());
    let dropped = table.columns().iter().filter(|column| columns.iter().all(|(name, _)| *name != column.name));
    let dropped = dropped.filter(|_| surplus == Surplus::Drop).map(|column| column.name.clone());
    let dropped: Vec<_> = dropped.map(|column| Alteration::DropColumn { column }).collect();
    let wanted = columns.into_iter().filter_map(|(name, data_type)| match table.column(&name) {
        None => Some(Alteration::AddColumn { column: Column::new(name, data_type) }),
        Some(column) if column.data_type == data_type => None,
        Some(_) => Some(Alteration::SetType { column: name, data_type }),
    });
    for change in wanted.collect::<Vec<_>>().into_iter().chain(dropped) {
        let change = change.of_table(&now);
        now = change.apply(&now)?;
        changes.push(change);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_mentions_whole_words() {
        assert!(mentions("SELECT * FROM main.\"Orders\" o", "orders"));
        assert!(!mentions("SELECT * FROM orders_old, my-orders", "orders"));
    }
}
