//! Snapshots, tags, and what can be brought back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::history::{History, SnapshotPage};
use gadwall_application::recovery::Recovery;
use gadwall_domain::commit::{Commit, WriteRecord};
use gadwall_domain::history::{Expected, Tag};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::TagName;
use gadwall_domain::ports::lake::DroppedTable;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use super::models::TableBody;
use super::projects::Gone;
use super::{Area, bucket_name, number, project_id, snapshot_id, table_ref, version};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct HistoryApi {
    pub(crate) history: Arc<History>,
    pub(crate) recovery: Arc<Recovery>,
}

/// A committed version of a project.
#[derive(Debug, Object)]
#[oai(rename = "Snapshot")]
pub(crate) struct SnapshotBody {
    /// Its number: grows with every commit.
    snapshot_id: u64,
    /// When it was committed.
    committed_at: DateTime<Utc>,
    /// What it changed, in the order it was applied; empty when something other than Gadwall made it.
    writes: Vec<WriteBody>,
}

/// One write in a snapshot.
#[derive(Debug, Object)]
#[oai(rename = "SnapshotWrite")]
pub(crate) struct WriteBody {
    /// What happened: `rows.appended`, `table.altered`, …
    #[oai(rename = "type")]
    kind: String,
    /// To what: `bucket` or `bucket.table`.
    subject: String,
    /// New rows.
    inserted: u64,
    /// Changed rows.
    updated: u64,
    /// Rows that went away.
    deleted: u64,
    /// Particulars.
    change: Any<Value>,
    /// The request.
    request_id: String,
    /// The key used, or issuer and subject of the token; none for an admin's key.
    key_id: Option<String>,
    /// W3C trace context, as received.
    traceparent: Option<String>,
    /// The OpenLineage run that the client named.
    run_id: Option<String>,
}

/// Snapshots, newest first.
#[derive(Debug, Object)]
pub(crate) struct SnapshotList {
    /// The snapshots.
    snapshots: Vec<SnapshotBody>,
    /// Send it as `cursor` for the next page; none on the last.
    next_cursor: Option<String>,
}

/// A name for a snapshot, which is kept as long as it has one.
#[derive(Debug, Object)]
#[oai(rename = "Tag")]
pub(crate) struct TagBody {
    /// The name.
    name: String,
    /// The snapshot.
    snapshot_id: u64,
    /// What it is for.
    description: Option<String>,
    /// When the tag was made.
    created_at: DateTime<Utc>,
    /// Who made it.
    created_by: String,
}

/// A project's tags.
#[derive(Debug, Object)]
pub(crate) struct TagList {
    /// By name.
    tags: Vec<TagBody>,
    /// How many.
    total: u64,
}

/// Which snapshot to name.
#[derive(Debug, Object)]
pub(crate) struct NameSnapshot {
    /// The snapshot; the newest if left out.
    snapshot_id: Option<u64>,
    /// What the name is for.
    description: Option<String>,
}

/// A dropped table that can be brought back.
#[derive(Debug, Object)]
#[oai(rename = "DroppedTable")]
pub(crate) struct DroppedBody {
    /// The bucket it was in.
    bucket: String,
    /// Its name.
    name: String,
    /// The last snapshot that shows it.
    last_snapshot_id: u64,
    /// When it was dropped.
    dropped_at: DateTime<Utc>,
}

/// Dropped tables.
#[derive(Debug, Object)]
pub(crate) struct DroppedList {
    /// By name.
    tables: Vec<DroppedBody>,
    /// How many.
    total: u64,
}

/// A table that was brought back.
#[derive(Debug, Object)]
pub(crate) struct Restored {
    /// The table as it is now; none on a dry run.
    table: Option<TableBody>,
    /// Rows it has since.
    inserted: u64,
    /// Rows it had before.
    deleted: u64,
    /// The snapshot this stands in; none on a dry run.
    snapshot_id: Option<u64>,
    /// Whether nothing was written.
    dry_run: bool,
    /// The request.
    request_id: String,
}

#[derive(ApiResponse)]
pub(crate) enum TagNamed {
    /// The tag was there already and names the same snapshot.
    #[oai(status = 200)]
    Known(Json<TagBody>),
    /// The tag is there.
    #[oai(status = 201)]
    Created(Json<TagBody>),
}

