//! Tables that change their shape: columns, keys, names, comments, layout.

use std::sync::Arc;

use gadwall_application::caller::Caller;
use gadwall_application::tables::{Meant, Reshape, Reshaped, Tables};
use gadwall_domain::alteration::{Alteration, Compatibility};
use gadwall_domain::check::Checks;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ColumnName, TableName};
use gadwall_domain::schema::DefaultValue;
use gadwall_domain::types::DataType;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::checks::ChecksBody;
use super::conditions::if_match_shape;
use super::models::{NewColumn, TableBody, etag_of, partitions, sort_keys};
use super::{Area, project_id, table_ref};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct ShapeApi {
    pub(crate) tables: Arc<Tables>,
}

/// A table whose shape changed.
#[derive(Debug, Object)]
#[oai(rename = "Reshaped")]
pub(crate) struct ReshapedBody {
    /// The table as it is now (on a dry run: as it still is).
    #[oai(flatten)]
    table: TableBody,
    /// Whether others can go on as before.
    compatibility: CompatibilityBody,
    /// The snapshot it stands in; none on a dry run.
    #[oai(skip_serializing_if_is_none)]
    snapshot_id: Option<u64>,
    /// Whether nothing was written.
    dry_run: bool,
}

/// Whether those who read and write the table can go on as before.
#[derive(Debug, Object)]
#[oai(rename = "Compatibility")]
pub(crate) struct CompatibilityBody {
    /// `compatible` or `breaking`.
    kind: String,
    /// Who can't go on, and why.
    #[oai(skip_serializing_if_is_none)]
    why: Option<String>,
}

/// What changes of a column: exactly one of these.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub(crate) struct ChangeColumn {
    /// Its new name.
    new_name: Option<String>,
    /// Its new type. One that doesn't hold every value of the old one breaks others, and must hold those that are there.
    new_type: Option<String>,
    /// Whether it may be null.
    nullable: Option<bool>,
    /// `true`: it may not be null; `false`: it may.
    set_not_null: Option<bool>,
    /// A literal for rows to come; null removes it.
    default: MaybeUndefined<String>,
    /// As `default`.
    set_default: MaybeUndefined<String>,
    /// What its values are held to beside its type, instead of what they were held to; null ends it.
    checks: MaybeUndefined<ChecksBody>,
    /// What it is for; null removes it.
    comment: MaybeUndefined<String>,
}

/// What changes of a table: exactly one of these.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub(crate) struct ChangeTable {
    /// Its new name.
    name: Option<String>,
    /// What it is for; null removes it.
    comment: MaybeUndefined<String>,
    /// How files to come are kept apart; an empty list ends it.
    partition_by: Option<Vec<String>>,
    /// How rows are ordered in files to come; an empty list ends it.
    sort_by: Option<Vec<String>>,
}

/// A primary key.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct NewKey {
    /// Its columns.
    columns: Vec<String>,
}

impl Example for ChangeColumn {
    fn example() -> Self {
        Self { new_type: Some("DECIMAL(12,2)".to_owned()), ..Self::default() }
    }
}

impl Example for ChangeTable {
    fn example() -> Self {
        Self { sort_by: Some(vec!["customer".to_owned(), "at desc".to_owned()]), ..Self::default() }
    }
}

impl Example for NewKey {
    fn example() -> Self {
        Self { columns: vec!["id".to_owned()] }
    }
}

