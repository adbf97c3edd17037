//! Where backups are kept, as the configuration says, and the commands that make them.

pub mod command;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use gadwall_application::backups::Shelf;
use gadwall_domain::ports::backup::{CatalogReader, LakeArchive, MetadataArchive};
use gadwall_domain::ports::doctor::LakeDoctor;
use gadwall_ducklake::{CatalogFilesReader, LakeConfig};
use gadwall_objects::s3::S3Config;
use gadwall_objects::{LocalBackups, S3Backups};

use crate::config::Config;
use crate::files::s3_config;
use crate::lakes::Lakes;
use crate::system::SystemIds;

/// What copies projects, and where to.
pub(crate) struct BackupPorts {
    pub(crate) metadata: Arc<dyn MetadataArchive>,
    pub(crate) lakes: Arc<dyn LakeArchive>,
    pub(crate) catalogs: Arc<dyn CatalogReader>,
    pub(crate) shelf: Option<Shelf>,
    /// What looks after catalogs.
    pub(crate) doctor: Arc<dyn LakeDoctor>,
}

impl BackupPorts {
    /// Of these lakes, and of the metadata that goes with them.
    pub(crate) fn of(
        config: &Config,
        lakes: &Lakes,
        settings: &LakeConfig,
        metadata: Arc<dyn MetadataArchive>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            metadata,
            lakes: lakes.archive(settings),
            catalogs: Arc::new(CatalogFilesReader::new(&settings.staging_dir)),
            shelf: shelf(config)?,
            doctor: lakes.doctor(),
        })
    }
}

/// Where backups are kept, if anywhere.
pub(crate) fn shelf(config: &Config) -> anyhow::Result<Option<Shelf>> {
    let Some(target) = config.backup.target.as_deref() else { return Ok(None) };
    let Some(place) = target.strip_prefix("s3://") else {
        let folder = PathBuf::from(target.strip_prefix("file://").unwrap_or(target));
        let folder = std::path::absolute(&folder).context("backup.target is not a folder")?;
        return Ok(Some(Shelf::new(Arc::new(LocalBackups::new(folder, Arc::new(SystemIds))))));
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    anyhow::ensure!(!bucket.is_empty(), "backup.target names no bucket: it is a folder or s3://bucket/prefix");
    anyhow::ensure!(
        config.storage.access_key.is_some() && config.storage.secret_key.is_some(),
        "backup.target is in S3, but storage.access_key and storage.secret_key are not set"
    );
    let place = S3Config { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..s3_config(&config.storage) };
    let backups = S3Backups::new(&place).context("backup.target can't be used")?;
    Ok(Some(Shelf::new(Arc::new(backups))))
}
