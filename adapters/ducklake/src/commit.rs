//! A commit: what waits, in one DuckLake transaction, as one durable snapshot that says what it holds.

use std::collections::HashMap;
use std::time::SystemTime;

use duckdb::Connection;
use gadwall_domain::commit::{Change, CommitInfo, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::layout::Layout;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;

use crate::durable::sync_changed;
use crate::error::{fault, io_error, lake_error, message};
use crate::stage::{Staged, duplicates};
use crate::writer::{Shared, Structure};
use crate::{sql, structure};

/// One commit on one connection.
pub(crate) struct Commit<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) connection: &'a Connection,
    pub(crate) lake: LakeId,
}

/// Rows that are ready for their table.
pub(crate) struct Append {
    pub(crate) table: TableRef,
    pub(crate) schema: TableSchema,
    pub(crate) staged: Staged,
    pub(crate) origin: WriteOrigin,
}

impl Commit<'_> {
    /// Commits a change that isn't rows.
    pub(crate) fn change(&self, write: &Structure, origin: WriteOrigin) -> Result<Committed, WriteError> {
        let snapshot = self.transaction(|| {
            let change = self.apply(write)?;
            self.say(vec![WriteRecord { origin, change }])
        })?;
        Ok(Committed { snapshot, rows: RowCounts::default() })
    }

    /// Commits appends: all in one snapshot where they don't get in each other's way, else one by one, so that each
    /// caller hears of its own rows only.
    pub(crate) fn appends(&self, appends: &[Append]) -> Vec<Result<Committed, WriteError>> {
        let filled: Vec<&Append> = appends.iter().filter(|append| append.staged.rows > 0).collect();
        let together = if filled.len() > 1 { self.together(&filled) } else { Err(WriteError::NoTable) };
        let one = |append: &Append| match (&together, append.staged.rows) {
            (_, 0) => {
                Ok(Committed { snapshot: structure::head(self.connection, self.lake)?, rows: RowCounts::default() })
            }
            (Ok(snapshot), rows) => Ok(Committed { snapshot: *snapshot, rows: inserted(rows) }),
            (Err(_), rows) => Ok(Committed { snapshot: self.together(&[append])?, rows: inserted(rows) }),
        };
        appends.iter().map(one).collect()
    }

    /// Appends in one transaction; fails as a whole.
    fn together(&self, appends: &[&Append]) -> Result<SnapshotId, WriteError> {
        let mut tables: Vec<(&TableRef, Vec<&Append>)> = Vec::new();
        for append in appends {
            match tables.iter_mut().find(|(table, _)| **table == append.table) {
                Some((_, same)) => same.push(append),
                None => tables.push((&append.table, vec![append])),
            }
        }
        let started = SystemTime::now();
        self.transaction(|| {
            tables.iter().try_for_each(|(table, appends)| self.insert(table, appends))?;
            let record = |append: &&Append| WriteRecord {
                origin: append.origin.clone(),
                change: Change::RowsAppended { table: append.table.clone(), rows: append.staged.rows },
            };
            self.say(appends.iter().map(record).collect())?;
            tables.iter().try_for_each(|(table, _)| self.make_files_last(table, started))
        })
    }

    /// Runs work in a transaction and makes it durable. Nothing of it stays when it fails.
    fn transaction(&self, work: impl FnOnce() -> Result<(), WriteError>) -> Result<SnapshotId, WriteError> {
        self.execute("BEGIN TRANSACTION")?;
        if let Err(error) = work().and_then(|()| Ok(self.execute("COMMIT")?)) {
            // A failed COMMIT has rolled back by itself; then this has nothing to do.
            if let Err(rollback) = self.connection.execute_batch("ROLLBACK") {
                tracing::debug!(error = %message(&rollback), "rollback after a failed write");
            }
            return Err(error);
        }
        let snapshot = self.committed_snapshot()?;
        // The catalog's log may be a new file; its name must last too.
        self.shared.sync.sync(&self.shared.catalogs.folder(self.lake)).map_err(io_error)?;
        Ok(snapshot)
    }

    fn execute(&self, statement: &str) -> Result<(), LakeError> {
        self.connection.execute_batch(statement).map_err(|error| lake_error(&error))
    }

    fn committed_snapshot(&self) -> Result<SnapshotId, LakeError> {
        let statement =
            format!("SELECT id FROM ducklake_last_committed_snapshot({})", sql::text(&sql::catalog(self.lake)));
        let id: i64 =
            self.connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
        SnapshotId::new(id).map_err(|error| fault(error.to_string()))
    }

    fn apply(&self, write: &Structure) -> Result<Change, WriteError> {
        match write {
            Structure::CreateBucket { bucket, description } => self.create_bucket(bucket, description.clone()),
            Structure::DropBucket { bucket, cascade } => self.drop_bucket(bucket, *cascade),
            Structure::CreateTable { table, schema } => self.create_table(table, schema),
            Structure::DropTable { table } => self.drop_table(table),
        }
    }

    fn schema_name(&self, bucket: &str) -> String {
        format!("{}.{}", sql::catalog(self.lake), sql::ident(bucket))
    }

    fn create_bucket(&self, bucket: &BucketName, description: Option<String>) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, bucket)?.is_some() {
            return Err(WriteError::BucketExists);
        }
        self.execute(&format!("CREATE SCHEMA {}", self.schema_name(bucket.as_str())))?;
        Ok(Change::BucketCreated { bucket: bucket.clone(), description })
    }

    fn drop_bucket(&self, bucket: &BucketName, cascade: bool) -> Result<Change, WriteError> {
        let Some(stored) = structure::bucket(self.connection, self.lake, bucket)? else {
            return Err(WriteError::NoBucket);
        };
        let tables = structure::tables(self.connection, self.lake, bucket, None)?;
        if bucket.is_main() && tables.is_empty() {
            return Err(WriteError::NoBucket);
        }
        if !tables.is_empty() && !cascade {
            return Err(WriteError::BucketNotEmpty);
        }
        for table in &tables {
            self.execute(&format!("DROP TABLE {}", sql::table(self.lake, &table.name)))?;
        }
        // `main` is part of every lake; without tables it just isn't listed.
        if !bucket.is_main() {
            self.execute(&format!("DROP SCHEMA {}", self.schema_name(&stored)))?;
        }
        Ok(Change::BucketDropped { bucket: bucket.clone() })
    }

    fn create_table(&self, table: &TableRef, schema: &TableSchema) -> Result<Change, WriteError> {
        if structure::bucket(self.connection, self.lake, &table.bucket)?.is_none() {
            return Err(WriteError::NoBucket);
        }
        if self.stored_columns(table)?.is_some() {
            return Err(WriteError::TableExists);
        }
        let definitions: Vec<String> = schema.columns().iter().map(definition).collect();
        let statement = format!("CREATE TABLE {} ({})", sql::table(self.lake, table), definitions.join(", "));
        self.execute(&statement)?;
        Ok(Change::TableCreated {
            table: table.clone(),
            columns: schema.columns().to_vec(),
            primary_key: schema.key_columns().to_vec(),
            layout: Layout::default(),
        })
    }

    fn drop_table(&self, table: &TableRef) -> Result<Change, WriteError> {
        if self.stored_columns(table)?.is_none() {
            return Err(WriteError::NoTable);
        }
        self.execute(&format!("DROP TABLE {}", sql::table(self.lake, table)))?;
        Ok(Change::TableDropped { table: table.clone() })
    }

    /// Inserts appends of one table: DuckLake writes a file for each statement, so rows with the same columns go into
    /// one.
    fn insert(&self, table: &TableRef, appends: &[&Append]) -> Result<(), WriteError> {
        let stored = self.stored_columns(table)?.ok_or(WriteError::NoTable)?;
        if !appends.iter().all(|append| same_shape(&stored, &append.schema)) {
            return Err(WriteError::TableChanged);
        }
        let target = sql::table(self.lake, table);
        self.refuse_known_keys(&target, appends)?;
        let mut selects: HashMap<String, Vec<String>> = HashMap::new();
        for append in appends {
            let names = sql::columns(append.staged.columns.iter().map(|(name, _)| name));
            let select = format!("SELECT {} FROM {}", append.staged.values(), append.staged.relation());
            selects.entry(names).or_default().push(select);
        }
        for (names, selects) in selects {
            self.execute(&format!("INSERT INTO {target} ({names}) {}", selects.join(" UNION ALL ")))?;
        }
        Ok(())
    }

    /// A primary key holds because the writer is alone: what it finds absent stays absent until it commits.
    fn refuse_known_keys(&self, target: &str, appends: &[&Append]) -> Result<(), WriteError> {
        let Some(key) = appends.first().map(|append| append.schema.key_columns()).filter(|key| !key.is_empty()) else {
            return Ok(());
        };
        let names = sql::columns(key);
        let given: Vec<String> = appends.iter().map(|append| append.staged.key_values(key)).collect();
        let given = given.join(" UNION ALL ");
        let known = format!("SELECT {names} FROM ({given}) SEMI JOIN {target} USING ({names})");
        duplicates(self.connection, &known, key)?;
        if appends.len() > 1 {
            // Within one request it was looked for when its rows were staged.
            let twice = format!("SELECT {names} FROM ({given}) GROUP BY ALL HAVING count(*) > 1");
            duplicates(self.connection, &twice, key)?;
        }
        Ok(())
    }

    fn stored_columns(&self, table: &TableRef) -> Result<Option<Vec<Column>>, LakeError> {
        structure::columns(self.connection, self.lake, table)
    }

    /// Writes into the snapshot who made it and what changed.
    fn say(&self, writes: Vec<WriteRecord>) -> Result<(), WriteError> {
        let [first, ..] = writes.as_slice() else { return Ok(()) };
        let author = first.origin.key_id.map_or_else(|| "admin".to_owned(), |id| format!("key:{id}"));
        let more = if writes.len() > 1 { format!(" and {} more", writes.len() - 1) } else { String::new() };
        let summary = format!("{} {}{more}", first.change.event_type(), first.change.subject());
        let info = serde_json::to_string(&CommitInfo::new(writes))
            .map_err(|error| fault(format!("the commit's document can't be written: {error}")))?;
        let statement = format!(
            "CALL ducklake_set_commit_message({}, {}, {}, extra_info => {})",
            sql::text(&sql::catalog(self.lake)),
            sql::text(&author),
            sql::text(&summary),
            sql::text(&info)
        );
        Ok(self.execute(&statement)?)
    }

    fn make_files_last(&self, table: &TableRef, started: SystemTime) -> Result<(), WriteError> {
        let data = self.shared.catalogs.data_folder(self.lake);
        let Some(folder) = structure::table_folder(self.connection, self.lake, table)? else {
            return Err(fault("the table's folder is unknown").into());
        };
        let sync = &*self.shared.sync;
        sync_changed(&data.join(&folder), started, sync).map_err(io_error)?;
        // The table's and the bucket's folder may be new themselves.
        let parents = folder.ancestors().skip(1).map(|parent| data.join(parent));
        parents
            .filter(|parent| parent.is_dir())
            .try_for_each(|parent| sync.sync(&parent))
            .map_err(|error| io_error(error).into())
    }
}

fn inserted(rows: u64) -> RowCounts {
    RowCounts { inserted: rows, ..RowCounts::default() }
}

fn definition(column: &Column) -> String {
    let mut text = format!("{} {}", sql::ident(column.name.as_str()), column.data_type.without_lengths());
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        text.push_str(" DEFAULT ");
        text.push_str(&sql::text(default.as_str()));
    }
    text
}

fn same_shape(stored: &[Column], schema: &TableSchema) -> bool {
    stored.len() == schema.columns().len()
        && stored.iter().zip(schema.columns()).all(|(stored, known)| {
            stored.name == known.name
                && stored.data_type == known.data_type.without_lengths()
                && stored.nullable == known.nullable
        })
}
