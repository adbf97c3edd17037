//! Files that no snapshot shows any more. DuckLake notes when it stopped using them; Gadwall deletes them itself, in slices,
//! after it looked at each once more: a file that any snapshot shows is never deleted, whatever the note says.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use duckdb::Connection;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{FileFloors, Files, LakeCondition, LakeError, SliceReport};

use crate::area::{Area, DataFile};
use crate::error::{io_error, lake_error};
use crate::orphans;
use crate::structure::{on, rows};

/// Files that are deleted in one slice.
const AT_ONCE: u32 = 500;

/// A file that waits for its deletion.
struct Noted {
    id: i64,
    path: String,
    is_relative: bool,
    /// Seconds since it was noted.
    age: Duration,
}

/// All files of a lake that are there.
pub(super) fn files(area: &dyn Area, lake: LakeId) -> Result<Vec<DataFile>, LakeError> {
    area.list(&area.data(lake)).map_err(io_error)
}

/// Counts what could be deleted; the rest of the condition is left empty.
pub(super) fn count(
    connection: &Connection,
    lake: LakeId,
    area: &dyn Area,
    files: &[DataFile],
    floors: FileFloors,
) -> Result<LakeCondition, LakeError> {
    let sizes: HashMap<&Path, u64> = files.iter().map(|file| (file.path.as_path(), file.bytes)).collect();
    let (mut waiting, mut deletable) = (Files::default(), Files::default());
    for noted in noted(connection, lake, Duration::ZERO, u32::MAX)? {
        let Some(bytes) = place_of(&area.data(lake), &noted).and_then(|path| sizes.get(path.as_path()).copied()) else {
            continue;
        };
        add(&mut waiting, bytes);
        if noted.age >= floors.unused {
            add(&mut deletable, bytes);
        }
    }
    let mut unknown = Files::default();
    for file in orphans::unknown(connection, lake, files, floors.unknown)?.0 {
        add(&mut unknown, file.bytes);
    }
    Ok(LakeCondition { waiting, deletable, orphans: unknown, ..LakeCondition::default() })
}

fn add(to: &mut Files, bytes: u64) {
    to.files += 1;
    to.bytes += bytes;
}

/// Deletes files that have waited for so long.
pub(super) fn delete(
    connection: &Connection,
    lake: LakeId,
    area: &dyn Area,
    age: Duration,
) -> Result<SliceReport, LakeError> {
    let noted = noted(connection, lake, age, AT_ONCE)?;
    if noted.is_empty() {
        return Ok(SliceReport::default());
    }
    let shown = shown(connection, lake)?;
    let data = area.data(lake);
    let sizes: HashMap<PathBuf, u64> = files(area, lake)?.into_iter().map(|file| (file.path, file.bytes)).collect();
    let (mut report, mut done) = (SliceReport::default(), Vec::new());
    for noted in &noted {
        let place = place_of(&data, noted).filter(|place| !is_shown(place, &shown));
        let Some(place) = place else {
            report.spared += 1;
            continue;
        };
        match area.remove(&place) {
            Ok(()) => add(&mut report.removed, sizes.get(&place).copied().unwrap_or_default()),
            // An earlier slice that broke off came as far as this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(error)),
        }
        done.push(noted.id);
    }
    if !done.is_empty() {
        let ids = done.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let forget = on(
            lake,
            &format!("DELETE FROM {{md}}.ducklake_files_scheduled_for_deletion WHERE data_file_id IN ({ids})"),
        );
        connection.execute_batch(&forget).map_err(|error| lake_error(&error))?;
    }
    // Those that were spared are found again each time: a slice of them alone would never end.
    report.more = noted.len() == AT_ONCE as usize && !done.is_empty();
    if report.spared > 0 {
        let (lake, files) = (lake.uuid().simple(), report.spared);
        tracing::warn!(%lake, files, "files that wait for deletion are still shown by a snapshot, or lie elsewhere; they stay");
    }
    Ok(report)
}

/// Files that wait, the oldest first.
fn noted(connection: &Connection, lake: LakeId, age: Duration, limit: u32) -> Result<Vec<Noted>, LakeError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let (now, age) = (micros(now), micros(age));
    let statement = on(
        lake,
        &format!(
            "SELECT data_file_id, path, path_is_relative, epoch_us(schedule_start)
               FROM {{md}}.ducklake_files_scheduled_for_deletion
              WHERE epoch_us(schedule_start) <= {} ORDER BY schedule_start, data_file_id LIMIT {limit}",
            now.saturating_sub(age)
        ),
    );
    rows(connection, &statement, &[], |row| {
        let waited = now.saturating_sub(row.get::<_, i64>(3)?).max(0);
        Ok(Noted {
            id: row.get(0)?,
            path: row.get(1)?,
            is_relative: row.get(2)?,
            age: Duration::from_micros(waited.unsigned_abs()),
        })
    })
}

/// Where a file lies; none if that isn't in the lake's own folder.
fn place_of(data: &Path, noted: &Noted) -> Option<PathBuf> {
    let given = Path::new(&noted.path);
    let place = if noted.is_relative { data.join(given) } else { given.to_owned() };
    let is_plain = !given.components().any(|part| part == Component::ParentDir);
    (is_plain && place.starts_with(data) && place != data).then_some(place)
}

/// Names of all files that a snapshot shows, or may show. No two files have one name.
fn shown(connection: &Connection, lake: LakeId) -> Result<HashSet<String>, LakeError> {
    let statement =
        on(lake, "SELECT path FROM {md}.ducklake_data_file UNION ALL SELECT path FROM {md}.ducklake_delete_file");
    let paths = rows(connection, &statement, &[], |row| row.get::<_, String>(0))?;
    Ok(paths.into_iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect())
}

fn is_shown(place: &Path, shown: &HashSet<String>) -> bool {
    place.file_name().is_none_or(|name| shown.contains(&*name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lakes_own_files_have_a_place() {
        let noted = |path: &str, is_relative| Noted { id: 1, path: path.to_owned(), is_relative, age: Duration::ZERO };
        let data = Path::new("/lakes/a/data");
        assert_eq!(place_of(data, &noted("b/t/x.parquet", true)), Some(data.join("b/t/x.parquet")));
        assert_eq!(place_of(data, &noted("/lakes/a/data/b/x.parquet", false)), Some(data.join("b/x.parquet")));
        for (path, is_relative) in
            [("../../c/x.parquet", true), ("/lakes/c/data/x.parquet", false), ("/etc/passwd", true), ("", true)]
        {
            assert_eq!(place_of(data, &noted(path, is_relative)), None, "{path}");
        }
    }
}
