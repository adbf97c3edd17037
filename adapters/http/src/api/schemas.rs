//! `/schemas`: what the ontology says tables are.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::records::{Records, obstacle_json, step_json};
use gadwall_application::schemas::{Resolved, Schemas};
use gadwall_domain::ontology::{Field, KnownVersion, Plan, Surplus};
use gadwall_domain::table::TableRef;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use super::Area;
use super::admin_tables::schema_id;
use super::checks::ChecksBody;
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct SchemasApi {
    pub(crate) access: Arc<Access>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) records: Arc<Records>,
}

/// A version of a schema that the ontology server had.
#[derive(Debug, Object)]
#[oai(rename = "SchemaVersion")]
pub(crate) struct SchemaVersionBody {
    /// Which schema.
    id: String,
    /// Its version: the one that the document states, else the start of its digest.
    version: String,
    /// The digest of its document.
    digest: String,
    /// When the server was seen to have it first; 1970 for a built-in one.
    first_seen: DateTime<Utc>,
    /// When it was seen to have it last.
    last_seen: DateTime<Utc>,
}

impl From<KnownVersion> for SchemaVersionBody {
    fn from(version: KnownVersion) -> Self {
        let KnownVersion { id, version, digest, first_seen, last_seen } = version;
        Self { id: id.to_string(), version, digest, first_seen, last_seen }
    }
}

/// Schemas that are known here.
#[derive(Debug, Object)]
pub(crate) struct SchemaList {
    /// The last version of each, by id.
    schemas: Vec<SchemaVersionBody>,
    /// How many.
    total: u64,
}

/// The versions of a schema.
#[derive(Debug, Object)]
pub(crate) struct SchemaVersions {
    /// The last seen first.
    versions: Vec<SchemaVersionBody>,
    /// How many.
    total: u64,
}

/// A field of a record.
#[derive(Debug, Object)]
pub(crate) struct FieldBody {
    /// Its name.
    name: String,
    /// Its DuckDB type.
    #[oai(rename = "type")]
    data_type: String,
    /// Whether a record needs it.
    required: bool,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    description: Option<String>,
    /// What a record gets that doesn't give it.
    #[oai(skip_serializing_if_is_none)]
    default: Option<String>,
    /// What its values are held to.
    #[oai(skip_serializing_if_is_none)]
    checks: Option<ChecksBody>,
    /// Names that it had.
    #[oai(skip_serializing_if_is_empty, default)]
    aliases: Vec<String>,
    /// Whether the server fills it in.
    filled_by_server: bool,
}

impl From<&Field> for FieldBody {
    fn from(field: &Field) -> Self {
        let column = &field.column;
        Self {
            name: column.name.to_string(),
            data_type: column.data_type.spelling(),
            required: !column.nullable,
            description: field.description.clone(),
            default: column.default.as_ref().map(|default| default.as_str().to_owned()),
            checks: ChecksBody::of(&column.checks),
            aliases: field.aliases.iter().map(ToString::to_string).collect(),
            filled_by_server: field.fill.is_some(),
        }
    }
}

/// A schema that holds now.
#[derive(Debug, Object)]
#[oai(rename = "Schema")]
pub(crate) struct SchemaBody {
    /// Its id.
    id: String,
    /// The table that it is of.
    name: String,
    /// What that is for.
    description: Option<String>,
    /// Its version.
    version: String,
    /// Where it comes from: `server` (asked just now), `cache` (asked not long ago), `stale` (it doesn't answer, or not yet) or
    /// `builtin`.
    source: String,
    /// When the server was seen to have it; null for a built-in one.
    seen_at: Option<DateTime<Utc>>,
    /// Why it isn't the server's of now.
    problem: Option<String>,
    /// The columns that identify a record.
    primary_key: Vec<String>,
    /// Its fields, in order.
    fields: Vec<FieldBody>,
    /// The document that the server has.
    document: Any<Value>,
}

impl SchemaBody {
    fn new((found, document): (Resolved, Value)) -> Self {
        let Resolved { id, schema, version, source, seen_at, problem } = found;
        Self {
            id: id.to_string(),
            name: schema.name.to_string(),
            description: schema.description.clone(),
            version,
            source: source.as_str().to_owned(),
            seen_at,
            problem,
            primary_key: schema.table().key_columns().iter().map(ToString::to_string).collect(),
            fields: schema.fields().iter().map(Into::into).collect(),
            document: Any(document),
        }
    }
}