#[derive(ApiResponse)]
pub(crate) enum ShapeMade {
    /// It is there.
    #[oai(status = 201)]
    Created(Json<ReshapedBody>, #[oai(header = "ETag")] String),
    /// It would be there: this was a dry run.
    #[oai(status = 200)]
    DryRun(Json<ReshapedBody>, #[oai(header = "ETag")] String),
}

#[derive(ApiResponse)]
pub(crate) enum ShapeChanged {
    /// It was changed, or could be: see `dry_run`.
    #[oai(status = 200)]
    Changed(Json<ReshapedBody>, #[oai(header = "ETag")] String),
}

/// What a request says beside its body.
pub(crate) struct Said<'a> {
    project: &'a str,
    bucket: &'a str,
    table: &'a str,
    allow_breaking: bool,
    dry_run: bool,
    if_match: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(crate) fn new(
        (project, bucket, table): (&'a Path<String>, &'a Path<String>, &'a Path<String>),
        allow_breaking: &Query<Option<bool>>,
        dry_run: &Query<Option<bool>>,
        if_match: &'a Header<Option<String>>,
    ) -> Self {
        Self {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0.unwrap_or(false),
            dry_run: dry_run.0.unwrap_or(false),
            if_match: if_match.0.as_deref(),
        }
    }
}

#[OpenApi(tag = "Area::Tables")]
impl ShapeApi {
    /// Add a column
    ///
    /// At the end. Rows that are there get its default.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/columns",
        method = "post",
        operation_id = "add_column"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn add_column(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<NewColumn>,
    ) -> ApiResult<ShapeMade> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        if body.0.comment.is_some() {
            return Err(ApiError::multiple_changes("the column itself, and then PUT its comment"));
        }
        let alteration = Alteration::AddColumn { column: body.0.parse()? };
        reshape(&self.tables, auth.caller(), &said, Reshape::Alter(alteration)).await.map(ShapeMade::from)
    }

    /// Change a column
    ///
    /// One thing at a time: its name, its type, whether it may be null, its default, its checks, or its comment.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/columns/:column",
        method = "put",
        operation_id = "change_column"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn change_column(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        column: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<ChangeColumn>,
    ) -> ApiResult<ShapeChanged> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        let alteration = body.0.alteration(&ColumnName::parse(&column.0)?)?;
        reshape(&self.tables, auth.caller(), &said, Reshape::Alter(alteration)).await.map(ShapeChanged::from)
    }

    /// Drop a column
    ///
    /// Its values stay in earlier snapshots.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/columns/:column",
        method = "delete",
        operation_id = "drop_column"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn drop_column(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        column: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<ShapeChanged> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        let alteration = Alteration::DropColumn { column: ColumnName::parse(&column.0)? };
        reshape(&self.tables, auth.caller(), &said, Reshape::Alter(alteration)).await.map(ShapeChanged::from)
    }

    /// Give a table a primary key
    ///
    /// Its rows must fit it already: no NULL, no value twice.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/primary-key",
        method = "post",
        operation_id = "add_primary_key"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn add_key(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<NewKey>,
    ) -> ApiResult<ShapeMade> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        if body.0.columns.is_empty() {
            return Err(ApiError::out_of_range("columns is a list of at least one column"));
        }
        let columns = body.0.columns.iter().map(|name| Ok(ColumnName::parse(name)?)).collect::<ApiResult<_>>()?;
        let key = Reshape::Alter(Alteration::SetPrimaryKey { columns });
        reshape(&self.tables, auth.caller(), &said, key).await.map(ShapeMade::from)
    }

    /// Drop a table's primary key
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/primary-key",
        method = "delete",
        operation_id = "drop_primary_key"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn drop_key(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<ShapeChanged> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        reshape(&self.tables, auth.caller(), &said, Reshape::Alter(Alteration::DropPrimaryKey))
            .await
            .map(ShapeChanged::from)
    }
}

/// Changes a table's shape, or tells what would happen.
pub(crate) async fn reshape(
    tables: &Tables,
    caller: &Caller,
    said: &Said<'_>,
    reshape: Reshape,
) -> ApiResult<Reshaped> {
    let (project, table) = (project_id(said.project)?, table_ref(said.bucket, said.table)?);
    let meant = Meant { expected: if_match_shape(said.if_match)?, dry_run: said.dry_run };
    Ok(tables.reshape(caller, &project, &table, reshape, meant, said.allow_breaking).await?)
}

