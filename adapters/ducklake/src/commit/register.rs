//! Files that lie in the dataset area and become part of a table.
//!
//! DuckLake deletes the files of a table once no snapshot shows them, also those it was only told of. So the table gets
//! a name of its own for each file, and the dataset's owner keeps theirs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gadwall_domain::commit::Change;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{EngineFile, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

use super::Commit;
use crate::error::{Failure, classify, io_error, lake_error};
use crate::stage::duplicates;
use crate::structure::told::Told;
use crate::structure::{on, rows};
use crate::{sql, structure};

/// The beginning of the names of such files in a table's folder.
const PREFIX: &str = "registered-";

/// A file with the columns it has, by the table's names.
struct Registered<'a> {
    file: &'a EngineFile,
    path: PathBuf,
    columns: Vec<ColumnName>,
}

impl Registered<'_> {
    fn bad(&self, reason: impl Into<String>) -> WriteError {
        bad(self.file, reason)
    }

    fn relation(&self) -> String {
        format!("read_parquet({})", sql::text(&self.path.to_string_lossy()))
    }
}

fn bad(file: &EngineFile, reason: impl Into<String>) -> WriteError {
    WriteError::BadFile { file: file.name.clone(), reason: reason.into() }
}

impl Commit<'_> {
    pub(super) fn register(
        &self,
        told: &Told,
        table: &TableRef,
        schema: &TableSchema,
        files: &[EngineFile],
    ) -> Result<Change, WriteError> {
        if let Some(file) = files.first().filter(|_| !told.layout.partition_by.is_empty()) {
            return Err(bad(file, "can't become part of a partitioned table: load its rows instead"));
        }
        let shape = self.shape(&told.name)?;
        let folder = self.shared.area.data(self.lake).join(&shape.folder);
        self.wrote_elsewhere.set(true);
        let known = self.registered_before(told, &folder)?;
        let mut count = 0;
        let mut taken = Vec::new();
        for (position, file) in files.iter().enumerate() {
            let (path, identity) = self.link(file, &folder, position)?;
            if known.iter().chain(&taken).any(|other| identity.is_some() && *other == identity) {
                return Err(bad(file, "is part of the table already"));
            }
            taken.push(identity);
            let columns = self.columns_of(file, &path, schema)?;
            let found = Registered { file, path, columns };
            count += self.check_rows(&found, schema)?;
            self.check_keys(told, &found, schema)?;
            self.add(told, &found)?;
        }
        Ok(Change::FilesRegistered { table: table.clone(), files: files.len() as u64, rows: count })
    }

    /// Files of the table that were registered, told by what they are on disk.
    fn registered_before(&self, told: &Told, folder: &Path) -> Result<Vec<Option<String>>, WriteError> {
        let statement = on(
            self.lake,
            "SELECT path FROM {md}.ducklake_data_file
              WHERE table_id = ? AND end_snapshot IS NULL AND starts_with(path, ?)",
        );
        let paths = rows(self.connection, &statement, &[&told.id, &PREFIX], |row| row.get::<_, String>(0))?;
        Ok(paths.iter().map(|path| self.shared.area.identity(&folder.join(path))).collect())
    }

    /// Gives the file a name in the table's folder, which lasts.
    fn link(&self, file: &EngineFile, folder: &Path, position: usize) -> Result<(PathBuf, Option<String>), WriteError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = folder.join(format!("{PREFIX}{now}-{position}.parquet"));
        self.linked.borrow_mut().push(path.clone());
        let linked = self.shared.area.link(Path::new(&file.location), &path).map_err(io_error)?;
        linked.ok_or_else(|| bad(file, "isn't there"))?;
        let identity = self.shared.area.identity(&path);
        Ok((path, identity))
    }

    /// The table's columns that the file has; fails on others, and on types that the table's can't hold.
    fn columns_of(&self, file: &EngineFile, path: &Path, schema: &TableSchema) -> Result<Vec<ColumnName>, WriteError> {
        let relation = format!("read_parquet({})", sql::text(&path.to_string_lossy()));
        let described = rows(self.connection, &format!("DESCRIBE SELECT * FROM {relation}"), &[], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        });
        let described = described.map_err(|error| {
            tracing::debug!(error = ?error, "a file can't be read as Parquet");
            bad(file, "can't be read as Parquet")
        })?;
        let mut columns: Vec<ColumnName> = Vec::new();
        for (name, type_text) in described {
            let shown: String = name.chars().take(60).collect();
            let known = ColumnName::parse(&name).ok().and_then(|name| schema.column(&name));
            let Some(column) = known else {
                return Err(bad(file, format!("has a column {shown:?}, which the table has not")));
            };
            if columns.contains(&column.name) {
                return Err(bad(file, format!("has the column {} twice", column.name)));
            }
            let wanted = column.data_type.without_lengths();
            let fits = DataType::parse(&type_text).is_ok_and(|given| given.widens_to(&wanted).is_ok());
            if !fits {
                let name = &column.name;
                return Err(bad(file, format!("has the column {name} as {type_text}, the table as {wanted}")));
            }
            columns.push(column.name.clone());
        }
        let needed = |column: &&Column| !column.nullable && column.default.is_none() && !columns.contains(&column.name);
        match schema.columns().iter().find(needed) {
            Some(column) => {
                Err(bad(file, format!("lacks the column {}, which is NOT NULL without a default", column.name)))
            }
            None => Ok(columns),
        }
    }

    /// Holds the file's rows to NOT NULL, declared lengths and checks; answers how many there are.
    fn check_rows(&self, found: &Registered<'_>, schema: &TableSchema) -> Result<u64, WriteError> {
        for column in schema.columns().iter().filter(|column| found.columns.contains(&column.name)) {
            let name = sql::ident(column.name.as_str());
            let mut rules = Vec::new();
            if !column.nullable {
                rules.push((format!("{name} IS NULL"), "is NULL, but may not be".to_owned()));
            }
            rules.extend(sql::rules(column, &name));
            for (broken, reason) in rules {
                let count = self.count_in(found, &format!("WHERE {broken}"))?;
                if count > 0 {
                    return Err(found.bad(format!("has {count} rows whose {} {reason}", column.name)));
                }
            }
        }
        self.count_in(found, "")
    }

    fn count_in(&self, found: &Registered<'_>, which: &str) -> Result<u64, WriteError> {
        let statement = format!("SELECT count(*) FROM {} {which}", found.relation());
        match self.connection.query_row(&statement, [], |row| row.get::<_, i64>(0)) {
            Ok(count) => Ok(count.unsigned_abs()),
            Err(error) => match classify(&error) {
                Failure::OutOfMemory | Failure::StorageFull | Failure::ReadOnly | Failure::Interrupted => {
                    Err(lake_error(&error).into())
                }
                _ => Err(found.bad("can't be read as Parquet")),
            },
        }
    }

    /// Keys are unique within the file, against the table, and against files before it: those are part of the table.
    fn check_keys(&self, told: &Told, found: &Registered<'_>, schema: &TableSchema) -> Result<(), WriteError> {
        let key = schema.key_columns();
        if key.is_empty() {
            return Ok(());
        }
        let value = |name: &ColumnName| {
            let column = schema.column(name)?;
            let quoted = sql::ident(name.as_str());
            let value = if found.columns.contains(name) {
                format!("CAST({quoted} AS {})", column.data_type.without_lengths())
            } else {
                sql::default_of(column)
            };
            Some(format!("{value} AS {quoted}"))
        };
        let values: Vec<String> = key.iter().filter_map(value).collect();
        let (names, given) = (sql::columns(key), format!("SELECT {} FROM {}", values.join(", "), found.relation()));
        let twice = format!("SELECT {names} FROM ({given}) GROUP BY ALL HAVING count(*) > 1");
        duplicates(self.connection, &twice, key)?;
        let target = sql::table(self.lake, &told.name);
        duplicates(self.connection, &format!("SELECT {names} FROM ({given}) SEMI JOIN {target} USING ({names})"), key)
    }

    fn add(&self, told: &Told, found: &Registered<'_>) -> Result<(), WriteError> {
        let bucket = structure::bucket(self.connection, self.lake, &told.name.bucket, ReadAt::Head)?;
        let bucket = bucket.unwrap_or_else(|| told.name.bucket.to_string());
        let statement = format!(
            "CALL ducklake_add_data_files({}, {}, {}, schema => {}, allow_missing => true)",
            sql::text(&sql::catalog(self.lake)),
            sql::text(told.name.table.as_str()),
            sql::text(&found.path.to_string_lossy()),
            sql::text(&bucket)
        );
        self.connection.execute_batch(&statement).map_err(|error| match classify(&error) {
            Failure::Statement => {
                tracing::debug!(error = %crate::error::message(&error), "a file can't be registered");
                found.bad("can't be read as the table's columns")
            }
            _ => lake_error(&error).into(),
        })
    }
}

/// When a file was linked, as its name says.
pub(crate) fn linked_at(name: &str) -> Option<SystemTime> {
    let nanos: u64 = name.strip_prefix(PREFIX)?.strip_suffix(".parquet")?.split_once('-')?.0.parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_nanos(nanos))
}