/// What leads from one shape to another.
#[derive(Debug, Object)]
pub(crate) struct SchemaDiff {
    /// Which schema.
    id: String,
    /// From which version, or table.
    from: String,
    /// To which version.
    to: String,
    /// `compatible` or `breaking`.
    compatibility: String,
    /// The changes in their order.
    steps: Vec<Any<Value>>,
    /// What no change of a table removes.
    obstacles: Vec<Any<Value>>,
}

impl SchemaDiff {
    fn new(id: &str, from: String, to: String, plan: &Plan) -> Self {
        Self {
            id: id.to_owned(),
            from,
            to,
            compatibility: if plan.is_breaking() { "breaking" } else { "compatible" }.to_owned(),
            steps: plan.steps.iter().map(|step| Any(step_json(step))).collect(),
            obstacles: plan.obstacles.iter().map(|obstacle| Any(obstacle_json(obstacle))).collect(),
        }
    }
}

#[OpenApi(tag = "Area::Governed")]
impl SchemasApi {
    /// List schemas
    ///
    /// Those that are known here: built in, or fetched from the ontology server once.
    #[oai(path = "/schemas", method = "get", operation_id = "list_schemas")]
    async fn list(&self, auth: Auth) -> ApiResult<Json<SchemaList>> {
        let schemas = self.schemas.list(auth.caller()).await?;
        let total = schemas.len() as u64;
        Ok(Json(SchemaList { schemas: schemas.into_iter().map(Into::into).collect(), total }))
    }

    /// Look at a schema
    #[oai(path = "/schemas/:schema", method = "get", operation_id = "get_schema")]
    async fn get(&self, auth: Auth, schema: Path<String>) -> ApiResult<Json<SchemaBody>> {
        Ok(Json(SchemaBody::new(self.schemas.get(auth.caller(), &schema_id(&schema.0)?).await?)))
    }

    /// List a schema's versions
    #[oai(path = "/schemas/:schema/versions", method = "get", operation_id = "list_schema_versions")]
    async fn versions(&self, auth: Auth, schema: Path<String>) -> ApiResult<Json<SchemaVersions>> {
        let versions = self.schemas.versions(auth.caller(), &schema_id(&schema.0)?).await?;
        let total = versions.len() as u64;
        Ok(Json(SchemaVersions { versions: versions.into_iter().map(Into::into).collect(), total }))
    }

    /// Ask the ontology server for a schema now
    ///
    /// If it doesn't give one, `source` and `problem` tell what stands in for it, and why.
    #[oai(path = "/schemas/:schema/refresh", method = "post", operation_id = "refresh_schema")]
    async fn refresh(&self, auth: Auth, schema: Path<String>) -> ApiResult<Json<SchemaBody>> {
        let project = auth.own_project(&self.access)?;
        let id = schema_id(&schema.0)?;
        Ok(Json(SchemaBody::new(self.schemas.refresh(auth.caller(), &project, &id).await?)))
    }

    /// Compare two versions of a schema, or a table with it
    #[oai(path = "/schemas/:schema/diff", method = "get", operation_id = "diff_schema")]
    async fn diff(
        &self,
        auth: Auth,
        schema: Path<String>,
        /// From this version; the one before the last unless told.
        from: Query<Option<String>>,
        /// To this version; the last unless told.
        to: Query<Option<String>>,
        /// From this table of one's own project as it is now, to the schema as it is now.
        table: Query<Option<String>>,
    ) -> ApiResult<Json<SchemaDiff>> {
        let id = schema_id(&schema.0)?;
        if let Some(table) = &table.0 {
            if from.0.is_some() || to.0.is_some() {
                return Err(ApiError::out_of_range("compare a table, or versions (from and to), not both"));
            }
            let (project, table) = (auth.own_project(&self.access)?, TableRef::parse(table)?);
            let plan = self.records.plan(auth.caller(), &project, &table, Some(&id), Surplus::Drop).await?;
            return Ok(Json(SchemaDiff::new(
                &schema.0,
                format!("table {}", table.short()),
                plan.to.version,
                &plan.plan,
            )));
        }
        let versions = self.schemas.versions(auth.caller(), &id).await?;
        let named = |given: Option<String>, at: usize| {
            given.or_else(|| Some(versions.get(at).or(versions.last())?.version.clone())).unwrap_or_default()
        };
        let (from, to) = (named(from.0, 1), named(to.0, 0));
        let before = self.schemas.version(auth.caller(), &id, &from).await?;
        let after = self.schemas.version(auth.caller(), &id, &to).await?;
        let plan = Plan::between(before.table(), &after, Surplus::Drop);
        Ok(Json(SchemaDiff::new(&schema.0, from, to, &plan)))
    }
}
