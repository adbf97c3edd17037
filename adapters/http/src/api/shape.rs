//! Tables that change their shape: columns, keys, names, comments, layout.

use std::sync::Arc;

use gadwall_application::caller::Caller;
use gadwall_application::tables::{Alter, Outcome, Tables};
use gadwall_domain::access::Scope;
use gadwall_domain::alteration::{Alteration, Compatibility};
use gadwall_domain::names::{ColumnName, TableName};
use gadwall_domain::schema::DefaultValue;
use gadwall_domain::table::Table;
use gadwall_domain::types::DataType;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::conditions::if_match_shape;
use super::models::{NewColumn, TableBody, partitions, sort_keys};
use super::{Area, project_id, table_ref};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

/// Longest comment, in characters.
const MAX_COMMENT: usize = 10_000;

pub(crate) struct ShapeApi {
    pub(crate) tables: Arc<Tables>,
}

/// A table whose shape changed.
#[derive(Debug, Object)]
pub(crate) struct Reshaped {
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
#[derive(Debug, Object)]
pub(crate) struct ChangeColumn {
    /// Its new name.
    new_name: Option<String>,
    /// Its new type, which must hold every value of the old one.
    new_type: Option<String>,
    /// Whether it may be null.
    nullable: Option<bool>,
    /// `true`: it may not be null.
    set_not_null: Option<bool>,
    /// A literal for rows to come; null removes it.
    default: MaybeUndefined<String>,
    /// As `default`.
    set_default: MaybeUndefined<String>,
    /// What it is for; null removes it.
    comment: MaybeUndefined<String>,
}

/// What changes of a table: exactly one of these.
#[derive(Debug, Object)]
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
pub(crate) struct NewKey {
    /// Its columns.
    columns: Vec<String>,
}

#[derive(ApiResponse)]
pub(crate) enum ShapeMade {
    /// It is there.
    #[oai(status = 201)]
    Created(Json<Reshaped>),
    /// It would be there: this was a dry run.
    #[oai(status = 200)]
    DryRun(Json<Reshaped>),
}

/// What a request says beside its body.
struct Said<'a> {
    project: &'a str,
    bucket: &'a str,
    table: &'a str,
    allow_breaking: Option<bool>,
    dry_run: Option<bool>,
    if_match: Option<&'a str>,
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
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        let alteration = Alteration::AddColumn { column: body.0.parse()? };
        Ok(made(self.alter(auth.caller(), &said, alteration).await?))
    }

    /// Change a column
    ///
    /// One thing at a time: its name, its type, whether it may be null, its default, or its comment.
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
    ) -> ApiResult<Json<Reshaped>> {
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        let alteration = body.0.alteration(&ColumnName::parse(&column.0)?)?;
        self.alter(auth.caller(), &said, alteration).await.map(Json)
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
    ) -> ApiResult<Json<Reshaped>> {
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        let alteration = Alteration::DropColumn { column: ColumnName::parse(&column.0)? };
        self.alter(auth.caller(), &said, alteration).await.map(Json)
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
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        if body.0.columns.is_empty() {
            return Err(ApiError::out_of_range("columns is a list of at least one column"));
        }
        let columns = body.0.columns.iter().map(|name| Ok(ColumnName::parse(name)?)).collect::<ApiResult<_>>()?;
        Ok(made(self.alter(auth.caller(), &said, Alteration::SetPrimaryKey { columns }).await?))
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
    ) -> ApiResult<Json<Reshaped>> {
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        self.alter(auth.caller(), &said, Alteration::DropPrimaryKey).await.map(Json)
    }

    /// Change a table
    ///
    /// One thing at a time: its name, its comment, its partitioning, or its order.
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "patch", operation_id = "change_table")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn change_table(
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
        body: Json<ChangeTable>,
    ) -> ApiResult<Json<Reshaped>> {
        let said = Said {
            project: &project.0,
            bucket: &bucket.0,
            table: &table.0,
            allow_breaking: allow_breaking.0,
            dry_run: dry_run.0,
            if_match: if_match.0.as_deref(),
        };
        match body.0.change()? {
            TableChangeAsked::Rename(to) => self.rename(auth.caller(), &said, to).await.map(Json),
            TableChangeAsked::Alter(alteration) => self.alter(auth.caller(), &said, alteration).await.map(Json),
        }
    }
}

