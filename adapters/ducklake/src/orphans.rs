//! Data files that no snapshot knows: a crash between their writing and their commit left them, or a commit that failed.
//!
//! They are removed in the writer's turn, when nobody else puts files into the lake. Only files are looked at whose names
//! say that the lake made them, and when; what else lies there is somebody else's. `ducklake_delete_orphaned_files` isn't
//! used: it takes the folder's path for a pattern, and every file below it for the lake's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duckdb::Connection;
use gadwall_domain::commit::RowCounts;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{Committed, Files, LakeError, WriteError};

use crate::area::{Area, DataFile};
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
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files that no snapshot knows, but too new to tell.
    pub(crate) young: usize,
}

impl Swept {
    /// What was removed.
    pub(crate) fn files(self) -> Files {
        Files { files: self.removed as u64, bytes: self.bytes }
    }
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

/// Removes them. In the writer's turn alone, as others' writes look the same.
pub(crate) fn sweep(connection: &Connection, lake: LakeId, area: &dyn Area, age: Duration) -> Result<Swept, LakeError> {
    // First the files, then who is known: a file that is committed in between is known.
    let files = area.list(&area.data(lake)).map_err(io_error)?;
    let (old, young) = unknown(connection, lake, &files, age)?;
    let mut swept = Swept { young, ..Swept::default() };
    for file in old {
        area.remove(&file.path).map_err(io_error)?;
        swept.removed += 1;
        swept.bytes += file.bytes;
    }
    Ok(swept)
}

/// Those of a lake's files that no snapshot knows: the ones that are older than `age`, and how many are not.
pub(crate) fn unknown<'a>(
    connection: &Connection,
    lake: LakeId,
    files: &'a [DataFile],
    age: Duration,
) -> Result<(Vec<&'a DataFile>, usize), LakeError> {
    let known = known_names(connection, lake)?;
    let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_known = |file: &DataFile| known.contains(&*file.name());
    let own = files.iter().filter_map(|file| Some((file, written_at(file)?))).filter(|(file, _)| !is_known(file));
    let (old, young): (Vec<_>, Vec<_>) = own.partition(|(_, written)| *written <= before);
    Ok((old.into_iter().map(|(file, _)| file).collect(), young.len()))
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

/// When a file was last written, if its name says that the lake made it.
fn written_at(file: &DataFile) -> Option<SystemTime> {
    let name = file.name();
    let made = named_at(&name)?;
    // A linked file is as old as its owner's; one that was long in the writing is newer than its name.
    Some(if made_at(&name).is_none() { made } else { file.written.max(made) })
}

/// When a file was made, by its name.
fn named_at(name: &str) -> Option<SystemTime> {
    made_at(name).or_else(|| crate::commit::linked_at(name))
}
