//! `gadwall migrate`: everything in a data directory, copied to PostgreSQL and S3; or metadata alone, brought to this version.
//!
//! Metadata comes last, in one transaction: a server on the target knows all projects, or none. So a run that broke off
//! leaves nothing that shows, and the next one goes on.

mod datasets;
mod progress;

use std::collections::BTreeMap;

use anyhow::Context as _;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter};
use gadwall_domain::ports::system::Clock as _;
use gadwall_domain::project::{Deletion, Project};
use gadwall_ducklake::{LakeMigration, MigrationError, Source};
use gadwall_metastore::{PostgresMetadata, SqliteMetadata, copy, has_gone_on};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use crate::config::{CatalogKind, Config};
use crate::files::FileStores;
use crate::folders::{DataLock, LocalFolders};
use crate::output::print_json;
use crate::policies::{data_dir, lake_config};
use crate::system::SystemClock;
use crate::{lakes, metadata};
use datasets::copy_datasets;
use progress::{Done, Progress, say};

/// Why it stopped, where that isn't a failure of something else.
#[derive(Debug, Error)]
pub enum Stopped {
    /// It must not be done; nothing was copied.
    #[error("refused: {0}")]
    Refused(String),
    /// What was copied isn't the same.
    #[error("the copy differs: {0}")]
    Differs(String),
}

impl Stopped {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 3,
            Self::Differs(_) => 4,
        }
    }
}

fn refused(why: impl Into<String>) -> anyhow::Error {
    Stopped::Refused(why.into()).into()
}

fn ended(error: MigrationError) -> anyhow::Error {
    match error {
        MigrationError::Differs(how) => Stopped::Differs(how).into(),
        error @ (MigrationError::Inlined | MigrationError::Elsewhere) => refused(error.to_string()),
        error => error.into(),
    }
}

/// Both ends, open.
struct Ends {
    source: SqliteMetadata,
    target: PostgresMetadata,
    local: FileStores,
    bucket: FileStores,
    lakes: LakeMigration,
    /// Keeps servers away from the source.
    _lock: DataLock,
}

/// What there is of a project, and what was copied.
#[derive(Debug, Serialize)]
struct Told<'a> {
    project: &'a ProjectId,
    snapshots: u64,
    data_files: u64,
    data_bytes: u64,
    /// None in a dry run.
    copied: Option<Copied>,
}

#[derive(Debug, Serialize)]
struct Copied {
    data_files: Done,
    catalog_rows: u64,
    /// Tables of the lake whose rows were compared.
    tables: u64,
    objects: Done,
}

/// Brings metadata to the version of this program. Tells which as JSON, too, if so wanted.
pub async fn bring_up(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let folders = LocalFolders::new(data_dir(config)?);
    let _lock = if metadata::is_remote(config) {
        None
    } else {
        folders.create().context("the data directory can't be made")?;
        Some(folders.lock().map_err(|error| refused(format!("{error:#}")))?)
    };
    let opened = metadata::open(config, &folders).await?;
    let version = opened.archive.version();
    say(&format!("metadata is at version {version}"));
    if as_json { print_json(&json!({ "metadata_version": version })) } else { Ok(()) }
}

/// Copies everything, or with `dry_run` looks whether that could be done. Tells what came of it as JSON, too, if so wanted.
pub async fn run(config: &Config, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let ends = open(config).await?;
    let projects = projects(&ends.source).await?;
    require_own(&projects, &ends).await?;
    let now = SystemClock.now();
    // A deleted one that can be brought back is brought along.
    let is_kept = |deletion: &Deletion| deletion.can_be_undone(now);
    let active: Vec<&Project> =
        projects.iter().filter(|project| project.deletion.as_ref().is_none_or(is_kept)).collect();
    let mut told = Vec::new();
    for project in &active {
        let source = ends.lakes.source(project.lake).await.map_err(ended).with_context(|| name(project))?;
        if ends.lakes.has_gone_on(project.lake).await.map_err(ended).with_context(|| name(project))? {
            return Err(gone_on(&project.id));
        }
        let Source { snapshots, files: data_files, bytes: data_bytes, .. } = source;
        say(&format!("{}: {snapshots} snapshots, {data_files} data files of {data_bytes} bytes", project.id));
        told.push(Told { project: &project.id, snapshots, data_files, data_bytes, copied: None });
    }
    let mut metadata = BTreeMap::new();
    if dry_run {
        say("nothing was copied: this was a dry run");
    } else {
        for (project, told) in active.iter().zip(&mut told) {
            told.copied = Some(copy_project(&ends, project, told.data_files).await.with_context(|| name(project))?);
        }
        for table in copy(&ends.source, &ends.target).await.context("metadata was not copied")? {
            say(&format!("metadata: {} rows of {}", table.rows, table.name));
            metadata.insert(table.name, table.rows);
        }
        say("all is there, and the same; results of queries in the background were left out");
    }
    ends.source.close().await;
    ends.target.close().await;
    if as_json {
        print_json(&json!({ "dry_run": dry_run, "projects": told, "metadata_rows": metadata }))
    } else {
        Ok(())
    }
}

