//! `/admin/tables`: tables of one's own project as their schemas want them.

use std::sync::Arc;

use gadwall_application::access::Access;
use gadwall_application::records::{Evolution, Records, obstacle_json, step_json};
use gadwall_application::schemas::Schemas;
use gadwall_application::tables::Tables;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ontology::{SchemaId, Surplus};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use super::Area;
use super::models::{ColumnBody, JsonObject, columns};
use super::records::BySchema;
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

/// The word for all schemas.
const ALL: &str = "all";

pub(crate) struct AdminTablesApi {
    pub(crate) access: Arc<Access>,
    pub(crate) records: Arc<Records>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) tables: Arc<Tables>,
}

/// What was done.
#[derive(Debug, Object)]
pub(crate) struct AdminDone {
    /// In words.
    message: String,
}

/// Names of tables.
#[derive(Debug, Object)]
pub(crate) struct AdminTableNames {
    /// `table` for those in `main`, else `bucket.table`.
    tables: Vec<String>,
}

/// A table and the schema that it follows.
#[derive(Debug, Object)]
pub(crate) struct AdminTable {
    /// Its name.
    name: String,
    /// Its columns, in order.
    columns: Vec<ColumnBody>,
    /// Rows.
    row_count: u64,
    /// What it should be; null where it follows no schema, or none can be had.
    governed: Option<EvolutionBody>,
}

/// What has to change for a table to be what its schema wants, or what was changed.
#[derive(Debug, Object)]
#[oai(rename = "Evolution")]
pub(crate) struct EvolutionBody {
    /// The table.
    table: String,
    /// The schema that it should follow.
    schema_id: String,
    /// The version of the schema that it was made or last changed to, where that is known.
    from_version: Option<String>,
    /// The version of the schema now.
    to_version: String,
    /// Where that comes from: `server`, `cache`, `stale` or `builtin`.
    source: String,
    /// Whether the table isn't what its schema wants.
    drift: bool,
    /// `compatible` or `breaking`.
    compatibility: String,
    /// The changes in their order: `op`, what it takes, `compatibility`, and `why` it breaks others.
    steps: Vec<Any<Value>>,
    /// What no change of the table removes: `column` and `reason`.
    obstacles: Vec<Any<Value>>,
    /// Who reads it: `links` of other projects to its bucket, and `views` that name it.
    affected: Any<Value>,
    /// The snapshot of the last change; none where nothing was done.
    #[oai(skip_serializing_if_is_none)]
    snapshot_id: Option<u64>,
}

impl From<Evolution> for EvolutionBody {
    fn from(evolution: Evolution) -> Self {
        let Evolution { table, from, to, plan, affected, snapshot } = evolution;
        Self {
            table: table.short(),
            schema_id: to.id.to_string(),
            from_version: from,
            to_version: to.version,
            source: to.source.as_str().to_owned(),
            drift: !plan.is_empty() && snapshot.is_none(),
            compatibility: if plan.is_breaking() { "breaking" } else { "compatible" }.to_owned(),
            steps: plan.steps.iter().map(|step| Any(step_json(step))).collect(),
            obstacles: plan.obstacles.iter().map(|obstacle| Any(obstacle_json(obstacle))).collect(),
            affected: Any(affected.to_json()),
            snapshot_id: snapshot.map(SnapshotId::get),
        }
    }
}

#[OpenApi(tag = "Area::Governed")]
impl AdminTablesApi {
    /// Make a table from its schema
    ///
    /// As the ontology server has it now. A table that is there gets what it lacks, as long as that breaks nobody.
    #[oai(path = "/admin/tables", method = "post", operation_id = "create_admin_table")]
    async fn create(
        &self,
        auth: Auth,
        /// Which schema; `project_schema` unless told. `all` means all that are known.
        schema: Query<Option<String>>,
    ) -> ApiResult<BySchema<AdminDone>> {
        let project = auth.own_project(&self.access)?;
        let ids = match schema.0.as_deref() {
            None => vec![self.schemas.builtin_id().clone()],
            Some(ALL) => self.schemas.list(auth.caller()).await?.into_iter().map(|version| version.id).collect(),
            Some(id) => vec![schema_id(id)?],
        };
        let (mut names, mut last) = (Vec::new(), None);
        for id in &ids {
            let (made, schema) = self.records.initialize(auth.caller(), &project, Some(id)).await?;
            names.push(made.table.short());
            last = Some(schema);
        }
        let what = if names.len() == 1 { "Table" } else { "Tables" };
        let message = format!("{what} {} created successfully", names.join(", "));
        let last = last.ok_or_else(|| ApiError::out_of_range("no schema is known"))?;
        Ok(BySchema::new(AdminDone { message }, &last))
    }