impl From<Reshaped> for ShapeMade {
    fn from(reshaped: Reshaped) -> Self {
        let etag = etag_of(&reshaped.table);
        let body = ReshapedBody::from(reshaped);
        if body.dry_run { Self::DryRun(Json(body), etag) } else { Self::Created(Json(body), etag) }
    }
}

impl From<Reshaped> for ShapeChanged {
    fn from(reshaped: Reshaped) -> Self {
        let etag = etag_of(&reshaped.table);
        Self::Changed(Json(reshaped.into()), etag)
    }
}

impl From<Reshaped> for ReshapedBody {
    fn from(reshaped: Reshaped) -> Self {
        let (kind, why) = match reshaped.compatibility {
            Compatibility::Compatible => ("compatible", None),
            Compatibility::Breaking { why } => ("breaking", Some(why.to_owned())),
        };
        Self {
            table: reshaped.table.into(),
            compatibility: CompatibilityBody { kind: kind.to_owned(), why },
            snapshot_id: reshaped.snapshot.map(SnapshotId::get),
            dry_run: reshaped.snapshot.is_none(),
        }
    }
}

/// The comment that is asked for: null is none. Nothing when nothing was said of it.
fn commented(column: Option<&ColumnName>, text: &MaybeUndefined<String>) -> Option<Alteration> {
    let comment = match text {
        MaybeUndefined::Undefined => return None,
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(text) => Some(text.clone()),
    };
    Some(Alteration::Comment { column: column.cloned(), comment })
}

/// Takes the one change that a body asks for.
fn only<T>(mut asked: Vec<T>, could: &str) -> ApiResult<T> {
    match (asked.pop(), asked.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(ApiError::no_changes(could)),
        (Some(_), false) => Err(ApiError::multiple_changes(could)),
    }
}

impl ChangeColumn {
    fn alteration(&self, column: &ColumnName) -> ApiResult<Alteration> {
        let mut asked = Vec::new();
        if let Some(name) = &self.new_name {
            asked.push(Alteration::RenameColumn { column: column.clone(), to: ColumnName::parse(name)? });
        }
        if let Some(text) = &self.new_type {
            asked.push(Alteration::SetType { column: column.clone(), data_type: DataType::parse(text)? });
        }
        for not_null in [self.set_not_null, self.nullable.map(|nullable| !nullable)].into_iter().flatten() {
            let column = column.clone();
            asked.push(if not_null { Alteration::SetNotNull { column } } else { Alteration::DropNotNull { column } });
        }
        for default in [&self.default, &self.set_default] {
            let column = column.clone();
            match default {
                MaybeUndefined::Undefined => {}
                MaybeUndefined::Null => asked.push(Alteration::DropDefault { column }),
                MaybeUndefined::Value(text) => asked.push(match DefaultValue::parse(text)? {
                    Some(default) => Alteration::SetDefault { column, default },
                    None => Alteration::DropDefault { column },
                }),
            }
        }
        match &self.checks {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => {
                asked.push(Alteration::SetChecks { column: column.clone(), checks: Checks::default() });
            }
            MaybeUndefined::Value(checks) => {
                asked.push(Alteration::SetChecks { column: column.clone(), checks: checks.parse()? });
            }
        }
        asked.extend(commented(Some(column), &self.comment));
        only(asked, "new_name, new_type, nullable, default, checks and comment")
    }
}

impl ChangeTable {
    pub(crate) fn change(&self) -> ApiResult<Reshape> {
        let mut asked = Vec::new();
        if let Some(name) = &self.name {
            asked.push(Reshape::Rename(TableName::parse(name)?));
        }
        asked.extend(commented(None, &self.comment).map(Reshape::Alter));
        if let Some(parts) = &self.partition_by {
            asked.push(Reshape::Alter(Alteration::PartitionBy { partition_by: partitions(parts)? }));
        }
        if let Some(parts) = &self.sort_by {
            asked.push(Reshape::Alter(Alteration::SortBy { sort_by: sort_keys(parts)? }));
        }
        only(asked, "name, comment, partition_by and sort_by")
    }
}
