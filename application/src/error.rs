//! How a use case fails.

use std::time::Duration;

use gadwall_domain::alteration::AlterationError;
use gadwall_domain::contract::Breach;
use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::filter::FilterError;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::LayoutError;
use gadwall_domain::lineage::{self, EventError, RunError};
use gadwall_domain::names::{BucketName, NameError, ProjectId, TagName};
use gadwall_domain::ontology::{DocumentError, SchemaId};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::objects::ObjectError;
use gadwall_domain::ports::results::ResultError;
use gadwall_domain::ports::tokens::TokenError;
use gadwall_domain::project::ProjectStatus;
use gadwall_domain::query::QueryError;
use gadwall_domain::quota::{QuotaExceeded, QuotaValueError};
use gadwall_domain::rows::{RowsError, Violations};
use gadwall_domain::schema::SchemaError;
use gadwall_domain::table::{Table, TableRef};
use gadwall_domain::types::TypeError;
use gadwall_domain::webhook::WebhookUrlError;
use serde_json::{Value, json};
use thiserror::Error;

use crate::backups::BackupError;
use crate::breaker::Refused;
use crate::datasets::DatasetError;
use crate::events::EventsError;
use crate::keys::KeyError;
use crate::lake_kind::lake_kind;
use crate::maintenance::MaintenanceError;
use crate::operations::OperationError;
use crate::projects::DeletionError;
use crate::queries::KnownQueryError;
use crate::records::GovernedError;
use crate::schemas::Failure;
use crate::transfers::FilesError;

pub(crate) use crate::refused_writes::about_table;

/// Most broken rules that are told one by one.
const MAX_TOLD: usize = 50;