#[OpenApi(tag = "Area::History")]
impl HistoryApi {
    /// List a project's snapshots
    ///
    /// Newest first. With a key of one bucket, what happened elsewhere is left out.
    #[oai(path = "/projects/:project/snapshots", method = "get", operation_id = "list_snapshots")]
    async fn snapshots(
        &self,
        auth: Auth,
        project: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Json<SnapshotList>> {
        let project = project_id(&project.0)?;
        let (limit, before) = paging(limit.0, cursor.0)?;
        Ok(Json(self.history.snapshots(auth.caller(), &project, before, limit).await?.into()))
    }

    /// Look at a snapshot
    #[oai(path = "/projects/:project/snapshots/:snapshot", method = "get", operation_id = "get_snapshot")]
    async fn snapshot(
        &self,
        auth: Auth,
        project: Path<String>,
        snapshot: Path<String>,
    ) -> ApiResult<Json<SnapshotBody>> {
        let (project, snapshot) = (project_id(&project.0)?, snapshot_id("snapshot", &snapshot.0)?);
        Ok(Json(self.history.snapshot(auth.caller(), &project, snapshot).await?.into()))
    }

    /// List the snapshots that changed a table
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/snapshots",
        method = "get",
        operation_id = "list_table_snapshots"
    )]
    async fn table_snapshots(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Json<SnapshotList>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let (limit, before) = paging(limit.0, cursor.0)?;
        Ok(Json(self.history.table_snapshots(auth.caller(), &project, &table, before, limit).await?.into()))
    }

    /// List the dropped tables of a bucket
    #[oai(path = "/projects/:project/buckets/:bucket/dropped-tables", method = "get", operation_id = "list_dropped")]
    async fn dropped(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Json<DroppedList>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let found = self.history.dropped(auth.caller(), &project, &bucket).await?;
        let total = found.len() as u64;
        Ok(Json(DroppedList { tables: found.into_iter().map(Into::into).collect(), total }))
    }

    /// Make a table what it was
    ///
    /// Its columns, its primary key and its rows as they were in a snapshot, at a time, or under a tag: as a new
    /// snapshot, so that this can be undone, too.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/restore",
        method = "post",
        operation_id = "restore_table"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn restore(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The version: a snapshot's number.
        snapshot: Query<Option<String>>,
        /// The version: what was the newest at a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// The version: a tag.
        tag: Query<Option<String>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
    ) -> ApiResult<Json<Restored>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let expected = Expected::ANY;
        let caller = auth.caller();
        let request_id = caller.request_id.to_string();
        if dry_run.0.unwrap_or(false) {
            let rows = self.recovery.restore_dry(caller, &project, &table, &version, expected).await?;
            let (inserted, deleted) = (rows.inserted, rows.deleted);
            return Ok(Json(Restored { table: None, inserted, deleted, snapshot_id: None, dry_run: true, request_id }));
        }
        let (table, done) = self.recovery.restore(caller, &project, &table, &version, expected).await?;
        Ok(Json(Restored {
            table: Some(table.into()),
            inserted: done.rows.inserted,
            deleted: done.rows.deleted,
            snapshot_id: Some(done.snapshot.get()),
            dry_run: false,
            request_id,
        }))
    }

    /// Bring back a dropped table
    ///
    /// As it was last, or in the version given.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/undelete",
        method = "post",
        operation_id = "undelete_table"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn undelete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The version: a snapshot's number.
        snapshot: Query<Option<String>>,
        /// The version: what was the newest at a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// The version: a tag.
        tag: Query<Option<String>>,
    ) -> ApiResult<Json<Restored>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let caller = auth.caller();
        let (table, done) = self.recovery.undelete(caller, &project, &table, &version).await?;
        Ok(Json(Restored {
            table: Some(table.into()),
            inserted: done.rows.inserted,
            deleted: done.rows.deleted,
            snapshot_id: Some(done.snapshot.get()),
            dry_run: false,
            request_id: caller.request_id.to_string(),
        }))
    }

    /// List a project's tags
    #[oai(path = "/projects/:project/tags", method = "get", operation_id = "list_tags")]
    async fn tags(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<TagList>> {
        let tags = self.history.tags(auth.caller(), &project_id(&project.0)?).await?;
        let total = tags.len() as u64;
        Ok(Json(TagList { tags: tags.into_iter().map(Into::into).collect(), total }))
    }

    /// Look at a tag
    #[oai(path = "/projects/:project/tags/:tag", method = "get", operation_id = "get_tag")]
    async fn tag(&self, auth: Auth, project: Path<String>, tag: Path<String>) -> ApiResult<Json<TagBody>> {
        let (project, tag) = (project_id(&project.0)?, TagName::parse(&tag.0)?);
        Ok(Json(self.history.tag(auth.caller(), &project, &tag).await?.into()))
    }

    /// Name a snapshot
    ///
    /// A tagged snapshot is kept until its tag is removed. Naming the same snapshot again changes nothing; a tag is
    /// never moved.
    #[oai(path = "/projects/:project/tags/:tag", method = "put", operation_id = "put_tag")]
    async fn name_snapshot(
        &self,
        auth: Auth,
        project: Path<String>,
        tag: Path<String>,
        body: Json<NameSnapshot>,
    ) -> ApiResult<TagNamed> {
        let (project, tag) = (project_id(&project.0)?, TagName::parse(&tag.0)?);
        let NameSnapshot { snapshot_id: given, description } = body.0;
        let snapshot = given.map(|number| snapshot_id("snapshot_id", &number.to_string())).transpose()?;
        let named = self.history.name_snapshot(auth.caller(), &project, tag, snapshot, description);
        let (tag, new) = named.await?;
        Ok(if new { TagNamed::Created(Json(tag.into())) } else { TagNamed::Known(Json(tag.into())) })
    }

    /// Remove a tag
    ///
    /// The snapshot itself stays until it is expired.
    #[oai(path = "/projects/:project/tags/:tag", method = "delete", operation_id = "delete_tag")]
    async fn remove_tag(&self, auth: Auth, project: Path<String>, tag: Path<String>) -> ApiResult<Gone> {
        let (project, tag) = (project_id(&project.0)?, TagName::parse(&tag.0)?);
        self.history.remove_tag(auth.caller(), &project, &tag).await?;
        Ok(Gone::NoContent)
    }
}

