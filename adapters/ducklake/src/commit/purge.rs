//! Rows that are deleted for good: from the newest version, from every version that shows them, and from storage.
//!
//! Each step can be repeated: a purge that broke off is completed by another one. First the rows are deleted, then the
//! files that hold them are written anew, then the snapshots that show them are expired, then the files are deleted, and
//! at last every file that is left is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gadwall_domain::commit::{Change, WriteOrigin, WriteRecord};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{LakeError, Purge, PurgeError, PurgeReport, WriteError};
use gadwall_domain::schema::Column;

use super::Commit;
use crate::area::DataFile;
use crate::error::{fault, io_error};
use crate::structure::told::{self, Told};
use crate::structure::{on, rows};
use crate::{sql, structure, values};

/// Versions that are read one by one to find the first that shows a row; with more, all count as showing it.
const MAX_LOOKS: usize = 2_000;

/// What a purge is about.
struct Target {
    told: Told,
    columns: Vec<Column>,
    /// True for rows that are meant.
    condition: String,
    /// The table's numbers: its own, and those of tables that had its name before and are gone.
    ids: Vec<i64>,
}

impl Commit<'_> {
    pub(crate) fn purge(
        &self,
        purge: &Purge,
        held: &[SnapshotId],
        origin: &WriteOrigin,
    ) -> Result<PurgeReport, PurgeError> {
        let told = self.target(&purge.table, &purge.schema, Expected::ANY)?;
        let columns = purge.schema.columns().to_vec();
        let condition = values::condition(self.connection, purge.filter.as_ref(), &columns)?;
        let ids = self.line_of(told.id).map_err(WriteError::from)?;
        let target = Target { told, columns, condition, ids };

        let first = self.first_to_read(&target.ids, self.first_to_show(&target)?)?;
        let shown = |snapshot: &SnapshotId| first.is_some_and(|first| *snapshot >= first);
        if let Some(held) = held.iter().filter(|held| shown(held)).min() {
            return Err(PurgeError::Held(*held));
        }
        let before: Vec<SnapshotId> = told::kept(self.connection, self.lake).map_err(WriteError::from)?;
        let expired: Vec<SnapshotId> = before.into_iter().filter(shown).collect();
        let folders = self.folders(&target.ids).map_err(WriteError::from)?;
        let files = self.parquet_files(&folders)?;

        let rows = self.delete_for_good(&target)?;
        let files_rewritten = self.rewrite(&target, rows, first.is_some(), origin)?;
        self.expire_from(first)?;
        self.clean_up_all()?;
        self.look_again(&target, &folders)?;
        self.narrow_statistics(&target)?;

        let left: BTreeSet<PathBuf> = self.parquet_files(&folders)?.into_iter().map(|file| file.path).collect();
        let gone: Vec<&DataFile> = files.iter().filter(|file| !left.contains(&file.path)).collect();
        Ok(PurgeReport {
            rows,
            snapshot: structure::head(self.connection, self.lake).map_err(WriteError::from)?,
            expired,
            files_deleted: gone.len() as u64,
            files_rewritten,
            bytes_deleted: gone.iter().map(|file| file.bytes).sum(),
        })
    }

    /// The table's numbers through its past: tables that had one of its names and are gone count as it.
    fn line_of(&self, id: i64) -> Result<Vec<i64>, LakeError> {
        let statement = on(
            self.lake,
            "WITH RECURSIVE line(id) AS (
               SELECT ?::BIGINT
                UNION
               SELECT other.table_id
                 FROM line JOIN {md}.ducklake_table mine ON mine.table_id = line.id
                 JOIN {md}.ducklake_table other
                   ON other.schema_id = mine.schema_id AND lower(other.table_name) = lower(mine.table_name)
                WHERE NOT EXISTS (FROM {md}.ducklake_table now
                                   WHERE now.table_id = other.table_id AND now.end_snapshot IS NULL))
             SELECT id FROM line",
        );
        rows(self.connection, &statement, &[&id], |row| row.get(0))
    }

    /// The first kept snapshot that shows a row that is meant, or an earlier form of one.
    fn first_to_show(&self, target: &Target) -> Result<Option<SnapshotId>, WriteError> {
        let name = sql::table(self.lake, &target.told.name);
        let meant_now = self.count(&format!("SELECT count(*) FROM {name} WHERE {}", target.condition))? > 0;
        let candidates = self.versions_of(target)?;
        for (seen, snapshot) in candidates.iter().enumerate() {
            for id in &target.ids {
                let Some(then) = told::numbered(self.connection, self.lake, *id, ReadAt::Snapshot(*snapshot))? else {
                    continue;
                };
                if seen >= MAX_LOOKS || self.shows(target, &then, *snapshot, meant_now)? {
                    return Ok(Some(*snapshot));
                }
            }
        }
        Ok(None)
    }

    /// The first kept snapshot that reads a file which may hold such a row: a merged file has rows of later snapshots, too.
    fn first_to_read(&self, ids: &[i64], shows: Option<SnapshotId>) -> Result<Option<SnapshotId>, WriteError> {
        let Some(mut first) = shows else { return Ok(None) };
        loop {
            let statement = on(
                self.lake,
                &format!(
                    "SELECT min(s.snapshot_id) FROM {{md}}.ducklake_snapshot s
                       JOIN {{md}}.ducklake_data_file f ON s.snapshot_id >= f.begin_snapshot
                      WHERE f.table_id IN ({}) AND f.begin_snapshot < {first} AND f.partial_max >= {first}",
                    list(ids)
                ),
            );
            let before = rows(self.connection, &statement, &[], |row| row.get::<_, Option<i64>>(0))?.pop().flatten();
            let before = before.map(SnapshotId::new).transpose().map_err(|error| fault(error.to_string()))?;
            match before {
                Some(before) if before < first => first = before,
                _ => return Ok(Some(first)),
            }
        }
    }

    /// The first kept snapshot, and those that added rows to the table (or to those before it).
    fn versions_of(&self, target: &Target) -> Result<Vec<SnapshotId>, WriteError> {
        let ids = list(&target.ids);
        let statement = on(
            self.lake,
            &format!(
                "WITH changed(n) AS (SELECT begin_snapshot FROM {{md}}.ducklake_data_file WHERE table_id IN ({ids})
                          UNION SELECT s.snapshot_id FROM {{md}}.ducklake_data_file f
                                  JOIN {{md}}.ducklake_snapshot s ON s.snapshot_id BETWEEN f.begin_snapshot AND f.partial_max
                                 WHERE f.table_id IN ({ids})
                          UNION SELECT begin_snapshot FROM {{md}}.ducklake_table WHERE table_id IN ({ids})
                          UNION SELECT begin_snapshot FROM {{md}}.ducklake_column WHERE table_id IN ({ids})
                          UNION SELECT snapshot_id FROM {{md}}.ducklake_snapshot_changes
                                 WHERE contains(changes_made, 'inlined_insert'))
                 SELECT DISTINCT (SELECT min(s.snapshot_id) FROM {{md}}.ducklake_snapshot s WHERE s.snapshot_id >= n) AS k
                   FROM changed WHERE k IS NOT NULL ORDER BY k"
            ),
        );
        let found = rows(self.connection, &statement, &[], |row| row.get::<_, i64>(0))?;
        let snapshots =
            found.into_iter().map(|id| SnapshotId::new(id).map_err(|error| fault(error.to_string()).into()));
        snapshots.collect()
    }

    /// Whether a version shows a row. What can't be told counts as shown.
    fn shows(&self, target: &Target, then: &Told, at: SnapshotId, meant_now: bool) -> Result<bool, WriteError> {
        let own = then.id == target.told.id;
        if meant_now && !own {
            // Rows of a table that this one took the place of can't be followed.
            return Ok(true);
        }
        let name = sql::table(self.lake, &target.told.name);
        let mut values = Vec::new();
        for column in &target.columns {
            let id = target.told.column_ids.get(&column.name);
            let old = then
                .columns
                .iter()
                .find(|old| if own { then.column_ids.get(&old.name) == id } else { old.name == column.name });
            let quoted = sql::ident(column.name.as_str());
            match old {
                Some(old) => {
                    let (old, wanted) = (sql::ident(old.name.as_str()), column.data_type.without_lengths());
                    values.push(format!("TRY_CAST({old} AS {wanted}) AS {quoted}"));
                }
                // A column that wasn't there: rows of then are now as if it had held its default.
                None => values.push(format!("{} AS {quoted}", sql::default_of(column))),
            }
        }
        let version = format!("{} AT (VERSION => {})", sql::table(self.lake, &then.name), at.get());
        let (mut number, mut same) = (String::new(), String::new());
        if own && meant_now {
            ", rowid AS __gadwall_number".clone_into(&mut number);
            same = format!(" OR __gadwall_number IN (SELECT rowid FROM {name} WHERE {})", target.condition);
        }
        let statement = format!(
            "SELECT count(*) FROM (SELECT 1 FROM (SELECT {}{number} FROM {version}) WHERE ({}){same} LIMIT 1)",
            values.join(", "),
            target.condition
        );
        Ok(self.count(&statement)? > 0)
    }

    /// The folders of the tables' files.
    fn folders(&self, ids: &[i64]) -> Result<Vec<PathBuf>, LakeError> {
        let statement = on(
            self.lake,
            &format!(
                "SELECT DISTINCT s.path, t.path FROM {{md}}.ducklake_table t JOIN {{md}}.ducklake_schema s USING (schema_id)
                  WHERE s.path_is_relative AND t.path_is_relative AND t.table_id IN ({})",
                list(ids)
            ),
        );
        let data = self.shared.area.data(self.lake);
        let paths =
            rows(self.connection, &statement, &[], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        Ok(paths.into_iter().map(|(bucket, table)| data.join(bucket).join(table)).collect())
    }

    fn delete_for_good(&self, target: &Target) -> Result<u64, WriteError> {
        let (name, started) = (sql::table(self.lake, &target.told.name), SystemTime::now());
        let done = self.transaction_of_rows(|| {
            let rows = self.count_of(&format!("DELETE FROM {name} WHERE {}", target.condition))?;
            if rows == 0 {
                return Ok(None);
            }
            self.make_files_last(&*self.shape(&target.told.name)?, started)?;
            Ok(Some(rows))
        })?;
        Ok(done.map_or(0, |(rows, _)| rows))
    }

    /// Writes the files anew that hold deleted rows; the snapshot of it says what the purge is. Answers how many files
    /// were written.
    fn rewrite(&self, target: &Target, rows: u64, shown: bool, origin: &WriteOrigin) -> Result<u64, WriteError> {
        let (started, mut files) = (SystemTime::now(), 0);
        let record = || {
            let change = Change::RowsPurged { table: target.told.name.clone(), rows };
            self.say(vec![WriteRecord::new(origin.clone(), change)])
        };
        let (catalog, name) = (sql::text(&sql::catalog(self.lake)), &target.told.name);
        if self.shared.catalogs.inlines() {
            self.transaction_of_rows(|| {
                let flushed = self.sum(&format!("CALL ducklake_flush_inlined_data({catalog})"), 2)?;
                if flushed == 0 {
                    return Ok(None);
                }
                self.make_files_last(&*self.shape(name)?, started)?;
                Ok(Some(()))
            })?;
        }
        let written = self.transaction_of_rows(|| {
            let (bucket, table) = (sql::text(name.bucket.as_str()), sql::text(name.table.as_str()));
            let call = format!(
                "CALL ducklake_rewrite_data_files({catalog}, {table}, schema => {bucket}, delete_threshold => 0)"
            );
            let written = rows_of_call(self, &call)?;
            if written.is_empty() {
                return Ok(None);
            }
            files = written.iter().sum();
            record()?;
            self.make_files_last(&*self.shape(name)?, started)?;
            Ok(Some(()))
        })?;
        if written.is_none() && (rows > 0 || shown) {
            self.transaction_of_rows(|| {
                self.touch(&target.told)?;
                record()?;
                Ok(Some(()))
            })?;
        }
        Ok(files)
    }

    /// The sum of a column of what a call answers.
    fn sum(&self, call: &str, column: usize) -> Result<i64, WriteError> {
        Ok(rows(self.connection, call, &[], |row| row.get::<_, i64>(column))?.into_iter().sum())
    }

    /// Expires snapshots from one on, up to the newest.
    fn expire_from(&self, first: Option<SnapshotId>) -> Result<(), WriteError> {
        let Some(first) = first else { return Ok(()) };
        let head = structure::head(self.connection, self.lake)?;
        let kept = told::kept(self.connection, self.lake)?;
        let gone: Vec<i64> = kept.into_iter().filter(|at| *at >= first && *at < head).map(structure::number).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let catalog = sql::text(&sql::catalog(self.lake));
        let _changing = self.changing();
        Ok(self.execute(&format!("CALL ducklake_expire_snapshots({catalog}, versions => [{}])", list(&gone)))?)
    }

    /// Deletes the files that no snapshot has any more.
    fn clean_up_all(&self) -> Result<(), WriteError> {
        let _changing = self.changing();
        let catalog = sql::text(&sql::catalog(self.lake));
        Ok(self.execute(&format!("CALL ducklake_cleanup_old_files({catalog}, cleanup_all => true)"))?)
    }

    /// Reads every file that is left. One that holds such a row and belongs to no version was left by a crash.
    fn look_again(&self, target: &Target, folders: &[PathBuf]) -> Result<(), WriteError> {
        if self.shared.catalogs.encrypts() {
            // Nobody can read these files without the catalog, which no longer has the keys of those that are gone.
            return Ok(());
        }
        let known: BTreeSet<String> = {
            let statement = on(self.lake, "SELECT path FROM {md}.ducklake_data_file");
            rows(self.connection, &statement, &[], |row| row.get::<_, String>(0))?.into_iter().collect()
        };
        for DataFile { path, .. } in self.parquet_files(folders)? {
            if !self.holds(target, &path)? {
                continue;
            }
            let is_known = known.iter().any(|known| path.ends_with(known));
            if is_known {
                return Err(fault("a file still holds rows that were purged").into());
            }
            self.shared.area.remove(&path).map_err(io_error)?;
        }
        Ok(())
    }

    /// Data files in folders and below.
    fn parquet_files(&self, folders: &[PathBuf]) -> Result<Vec<DataFile>, WriteError> {
        let mut found = Vec::new();
        for folder in folders {
            found.extend(self.shared.area.list(folder).map_err(io_error)?);
        }
        found.retain(|file| {
            let name = file.name();
            name.ends_with(".parquet") && !name.ends_with("-delete.parquet")
        });
        Ok(found)
    }

    /// Whether a file holds a row that is meant.
    fn holds(&self, target: &Target, path: &Path) -> Result<bool, WriteError> {
        let file = sql::text(&path.to_string_lossy());
        let fields =
            rows(self.connection, &format!("SELECT name, field_id FROM parquet_schema({file})"), &[], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
            })?;
        let top = rows(self.connection, &format!("DESCRIBE SELECT * FROM read_parquet({file})"), &[], |row| {
            row.get::<_, String>(0)
        })?;
        let value = |column: &Column| {
            let quoted = sql::ident(column.name.as_str());
            let id = target.told.column_ids.get(&column.name).copied();
            let by_id = fields.iter().find(|(name, field)| field.is_some() && *field == id && top.contains(name));
            let by_name = || {
                fields.iter().find(|(name, field)| {
                    field.is_none() && name.eq_ignore_ascii_case(column.name.as_str()) && top.contains(name)
                })
            };
            match by_id.or_else(by_name) {
                Some((name, _)) => {
                    format!("TRY_CAST({} AS {}) AS {quoted}", sql::ident(name), column.data_type.without_lengths())
                }
                None => format!("{} AS {quoted}", sql::default_of(column)),
            }
        };
        let values: Vec<String> = target.columns.iter().map(value).collect();
        let found = format!(
            "SELECT count(*) FROM (SELECT {} FROM read_parquet({file})) WHERE {}",
            values.join(", "),
            target.condition
        );
        Ok(self.count(&found)? > 0)
    }

    /// The catalog keeps the least and the greatest value of each column; they may be those of purged rows.
    fn narrow_statistics(&self, target: &Target) -> Result<(), WriteError> {
        let name = sql::table(self.lake, &target.told.name);
        for column in target.columns.iter().filter(|column| !column.data_type.is_nested()) {
            let Some(id) = target.told.column_ids.get(&column.name) else { continue };
            let kept = on(
                self.lake,
                "SELECT min_value, max_value FROM {md}.ducklake_table_column_stats WHERE table_id = ? AND column_id = ?",
            );
            let pair = |row: &duckdb::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?));
            let Some(kept) = rows(self.connection, &kept, &[&target.told.id, id], pair)?.pop() else { continue };
            if kept == (None, None) {
                continue;
            }
            let quoted = sql::ident(column.name.as_str());
            let really = format!("SELECT CAST(min({quoted}) AS VARCHAR), CAST(max({quoted}) AS VARCHAR) FROM {name}");
            let Some(really) = rows(self.connection, &really, &[], pair)?.pop() else { continue };
            if kept != really {
                let narrow = on(
                    self.lake,
                    "UPDATE {md}.ducklake_table_column_stats SET min_value = ?, max_value = ?
                      WHERE table_id = ? AND column_id = ?",
                );
                let values: [&dyn duckdb::ToSql; 4] = [&really.0, &really.1, &target.told.id, id];
                let _changing = self.changing();
                self.connection.execute(&narrow, values).map_err(|error| crate::error::lake_error(&error))?;
            }
        }
        Ok(())
    }
}

/// Files that a rewrite wrote, for each of its answers.
fn rows_of_call(commit: &Commit<'_>, call: &str) -> Result<Vec<u64>, WriteError> {
    Ok(rows(commit.connection, call, &[], |row| row.get::<_, i64>(3).map(i64::unsigned_abs))?)
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
