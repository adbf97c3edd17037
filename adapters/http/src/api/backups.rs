//! Backups of projects, and what is made of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::backups::Backups;
use gadwall_domain::backup::Manifest;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::operations::{Accepted, accepted};
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct BackupsApi {
    pub(crate) backups: Arc<Backups>,
}

/// A project in a backup.
#[derive(Debug, Object)]
struct ProjectInBackup {
    /// The project.
    project: String,
    /// The snapshot it stands at.
    snapshot_id: u64,
    /// Bytes of all files that it needs; backups share those that didn't change.
    bytes: u64,
}

/// A backup.
#[derive(Debug, Object)]
struct BackupBody {
    /// Its id.
    id: String,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When all of it was there.
    finished_at: DateTime<Utc>,
    /// The program that made it.
    made_by: String,
    /// Its projects.
    projects: Vec<ProjectInBackup>,
    /// Bytes of all files that it needs.
    bytes: u64,
    /// Bytes that were not there before.
    new_bytes: u64,
}

/// Backups.
#[derive(Debug, Object)]
struct BackupList {
    /// Oldest first.
    backups: Vec<BackupBody>,
}

/// What to back up.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
struct BackupRequest {
    /// The projects; all without.
    projects: Option<Vec<String>>,
}

/// What to restore.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
struct RestoreRequest {
    /// The project of the backup; all of its projects without.
    project: Option<String>,
    /// The name that it shall have; its own without.
    #[oai(rename = "as")]
    name: Option<String>,
}

/// What to keep.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct PruneRequest {
    /// So many backups of each project, the newest: from 1.
    keep: i64,
}

impl From<Manifest> for BackupBody {
    fn from(manifest: Manifest) -> Self {
        let bytes = manifest.bytes();
        let projects = manifest.projects.into_iter().map(|entry| ProjectInBackup {
            project: entry.project.to_string(),
            snapshot_id: entry.snapshot.get(),
            bytes: entry.bytes,
        });
        Self {
            id: manifest.id.to_string(),
            started_at: manifest.started_at,
            finished_at: manifest.finished_at,
            made_by: manifest.made_by,
            projects: projects.collect(),
            bytes,
            new_bytes: manifest.new_bytes,
        }
    }
}

#[OpenApi(tag = "Area::Backups")]
impl BackupsApi {
    /// List backups
    ///
    /// Those that are finished, oldest first.
    #[oai(path = "/admin/backups", method = "get", operation_id = "list_backups")]
    async fn list(&self, auth: Auth) -> ApiResult<Json<BackupList>> {
        let backups = self.backups.list(auth.caller()).await?;
        Ok(Json(BackupList { backups: backups.into_iter().map(Into::into).collect() }))
    }

    /// Make a backup
    ///
    /// Of some projects, or of all, to where the setting `backup.target` says. It goes on beside writes, and is told as an operation of
    /// the project `default`; each project stands at one of its snapshots. Files that an earlier backup has are not copied again,
    /// nor are those of one that broke off. The backup counts once all of it is there. A project that can't be backed up is named in
    /// `failed` of the result; while one is being made, another is refused with 409.
    #[oai(path = "/admin/backups", method = "post", operation_id = "create_backup")]
    async fn create(&self, auth: Auth, body: Json<Option<BackupRequest>>) -> ApiResult<Accepted> {
        let named = body.0.and_then(|body| body.projects).unwrap_or_default();
        let projects = named.iter().map(|name| project_id(name)).collect::<ApiResult<_>>()?;
        Ok(accepted(self.backups.create(auth.caller(), projects).await?))
    }

    /// Verify a backup
    ///
    /// All of its files are read: sizes, checksums, and what the catalogs say of them. The result has `findings`, which are empty if all is
    /// well. Instead of an id there may be `latest`.
    #[oai(path = "/admin/backups/:backup/verify", method = "post", operation_id = "verify_backup")]
    async fn verify(&self, auth: Auth, backup: Path<String>) -> ApiResult<Accepted> {
        Ok(accepted(self.backups.verify(auth.caller(), &backup.0).await?))
    }

    /// Restore from a backup
    ///
    /// One project, under its own name or another, or all. A project that is there is never overwritten: that is 409, until it was deleted
    /// and purged; only the project `default` is replaced while nothing is in it. A project is there once all of it is, and the rows in
    /// its files were counted. Under another name it has no keys, webhooks, shares and links. Instead of an id there may be `latest`.
    #[oai(path = "/admin/backups/:backup/restore", method = "post", operation_id = "restore_backup")]
    async fn restore(
        &self,
        auth: Auth,
        backup: Path<String>,
        body: Json<Option<RestoreRequest>>,
    ) -> ApiResult<Accepted> {
        let wanted = body.0.unwrap_or_default();
        let parse = |name: Option<String>| name.map(|name| project_id(&name)).transpose();
        let (project, name) = (parse(wanted.project)?, parse(wanted.name)?);
        Ok(accepted(self.backups.restore(auth.caller(), &backup.0, project, name).await?))
    }

    /// Prune backups
    ///
    /// Keeps the newest so many of each project; files that no backup needs any more go.
    #[oai(path = "/admin/backups/prune", method = "post", operation_id = "prune_backups")]
    async fn prune(&self, auth: Auth, body: Json<PruneRequest>) -> ApiResult<Accepted> {
        let keep = number("keep", Some(body.0.keep), 1..=1_000_000, 1)?;
        Ok(accepted(self.backups.prune(auth.caller(), keep as usize).await?))
    }
}