fn paging(limit: Option<i64>, cursor: Option<String>) -> ApiResult<(u32, Option<SnapshotId>)> {
    let before = cursor.map(|cursor| snapshot_id("cursor", &cursor)).transpose()?;
    Ok((number("limit", limit, 1..=1_000, 100)?, before))
}

impl From<SnapshotPage> for SnapshotList {
    fn from(page: SnapshotPage) -> Self {
        Self {
            snapshots: page.snapshots.into_iter().map(Into::into).collect(),
            next_cursor: page.next_before.map(|before| before.to_string()),
        }
    }
}

impl From<Commit> for SnapshotBody {
    fn from(commit: Commit) -> Self {
        Self {
            snapshot_id: commit.snapshot.get(),
            committed_at: commit.committed_at,
            writes: commit.writes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<WriteRecord> for WriteBody {
    fn from(write: WriteRecord) -> Self {
        let rows = write.change.counts();
        Self {
            kind: write.change.event_type().to_owned(),
            subject: write.change.subject(),
            inserted: rows.inserted,
            updated: rows.updated,
            deleted: rows.deleted,
            change: Any(serde_json::to_value(&write.change).unwrap_or_default()),
            request_id: write.origin.request_id.to_string(),
            key_id: write.origin.key_id.as_ref().map(ToString::to_string),
            traceparent: write.origin.traceparent,
            run_id: write.origin.run_id,
        }
    }
}

impl From<Tag> for TagBody {
    fn from(tag: Tag) -> Self {
        Self {
            name: tag.name.to_string(),
            snapshot_id: tag.snapshot.get(),
            description: tag.description,
            created_at: tag.created_at,
            created_by: tag.created_by,
        }
    }
}

impl From<DroppedTable> for DroppedBody {
    fn from(table: DroppedTable) -> Self {
        Self {
            bucket: table.name.bucket.to_string(),
            name: table.name.table.to_string(),
            last_snapshot_id: table.last.get(),
            dropped_at: table.dropped_at,
        }
    }
}