fn name(project: &Project) -> String {
    format!("project {}", project.id)
}

fn gone_on(project: &ProjectId) -> anyhow::Error {
    refused(format!("the target's copy of {project} was used since it was made, and would be lost"))
}

async fn open(config: &Config) -> anyhow::Result<Ends> {
    if config.ducklake.catalog != CatalogKind::Postgres || !config.storage.enabled {
        return Err(refused(
            "the configuration must describe the target: ducklake.catalog = \"postgres\" with ducklake.secret_key and \
             postgres.*, storage.enabled = true with storage.*; and data_dir the source",
        ));
    }
    if !config.data_dir.join("metadata.sqlite").is_file() {
        return Err(refused("there is nothing in the data directory (data_dir, DATA_DIR)"));
    }
    let folders = LocalFolders::new(data_dir(config)?);
    let lock = folders.lock().map_err(|error| refused(format!("{error:#}")))?;
    let source = metadata::open_file(config, &folders).await.context("the metadata in the data directory")?;
    let target = metadata::open_postgres(config).await?;
    let (local, bucket) = (FileStores::local(&folders).await?, FileStores::open(config, &folders).await?);
    let settings = lake_config(config, &folders, bucket.bucket.clone())?;
    let lakes = LakeMigration::open(&settings, &lakes::postgres_place(config)?).await?;
    Ok(Ends { source, target, local, bucket, lakes, _lock: lock })
}

/// Fails if the target has anything that is not from an earlier run, or was used since.
async fn require_own(projects: &[Project], ends: &Ends) -> anyhow::Result<()> {
    let ours: BTreeMap<&ProjectId, LakeId> = projects.iter().map(|project| (&project.id, project.lake)).collect();
    let theirs = self::projects(&ends.target).await?;
    if let Some(other) = theirs.iter().find(|project| ours.get(&project.id) != Some(&project.lake)) {
        return Err(refused(format!(
            "the target has a project {} of its own; use an empty database, on which no server was started yet",
            other.id
        )));
    }
    match theirs.first() {
        Some(project) if has_gone_on(&ends.source, &ends.target).await? => Err(gone_on(&project.id)),
        _ => Ok(()),
    }
}

/// All projects, also those that were deleted.
async fn projects(store: &dyn MetadataStore) -> anyhow::Result<Vec<Project>> {
    const PAGE: u32 = 500;
    let mut all = Vec::new();
    let mut tx = store.read().await?;
    loop {
        let filter = ProjectFilter { status: None, limit: PAGE, offset: all.len() as u64 };
        let (page, _) = tx.projects().list(filter).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn copy_project(ends: &Ends, project: &Project, files: u64) -> anyhow::Result<Copied> {
    let mut progress = Progress::new(&project.id, "data files", files);
    ends.lakes
        .copy_files(project.lake, |file| progress.one(file.bytes, file.was_there))
        .await
        .map_err(ended)
        .context("data files")?;
    let data_files = progress.end();
    let copied = ends.lakes.copy_catalog(project.lake).await.map_err(ended).context("the catalog")?;
    say(&format!("{}: {} rows in {} tables of the catalog", project.id, copied.rows, copied.tables));
    let tables = ends.lakes.compare_rows(project.lake).await.map_err(ended).context("comparing rows")?;
    say(&format!("{}: {tables} tables have the same rows", project.id));
    let objects = copy_datasets(&*ends.local.objects, &*ends.bucket.objects, project).await?;
    Ok(Copied { data_files, catalog_rows: copied.rows, tables, objects })
}
