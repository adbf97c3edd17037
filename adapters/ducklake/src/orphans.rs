//! Data files that no snapshot knows: a crash between their writing and their commit left them, or a commit that failed.
//!
//! They are removed in the writer's turn, when nobody else puts files into the lake. Only files are looked at whose names
//! say that the lake made them, and when; what else lies there is somebody else's. `ducklake_delete_orphaned_files` isn't
//! used: it takes the folder's path for a pattern, and every file below it for the lake's.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duckdb::Connection;
use gadwall_domain::commit::RowCounts;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};

use crate::area::Area;
use crate::durable::made_at;
use crate::error::{fault, io_error};
use crate::store::EmbeddedLakes;
use crate::structure::{on, rows};
use crate::writer::Ready;

/// Lakes that are looked through in one round.
const AT_ONCE: usize = 16;

/// What a look through a lake's files did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Files that were removed.
    pub(crate) removed: usize,
    /// Files that no snapshot knows, but too new to tell.
    pub(crate) young: usize,
}

impl EmbeddedLakes {
    /// Removes files that no snapshot knows and that are older than `age` from lakes where some may be; answers how many.
    pub async fn sweep(&self, age: Duration) -> usize {
        let mut removed = 0;
        for lake in self.catalogs.unswept(AT_ONCE) {
            match self.sweep_lake(lake, age).await {
                Ok(swept) => {
                    removed += swept.removed;
                    if swept.removed > 0 {
                        let lake = lake.uuid().simple();
                        tracing::info!(%lake, files = swept.removed, "data files of interrupted writes were removed");
                    }
                    if swept.young == 0 {
                        self.catalogs.swept(lake);
                    }
                }
                Err(WriteError::Lake(LakeError::NoLake)) => self.catalogs.swept(lake),
                Err(error) => {
                    let lake = lake.uuid().simple();
                    tracing::warn!(error = %error, %lake, "a lake was not looked through for files of interrupted writes");
                }
            }
        }
        removed
    }

    async fn sweep_lake(&self, lake: LakeId, age: Duration) -> Result<Swept, WriteError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let area = Arc::clone(&self.shared.area);
        let work = Ready::Alone(Box::new(move |commit| {
            let _ = tell.send(sweep(commit.connection(), lake, &*area, age)?);
            Ok(Committed { snapshot: SnapshotId::ZERO, rows: RowCounts::default() })
        }));
        self.submit(lake, work).await?;
        told.await.map_err(|_| fault("the look through a lake's files ended before it answered").into())
    }
}

fn sweep(connection: &Connection, lake: LakeId, area: &dyn Area, age: Duration) -> Result<Swept, LakeError> {
    // First the files, then who is known: a file that is committed in between is known.
    let files = own_files(area, lake).map_err(io_error)?;
    let known = known_names(connection, lake)?;
    let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut swept = Swept::default();
    for (path, made) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if known.contains(&*name) {
            continue;
        }
        if made > before {
            swept.young += 1;
            continue;
        }
        area.remove(&path).map_err(io_error)?;
        swept.removed += 1;
    }
    Ok(swept)
}

/// Names of all files that any snapshot shows, and of those that wait for their deletion. No two files have one name.
fn known_names(connection: &Connection, lake: LakeId) -> Result<HashSet<String>, LakeError> {
    let statement = on(
        lake,
        "SELECT path FROM {md}.ducklake_data_file
          UNION ALL SELECT path FROM {md}.ducklake_delete_file
          UNION ALL SELECT path FROM {md}.ducklake_files_scheduled_for_deletion",
    );
    let paths = rows(connection, &statement, &[], |row| row.get::<_, String>(0))?;
    let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(paths.into_iter().map(name).collect())
}

/// A lake's files whose names say that the lake made them, and when they were last written.
fn own_files(area: &dyn Area, lake: LakeId) -> io::Result<Vec<(PathBuf, SystemTime)>> {
    let mut found = Vec::new();
    for file in area.list(&area.data(lake))? {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let Some(made) = named_at(&name) else { continue };
        // A linked file is as old as its owner's; one that was long in the writing is newer than its name.
        let written = if made_at(&name).is_none() { made } else { file.written.max(made) };
        found.push((file.path.clone(), written));
    }
    Ok(found)
}

/// When a file was made, by its name.
fn named_at(name: &str) -> Option<SystemTime> {
    made_at(name).or_else(|| crate::commit::linked_at(name))
}