impl ShapeApi {
    async fn alter(&self, caller: &Caller, said: &Said<'_>, alteration: Alteration) -> ApiResult<Reshaped> {
        let (project, table) = (project_id(said.project)?, table_ref(said.bucket, said.table)?);
        let expected = if_match_shape(said.if_match)?;
        let open = self.tables.open(caller, &project, &table, Scope::Manage).await?;
        let compatibility = alteration.compatibility();
        let (table, outcome) = self.tables.alter(caller, open, alteration, expected, said.how()).await?;
        Ok(reshaped(table, &compatibility, outcome))
    }

    async fn rename(&self, caller: &Caller, said: &Said<'_>, to: TableName) -> ApiResult<Reshaped> {
        let (project, table) = (project_id(said.project)?, table_ref(said.bucket, said.table)?);
        let expected = if_match_shape(said.if_match)?;
        let open = self.tables.open(caller, &project, &table, Scope::Manage).await?;
        let (table, outcome) = self.tables.rename(caller, open, to, expected, said.how()).await?;
        let why = "those who know the table by its old name no longer find it";
        Ok(reshaped(table, &Compatibility::Breaking { why }, outcome))
    }
}

impl Said<'_> {
    fn how(&self) -> Alter {
        Alter { allow_breaking: self.allow_breaking.unwrap_or(false), dry_run: self.dry_run.unwrap_or(false) }
    }
}

fn made(reshaped: Reshaped) -> ShapeMade {
    if reshaped.dry_run { ShapeMade::DryRun(Json(reshaped)) } else { ShapeMade::Created(Json(reshaped)) }
}

fn reshaped(table: Table, compatibility: &Compatibility, outcome: Outcome) -> Reshaped {
    let (kind, why) = match compatibility {
        Compatibility::Compatible => ("compatible", None),
        Compatibility::Breaking { why } => ("breaking", Some((*why).to_owned())),
    };
    Reshaped {
        table: table.into(),
        compatibility: CompatibilityBody { kind: kind.to_owned(), why },
        snapshot_id: outcome.snapshot.map(gadwall_domain::ids::SnapshotId::get),
        dry_run: outcome.snapshot.is_none(),
    }
}

fn comment(text: &MaybeUndefined<String>) -> ApiResult<Option<Option<String>>> {
    match text {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(text) if text.chars().count() > MAX_COMMENT || text.contains('\0') => {
            Err(ApiError::out_of_range(format!("a comment has at most {MAX_COMMENT} characters, and no NUL")))
        }
        MaybeUndefined::Value(text) => Ok(Some(Some(text.clone()))),
    }
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
        if let Some(not_null) = self.set_not_null.or(self.nullable.map(|nullable| !nullable)) {
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
        if let Some(comment) = comment(&self.comment)? {
            asked.push(Alteration::Comment { column: Some(column.clone()), comment });
        }
        only(asked, "new_name, new_type, nullable, default and comment")
    }
}

/// What a body asks of a table.
enum TableChangeAsked {
    Rename(TableName),
    Alter(Alteration),
}

impl ChangeTable {
    fn change(&self) -> ApiResult<TableChangeAsked> {
        let mut asked = Vec::new();
        if let Some(name) = &self.name {
            asked.push(TableChangeAsked::Rename(TableName::parse(name)?));
        }
        if let Some(comment) = comment(&self.comment)? {
            asked.push(TableChangeAsked::Alter(Alteration::Comment { column: None, comment }));
        }
        if let Some(parts) = &self.partition_by {
            asked.push(TableChangeAsked::Alter(Alteration::PartitionBy { partition_by: partitions(parts)? }));
        }
        if let Some(parts) = &self.sort_by {
            asked.push(TableChangeAsked::Alter(Alteration::SortBy { sort_by: sort_keys(parts)? }));
        }
        only(asked, "name, comment, partition_by and sort_by")
    }
}