    /// List tables of one's own project
    #[oai(path = "/admin/tables", method = "get", operation_id = "list_admin_tables")]
    async fn list(&self, auth: Auth) -> ApiResult<Json<AdminTableNames>> {
        let project = auth.own_project(&self.access)?;
        let names = self.tables.names(auth.caller(), &project).await?;
        Ok(Json(AdminTableNames { tables: names.iter().map(TableRef::short).collect() }))
    }

    /// Look at a table and at what its schema wants
    #[oai(path = "/admin/tables/:table", method = "get", operation_id = "get_admin_table")]
    async fn get(&self, auth: Auth, table: Path<String>) -> ApiResult<Json<AdminTable>> {
        let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(&table.0)?);
        let found = self.tables.get(auth.caller(), &project, &table).await?;
        let plan = self.records.plan(auth.caller(), &project, &table, None, Surplus::Keep).await;
        Ok(Json(AdminTable {
            name: found.name.short(),
            columns: columns(&found.schema, &found.comments),
            row_count: found.size.row_count,
            governed: plan.ok().map(Into::into),
        }))
    }

    /// Give a table columns of these types
    ///
    /// An object of columns and DuckDB types. Columns that are missing are added, types are widened; others stay, or go with
    /// `drop`. Each change is a snapshot of its own.
    #[oai(path = "/admin/tables/:table", method = "put", operation_id = "change_admin_table")]
    async fn put(
        &self,
        auth: Auth,
        table: Path<String>,
        /// Drop columns that aren't named.
        drop: Query<Option<bool>>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        body: Json<JsonObject>,
    ) -> ApiResult<Json<AdminDone>> {
        let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(&table.0)?);
        let mut wanted: Vec<(ColumnName, DataType)> = Vec::with_capacity(body.0.0.len());
        for (name, value) in &body.0.0 {
            let text =
                value.as_str().ok_or_else(|| ApiError::out_of_range(format!("{name} is a type, written as text")))?;
            let name = ColumnName::parse(name)?;
            if wanted.iter().any(|(known, _)| *known == name) {
                return Err(ApiError::out_of_range(format!("column {name} is there twice")));
            }
            wanted.push((name, DataType::parse(text)?));
        }
        let (surplus, breaks) = (surplus(drop.0), allow_breaking.0.unwrap_or(false));
        self.records.retype(auth.caller(), &project, &table, wanted, surplus, breaks).await?;
        Ok(Json(AdminDone { message: format!("Table {} updated successfully", table.short()) }))
    }

    /// Delete a table of one's own project
    #[oai(path = "/admin/tables/:table", method = "delete", operation_id = "delete_admin_table")]
    async fn delete(&self, auth: Auth, table: Path<String>) -> ApiResult<Json<AdminDone>> {
        let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(&table.0)?);
        self.records.delete_table(auth.caller(), &project, &table).await?;
        Ok(Json(AdminDone { message: format!("Table {} deleted successfully", table.short()) }))
    }

    /// Tell what would make a table what its schema wants
    ///
    /// Columns to add, widen, rename (by the schema's aliases) and drop; each compatible or breaking, and whom that touches.
    #[oai(path = "/admin/tables/:table/plan", method = "get", operation_id = "plan_admin_table")]
    async fn plan(
        &self,
        auth: Auth,
        table: Path<String>,
        /// The schema, for a table that follows none.
        schema: Query<Option<String>>,
        /// Drop columns that the schema doesn't have.
        drop: Query<Option<bool>>,
    ) -> ApiResult<Json<EvolutionBody>> {
        let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(&table.0)?);
        let schema = schema.0.as_deref().map(schema_id).transpose()?;
        let plan = self.records.plan(auth.caller(), &project, &table, schema.as_ref(), surplus(drop.0)).await?;
        Ok(Json(plan.into()))
    }

    /// Make a table what its schema wants
    ///
    /// As the ontology server has it now, in as few snapshots as can be: one for each change of the table, rules beside it. If
    /// one fails, those before it stay, and asked again it goes on from there.
    #[oai(path = "/admin/tables/:table/evolve", method = "post", operation_id = "evolve_admin_table")]
    async fn evolve(
        &self,
        auth: Auth,
        table: Path<String>,
        /// The schema, for a table that follows none.
        schema: Query<Option<String>>,
        /// Drop columns that the schema doesn't have.
        drop: Query<Option<bool>>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
    ) -> ApiResult<Json<EvolutionBody>> {
        let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(&table.0)?);
        let schema = schema.0.as_deref().map(schema_id).transpose()?;
        let (surplus, breaks) = (surplus(drop.0), allow_breaking.0.unwrap_or(false));
        let done = self.records.evolve(auth.caller(), &project, &table, schema.as_ref(), surplus, breaks).await?;
        Ok(Json(done.into()))
    }
}

fn surplus(drop: Option<bool>) -> Surplus {
    if drop.unwrap_or(false) { Surplus::Drop } else { Surplus::Keep }
}

pub(super) fn schema_id(text: &str) -> ApiResult<SchemaId> {
    SchemaId::parse(text).map_err(|error| ApiError::out_of_range(error.to_string()))
}