/// The failures of all use cases.
#[derive(Debug, Error)]
pub enum UseCaseError {
    /// No key, or one that doesn't open this.
    #[error("this needs a valid key; send it as `Authorization: Bearer <key>`")]
    Unauthenticated,
    /// A key, presented or managed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A token that was presented.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The key doesn't allow it, or it isn't there: told alike, so that ids can't be probed.
    #[error("this key does not allow that")]
    Forbidden,
    /// An admin named a project that isn't there.
    #[error("there is no project {0}")]
    NoProject(ProjectId),
    /// As [`Self::NoProject`], where something within the project was asked for.
    #[error("there is no project {0}")]
    NoProjectAround(ProjectId),
    /// The project's id is taken.
    #[error("project {id} exists already{}", deleted_hint(*.status))]
    ProjectExists {
        /// The id.
        id: ProjectId,
        /// Status of the project that has it.
        status: ProjectStatus,
    },
    /// The project that routes without one act on can't be deleted: its id would be gone for good.
    #[error("the project default can't be deleted; delete its buckets instead")]
    DefaultProject,
    /// The project isn't deleted, or not brought back.
    #[error(transparent)]
    Deletion(#[from] DeletionError),
    /// The ontology has no such schema.
    #[error("the ontology has no schema {0}")]
    NoSchema(SchemaId),
    /// No such version of a schema.
    #[error("there is no version {version:?} of schema {id}")]
    NoSchemaVersion {
        /// The schema.
        id: SchemaId,
        /// The version.
        version: String,
    },
    /// The schema isn't known, and the ontology can't be asked.
    #[error("schema {id} can't be had: {failure}")]
    SchemaAway {
        /// The schema.
        id: SchemaId,
        /// Why not.
        failure: Failure,
    },
    /// No such bucket in the project.
    #[error("there is no bucket {bucket} in project {project}")]
    NoBucket {
        /// The project.
        project: ProjectId,
        /// The bucket.
        bucket: BucketName,
    },
    /// The bucket's name is taken.
    #[error("bucket {bucket} exists already in project {project}")]
    BucketExists {
        /// The project.
        project: ProjectId,
        /// The bucket.
        bucket: BucketName,
    },
    /// The bucket holds tables.
    #[error("bucket {bucket} is not empty; delete its tables first, or use cascade=true")]
    BucketNotEmpty {
        /// The bucket.
        bucket: BucketName,
    },
    /// No such table in the project.
    #[error("there is no table {table} in project {project}")]
    NoTable {
        /// The project.
        project: ProjectId,
        /// The table.
        table: TableRef,
    },
    /// A bucket of another project's, where only one's own will do.
    #[error("bucket {bucket} is linked: it is another project's, and only its tables can be read here")]
    LinkedBucket {
        /// The link's name.
        bucket: BucketName,
    },
    /// Nothing may be read through a link any more.
    #[error("the project that bucket {bucket} is linked from doesn't share it any more; remove the link")]
    LinkEnded {
        /// The link's name.
        bucket: BucketName,
    },
    /// There is no link of that name.
    #[error("no bucket is linked as {bucket} in project {project}")]
    NoLink {
        /// The project.
        project: ProjectId,
        /// The name.
        bucket: BucketName,
    },
    /// A link has the name.
    #[error("a bucket is linked as {bucket} in project {project} already")]
    LinkExists {
        /// The project.
        project: ProjectId,
        /// The name.
        bucket: BucketName,
    },
    /// The bucket is shared with that project.
    #[error("bucket {bucket} is shared with project {target} already")]
    AlreadyShared {
        /// The bucket.
        bucket: BucketName,
        /// With whom.
        target: ProjectId,
    },
    /// A project would share with itself, or link what is its own.
    #[error("a project needs neither share nor link for its own buckets")]
    SharedWithItself,
    /// What is linked can't be linked on.
    #[error("bucket {bucket} of project {project} is itself linked; link it where it comes from")]
    LinkOfLink {
        /// The project.
        project: ProjectId,
        /// The name of its link.
        bucket: BucketName,
    },
    /// The table's name is taken.
    #[error("table {table} exists already in project {project}")]
    TableExists {
        /// The project.
        project: ProjectId,
        /// The table.
        table: TableRef,
    },
    /// No such view in the project.
    #[error("there is no view {view} in project {project}")]
    NoView {
        /// The project.
        project: ProjectId,
        /// The view.
        view: TableRef,
    },
    /// A view has the name.
    #[error("there is a view {view} in project {project} already; tables and views share their names")]
    ViewExists {
        /// The project.
        project: ProjectId,
        /// The view.
        view: TableRef,
    },
    /// A view where a table is needed.
    #[error("{0} is a view: queries read it, nothing can be written to it, and only a table can be used so")]
    IsView(TableRef),
    /// The table changed while its rows were on their way.
    #[error("table {0} changed while the rows were on their way; send them again")]
    TableChanged(TableRef),
    /// Rows that don't fit the table. Nothing was written.
    #[error("{} of the values don't fit table {table}; nothing was written", .violations.count())]
    Violations {
        /// The table.
        table: TableRef,
        /// What doesn't fit.
        violations: Violations,
    },
    /// Rows whose key is there already, or twice in the request. Nothing was written.
    #[error("{count} primary keys are in table {table} already, or twice in the request; nothing was written")]
    DuplicateKeys {
        /// The table.
        table: TableRef,
        /// The first of them.
        first: Vec<Value>,
        /// How many.
        count: u64,
    },
    /// The table would not be what its contract promises. Nothing was written.
    #[error("{} of the contract of table {table} would be broken; nothing was written", rules(.breaches))]
    ContractViolated {
        /// The table.
        table: TableRef,
        /// The rules that are broken.
        breaches: Vec<Breach>,
    },
    /// A document that isn't a contract.
    #[error("the contract isn't accepted: {0}")]
    BadContract(DocumentError),
    /// The table has no contract, or none of that version.
    #[error("table {table} has no contract{}", .since.map_or_else(String::new, |since| format!(" of version {since}")))]
    NoContract {
        /// The table.
        table: TableRef,
        /// The version.
        since: Option<SnapshotId>,
    },
    /// A contract that promises columns which the table doesn't have.
    #[error("table {table} isn't what the contract promises: {}; alter the table first", .problems.join("; "))]
    ContractUnfit {
        /// The table.
        table: TableRef,
        /// What it lacks.
        problems: Vec<String>,
    },
    /// The table isn't of the version that the caller named.
    #[error("table {table} changed since you read it; read it again and repeat the change on top of that")]
    NotExpected {
        /// The table.
        table: TableRef,
        /// What it is now, if it is still there.
        found: Option<Box<Table>>,
    },
    /// Others can't go on as before, and the caller didn't say that this is meant.
    #[error("this change of table {table} is breaking: {why}; repeat it with allow_breaking=true if that is meant")]
    Breaking {
        /// The table.
        table: TableRef,
        /// Who can't go on, and why.
        why: &'static str,
    },
    /// A script changes a table's shape twice.
    #[error("a script may change the shape of a table once, and {0} was changed or made before; send it in another")]
    MultipleDdl(TableRef),
    /// One of several statements failed, and none of them stands.
    #[error("batch query {number} failed: {source}")]
    Statement {
        /// Which, from 1.
        number: usize,
        /// Why.
        source: Box<UseCaseError>,
    },
    /// The write needs a primary key.
    #[error("table {0} has no primary key; give it one, or use mode=append or mode=replace")]
    NoKey(TableRef),
    /// A condition or a new value doesn't fit its column.
    #[error("{0}")]
    BadFilter(String),
    /// The table can't be changed so.
    #[error(transparent)]
    Alteration(#[from] AlterationError),
    /// No such snapshot.
    #[error("there is no snapshot {snapshot} in project {project}, or it is no longer kept")]
    NoSnapshot {
        /// The project.
        project: ProjectId,
        /// As it was asked for: a number or a time.
        snapshot: String,
    },
    /// The project didn't come as far in time.
    #[error("project {project} is at snapshot {newest}, and snapshot {wanted} didn't come in time; ask again")]
    NotReached {
        /// The project.
        project: ProjectId,
        /// What was waited for.
        wanted: SnapshotId,
        /// What was there in the end.
        newest: SnapshotId,
    },
    /// A snapshot that would have to go is held by a tag.
    #[error("snapshot {snapshot} is held by tag {tag}; remove the tag first")]
    SnapshotHeld {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The tag.
        tag: TagName,
    },
    /// No such tag in the project.
    #[error("there is no tag {tag} in project {project}")]
    NoTag {
        /// The project.
        project: ProjectId,
        /// The tag.
        tag: TagName,
    },
    /// The tag's name is taken.
    #[error("tag {tag} exists already in project {project}")]
    TagExists {
        /// The project.
        project: ProjectId,
        /// The tag.
        tag: TagName,
    },
    /// Events can't be watched so.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A webhook's address can't be told.
    #[error(transparent)]
    Webhook(#[from] WebhookUrlError),
    /// A file can't become part of the table.
    #[error("file {file} {reason}")]
    BadFile {
        /// The file, by the name its owner knows.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request is being carried out already.
    #[error("a request with this idempotency key is being carried out; wait for its answer, then repeat it")]
    KeyInUse,
    /// The key belongs to another request.
    #[error("this idempotency key was used for another request; use a new key for each request")]
    KeyReused,
    /// A partitioning or an order that can't be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A condition that can't be.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A value is out of range.
    #[error("{0}")]
    Invalid(String),
    /// A name is not legal.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A type is not legal.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// Columns and key don't make a table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The rows can't be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The query can't be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// More than the project may have.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// A dataset or object can't be had or changed.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A run can't become that, or nothing is known of a job, a run or a node.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A document is no event of OpenLineage.
    #[error(transparent)]
    LineageEvent(#[from] EventError),
    /// A job or dataset can't be called that.
    #[error(transparent)]
    LineageName(#[from] lineage::NameError),
    /// An operation can't be started or isn't there.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// Backups.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Maintenance.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    /// A query can't be seen or stopped.
    #[error(transparent)]
    KnownQuery(#[from] KnownQueryError),
    /// A result can't be kept or read.
    #[error(transparent)]
    KeptResult(#[from] ResultError),
    /// Files can't be read or written so.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A governed table or record can't be had or changed.
    #[error(transparent)]
    Governed(#[from] GovernedError),
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl From<QuotaValueError> for UseCaseError {
    fn from(error: QuotaValueError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// `1 rule` or `2 rules`, with the first one's name.
fn rules(breaches: &[Breach]) -> String {
    match breaches {
        [one] => format!("rule {:?}", one.measure.rule),
        several => format!("{} rules", several.len()),
    }
}

fn deleted_hint(status: ProjectStatus) -> &'static str {
    match status {
        ProjectStatus::Active => "",
        ProjectStatus::Deleted => " (deleted; a project's id is never reused)",
    }
}

impl Classify for UseCaseError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthenticated => ErrorKind::Unauthenticated,
            Self::Forbidden | Self::LinkedBucket { .. } | Self::LinkEnded { .. } => ErrorKind::Forbidden,
            Self::SharedWithItself => ErrorKind::Invalid,
            Self::NoProject(_)
            | Self::NoProjectAround(_)
            | Self::NoBucket { .. }
            | Self::NoSchema(_)
            | Self::NoSchemaVersion { .. }
            | Self::NoTable { .. }
            | Self::NoView { .. }
            | Self::NoSnapshot { .. }
            | Self::NoLink { .. }
            | Self::NoContract { .. }
            | Self::NoTag { .. } => ErrorKind::NotFound,
            Self::ProjectExists { .. }
            | Self::DefaultProject
            | Self::BucketExists { .. }
            | Self::BucketNotEmpty { .. }
            | Self::LinkExists { .. }
            | Self::AlreadyShared { .. }
            | Self::TableExists { .. }
            | Self::ViewExists { .. }
            | Self::IsView(_)
            | Self::TableChanged(_)
            | Self::DuplicateKeys { .. }
            | Self::Breaking { .. }
            | Self::SnapshotHeld { .. }
            | Self::TagExists { .. }
            | Self::KeyInUse => ErrorKind::Conflict,
            Self::NotReached { .. } => ErrorKind::Timeout,
            Self::NotExpected { .. } => ErrorKind::PreconditionFailed,
            Self::Violations { .. }
            | Self::ContractViolated { .. }
            | Self::BadContract(_)
            | Self::ContractUnfit { .. }
            | Self::Invalid(_)
            | Self::NoKey(_)
            | Self::BadFilter(_)
            | Self::BadFile { .. }
            | Self::MultipleDdl(_)
            | Self::LinkOfLink { .. }
            | Self::KeyReused => ErrorKind::Unprocessable,
            Self::Statement { source, .. } => source.kind(),
            Self::Alteration(error) => error.kind(),
            Self::Layout(error) => error.kind(),
            Self::Filter(error) => error.kind(),
            Self::Name(error) => error.kind(),
            Self::Type(error) => error.kind(),
            Self::Schema(error) => error.kind(),
            Self::Rows(error) => error.kind(),
            Self::Query(error) => error.kind(),
            Self::Quota(error) => error.kind(),
            Self::Key(error) => error.kind(),
            Self::Token(error) => error.kind(),
            Self::Deletion(error) => error.kind(),
            Self::Dataset(error) => error.kind(),
            Self::Run(error) => error.kind(),
            Self::LineageEvent(error) => error.kind(),
            Self::LineageName(error) => error.kind(),
            Self::Operation(error) => error.kind(),
            Self::Backup(error) => error.kind(),
            Self::Maintenance(error) => error.kind(),
            Self::KnownQuery(error) => error.kind(),
            Self::KeptResult(error) => error.kind(),
            Self::Files(error) => error.kind(),
            Self::Governed(error) => error.kind(),
            Self::Events(error) => error.kind(),
            Self::Webhook(error) => error.kind(),
            Self::SchemaAway { .. } | Self::Store(StoreError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Store(StoreError::StorageFull(_)) => ErrorKind::StorageFull,
            Self::Store(_) => ErrorKind::Internal,
            Self::Lake(error) => lake_kind(error),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NoProject(_) => "not_found",
            Self::NoProjectAround(_) => "project_not_found",
            Self::ProjectExists { status: ProjectStatus::Deleted, .. } => "project_deleted",
            Self::ProjectExists { .. } => "project_exists",
            Self::DefaultProject => "default_project",
            Self::NoBucket { .. } => "bucket_not_found",
            Self::NoSchema(_) => "schema_not_found",
            Self::NoSchemaVersion { .. } => "schema_version_not_found",
            Self::SchemaAway { .. } => "schema_unavailable",
            Self::BucketExists { .. } => "bucket_exists",
            Self::BucketNotEmpty { .. } => "bucket_not_empty",
            Self::LinkedBucket { .. } => "read_only",
            Self::LinkEnded { .. } => "share_ended",
            Self::NoLink { .. } => "link_not_found",
            Self::LinkExists { .. } => "bucket_already_linked",
            Self::AlreadyShared { .. } => "already_shared",
            Self::SharedWithItself => "shared_with_itself",
            Self::LinkOfLink { .. } => "link_of_link",
            Self::NoTable { .. } => "table_not_found",
            Self::TableExists { .. } => "table_exists",
            Self::NoView { .. } => "view_not_found",
            Self::ViewExists { .. } => "view_exists",
            Self::IsView(_) => "table_is_view",
            Self::TableChanged(_) => "table_changed",
            Self::Violations { .. } => "rows_invalid",
            Self::DuplicateKeys { .. } => "duplicate_key",
            Self::ContractViolated { .. } => "contract_violated",
            Self::BadContract(_) => "invalid_contract",
            Self::NoContract { .. } => "contract_not_found",
            Self::ContractUnfit { .. } => "contract_unfit",
            Self::NotExpected { .. } => "precondition_failed",
            Self::Breaking { .. } => "breaking_change",
            Self::MultipleDdl(_) => "multiple_ddl",
            Self::Statement { source, .. } => source.code(),
            Self::NoKey(_) => "no_primary_key",
            Self::BadFilter(_) => "invalid_filter",
            Self::Alteration(error) => error.code(),
            Self::Layout(error) => error.code(),
            Self::Filter(error) => error.code(),
            Self::NoSnapshot { .. } => "snapshot_not_found",
            Self::NotReached { .. } => "snapshot_not_reached",
            Self::SnapshotHeld { .. } => "snapshot_held",
            Self::NoTag { .. } => "tag_not_found",
            Self::TagExists { .. } => "tag_exists",
            Self::BadFile { .. } => "file_unusable",
            Self::KeyInUse => "idempotency_key_in_use",
            Self::KeyReused => "idempotency_key_reused",
            Self::Invalid(_) => "validation_failed",
            Self::Name(error) => error.code(),
            Self::Type(error) => error.code(),
            Self::Schema(error) => error.code(),
            Self::Rows(error) => error.code(),
            Self::Query(error) => error.code(),
            Self::Quota(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Deletion(error) => error.code(),
            Self::Dataset(error) => error.code(),
            Self::Run(error) => error.code(),
            Self::LineageEvent(error) => error.code(),
            Self::LineageName(error) => error.code(),
            Self::Operation(error) => error.code(),
            Self::Backup(error) => error.code(),
            Self::Maintenance(error) => error.code(),
            Self::KnownQuery(error) => error.code(),
            Self::KeptResult(error) => error.code(),
            Self::Files(error) => error.code(),
            Self::Governed(error) => error.code(),
            Self::Events(error) => error.code(),
            Self::Webhook(error) => error.code(),
            Self::Store(StoreError::StorageFull(_)) | Self::Lake(LakeError::StorageFull(_)) => "storage_full",
            Self::Lake(LakeError::ReadOnly(_)) => "storage_unavailable",
            Self::Lake(LakeError::Busy | LakeError::Contended) => "busy",
            Self::Lake(LakeError::NoLake | LakeError::Damaged(_) | LakeError::Unavailable(_)) => "lake_unavailable",
            Self::Store(StoreError::Unavailable(_)) => "metadata_unavailable",
            Self::Store(_) | Self::Lake(_) => "internal_error",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::ProjectExists { id, status } => Some(json!({ "project_id": id, "status": status })),
            Self::NoProject(id) | Self::NoProjectAround(id) => Some(json!({ "project_id": id })),
            Self::NoBucket { project, bucket }
            | Self::BucketExists { project, bucket }
            | Self::NoLink { project, bucket }
            | Self::LinkExists { project, bucket }
            | Self::LinkOfLink { project, bucket } => Some(json!({ "project_id": project, "bucket_name": bucket })),
            Self::NotReached { wanted, newest, .. } => {
                Some(json!({ "min_snapshot": wanted.get(), "snapshot_id": newest.get() }))
            }
            Self::BucketNotEmpty { bucket } | Self::LinkedBucket { bucket } | Self::LinkEnded { bucket } => {
                Some(json!({ "bucket_name": bucket }))
            }
            Self::NoTable { project, table } | Self::TableExists { project, table } => {
                Some(json!({ "project_id": project, "bucket_name": table.bucket, "table_name": table.table }))
            }
            Self::NoView { project, view } | Self::ViewExists { project, view } => {
                Some(json!({ "project_id": project, "bucket_name": view.bucket, "view_name": view.table }))
            }
            Self::IsView(view) => Some(json!({ "bucket_name": view.bucket, "view_name": view.table })),
            Self::Violations { table, violations } => {
                Some(json!({ "table": table.to_string(), "violation_count": violations.count() }))
            }
            Self::NotExpected { table, found: Some(found) } => {
                let version = format!("{}.{}", found.version.schema, found.version.rows);
                Some(json!({ "table": table.to_string(), "version": version }))
            }
            Self::ContractViolated { table, breaches } => {
                Some(json!({ "table": table.to_string(), "breach_count": breaches.len() }))
            }
            Self::BadContract(error) => error.details(),
            Self::NoContract { table, .. } | Self::ContractUnfit { table, .. } => {
                Some(json!({ "table": table.to_string() }))
            }
            Self::DuplicateKeys { table, count, .. } => {
                Some(json!({ "table": table.to_string(), "duplicate_count": count }))
            }
            Self::Statement { number, source } => {
                let mut details = source.details().unwrap_or_else(|| json!({}));
                if let Some(details) = details.as_object_mut() {
                    details.insert("statement".to_owned(), json!(number));
                }
                Some(details)
            }
            Self::Schema(error) => error.details(),
            Self::Rows(error) => error.details(),
            Self::Query(error) => error.details(),
            Self::Quota(error) => error.details(),
            Self::Key(error) => error.details(),
            Self::Deletion(error) => error.details(),
            Self::Dataset(error) => error.details(),
            Self::Operation(error) => error.details(),
            Self::Backup(error) => error.details(),
            Self::Maintenance(error) => error.details(),
            Self::KnownQuery(error) => error.details(),
            Self::KeptResult(error) => error.details(),
            Self::Files(error) => error.details(),
            Self::Governed(error) => error.details(),
            Self::Events(error) => error.details(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Key(error) => error.retry_after(),
            Self::Token(error) => error.retry_after(),
            Self::Quota(error) => error.retry_after(),
            Self::Query(error) | Self::KeptResult(ResultError::Query(error)) => error.retry_after(),
            Self::Statement { source, .. } => source.retry_after(),
            Self::Store(StoreError::Unavailable(source))
            | Self::Lake(LakeError::Unavailable(source))
            | Self::Dataset(DatasetError::Storage(ObjectError::Unavailable(source)))
            | Self::KeptResult(ResultError::Unavailable(source)) => {
                source.downcast_ref::<Refused>().map(|refused| refused.retry_after)
            }
            _ => None,
        }
    }

    fn findings(&self) -> Vec<Value> {
        match self {
            Self::Violations { violations, .. } => violations.to_json(),
            Self::Governed(error) => error.findings(),
            Self::Rows(error) => error.findings(),
            Self::Statement { source, .. } => source.findings(),
            Self::ContractViolated { breaches, .. } => breaches.iter().take(MAX_TOLD).map(Breach::to_json).collect(),
            Self::ContractUnfit { problems, .. } => {
                problems.iter().map(|problem| json!({ "problem": problem })).collect()
            }
            Self::DuplicateKeys { first, .. } => first.iter().map(|key| json!({ "key": key })).collect(),
            _ => Vec::new(),
        }
    }
}
