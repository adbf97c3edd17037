//! The writer of a lake: one at a time, in order, each write one durable snapshot.
//!
//! Writes queue up behind a bounded channel. What is costly and can be done beforehand (decoding, staging,
//! checking) is done before a write gets here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use duckdb::Connection;
use gadwall_domain::commit::{Change, CommitInfo, WriteOrigin, WriteRecord};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;
use tokio::sync::{mpsc, oneshot};

use crate::catalogs::Catalogs;
use crate::durable::{FileSync, sync_changed};
use crate::engine::Engine;
use crate::error::{fault, io_error, lake_error, message};
use crate::stage::{Staged, duplicates};
use crate::{sql, structure};

/// A writer that has nothing to do for so long goes away; the next write starts another.
const IDLE: Duration = Duration::from_mins(1);

/// A write that is ready to be committed.
pub(crate) enum Ready {
    CreateBucket { bucket: BucketName, description: Option<String> },
    DropBucket { bucket: BucketName, cascade: bool },
    CreateTable { table: TableRef, schema: TableSchema },
    DropTable { table: TableRef },
    Append { table: TableRef, schema: TableSchema, staged: Staged },
}

struct Job {
    write: Ready,
    origin: WriteOrigin,
    answer: oneshot::Sender<Result<Committed, WriteError>>,
}

/// The writers of all lakes.
pub(crate) struct Writers {
    shared: Arc<Shared>,
    queue: usize,
    open: Arc<Mutex<HashMap<LakeId, mpsc::Sender<Job>>>>,
}

pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) sync: Arc<dyn FileSync>,
}

impl Writers {
    pub(crate) fn new(shared: Arc<Shared>, queue: usize) -> Self {
        Self { shared, queue: queue.max(1), open: Arc::default() }
    }

    /// Queues a write and waits until it is durable or refused.
    pub(crate) async fn submit(
        &self,
        lake: LakeId,
        write: Ready,
        origin: WriteOrigin,
    ) -> Result<Committed, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(lake, Job { write, origin, answer })?;
        answered.await.unwrap_or_else(|_| Err(fault("the writer stopped before it answered").into()))
    }

    fn enqueue(&self, lake: LakeId, job: Job) -> Result<(), LakeError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = open.get(&lake) else {
            return self.start(&mut open, lake, job);
        };
        match queue.try_send(job) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(LakeError::Busy),
            Err(mpsc::error::TrySendError::Closed(job)) => self.start(&mut open, lake, job),
        }
    }

    fn start(&self, open: &mut HashMap<LakeId, mpsc::Sender<Job>>, lake: LakeId, job: Job) -> Result<(), LakeError> {
        let (queue, jobs) = mpsc::channel(self.queue);
        queue.try_send(job).map_err(|_| LakeError::Busy)?;
        open.insert(lake, queue);
        // Weak, so that the writers end with the lakes they belong to.
        tokio::spawn(work(Arc::clone(&self.shared), lake, jobs, Arc::downgrade(&self.open)));
        Ok(())
    }
}

async fn work(
    shared: Arc<Shared>,
    lake: LakeId,
    mut jobs: mpsc::Receiver<Job>,
    open: Weak<Mutex<HashMap<LakeId, mpsc::Sender<Job>>>>,
) {
    loop {
        match tokio::time::timeout(IDLE, jobs.recv()).await {
            Ok(Some(job)) => commit_one(&shared, lake, job).await,
            Ok(None) => return,
            Err(_) => {
                let Some(open) = open.upgrade() else { return };
                // Under the lock nobody can queue a job between the look and the removal.
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                if jobs.is_empty() {
                    open.remove(&lake);
                    return;
                }
            }
        }
    }
}

async fn commit_one(shared: &Arc<Shared>, lake: LakeId, job: Job) {
    if job.answer.is_closed() {
        return; // Its client went away before its turn: nothing was promised.
    }
    let Job { write, origin, answer } = job;
    let worker = Arc::clone(shared);
    let done = shared.engine.run_exclusive(move |connection| {
        let _lease = worker.catalogs.lease(connection, lake)?;
        Ok(Commit { shared: &worker, connection, lake }.run(&write, origin))
    });
    let result = done.await.unwrap_or_else(|error| Err(error.into()));
    // The client may be gone by now; the write stands all the same.
    let _ = answer.send(result);
}

/// One commit on one connection.
struct Commit<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    lake: LakeId,
}

impl Commit<'_> {
    fn run(&self, write: &Ready, origin: WriteOrigin) -> Result<Committed, WriteError> {
        if let Ready::Append { staged, .. } = write
            && staged.rows == 0
        {
            return Ok(Committed { snapshot: structure::head(self.connection, self.lake)?, rows: 0 });
        }
        let started = SystemTime::now();
        self.execute("BEGIN TRANSACTION")?;
        let applied = self.apply(write).and_then(|change| {
            self.say(origin, change)?;
            self.make_files_last(write, started)?;
            self.execute("COMMIT").map_err(WriteError::from)
        });
        if let Err(error) = applied {
            // A failed COMMIT has rolled back by itself; then this has nothing to do.
            if let Err(rollback) = self.connection.execute_batch("ROLLBACK") {
                tracing::debug!(error = %message(&rollback), "rollback after a failed write");
            }
            return Err(error);
        }
        let snapshot = self.committed_snapshot()?;
        // The catalog's log may be a new file; its name must last too.
        self.shared.sync.sync(&self.shared.catalogs.folder(self.lake)).map_err(io_error)?;
        let rows = if let Ready::Append { staged, .. } = write { staged.rows } else { 0 };
        Ok(Committed { snapshot, rows })
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

    fn apply(&self, write: &Ready) -> Result<Change, WriteError> {
        match write {
            Ready::CreateBucket { bucket, description } => self.create_bucket(bucket, description.clone()),
            Ready::DropBucket { bucket, cascade } => self.drop_bucket(bucket, *cascade),
            Ready::CreateTable { table, schema } => self.create_table(table, schema),
            Ready::DropTable { table } => self.drop_table(table),
            Ready::Append { table, schema, staged } => self.append(table, schema, staged),
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
        })
    }

    fn drop_table(&self, table: &TableRef) -> Result<Change, WriteError> {
        if self.stored_columns(table)?.is_none() {
            return Err(WriteError::NoTable);
        }
        self.execute(&format!("DROP TABLE {}", sql::table(self.lake, table)))?;
        Ok(Change::TableDropped { table: table.clone() })
    }

    fn append(&self, table: &TableRef, schema: &TableSchema, staged: &Staged) -> Result<Change, WriteError> {
        let stored = self.stored_columns(table)?.ok_or(WriteError::NoTable)?;
        if !same_shape(&stored, schema) {
            return Err(WriteError::TableChanged);
        }
        let target = sql::table(self.lake, table);
        self.refuse_known_keys(&target, schema, staged)?;
        let names = sql::columns(staged.columns.iter().map(|(name, _)| name));
        self.execute(&format!("INSERT INTO {target} ({names}) SELECT {} FROM {}", staged.values(), staged.relation()))?;
        Ok(Change::RowsAppended { table: table.clone(), rows: staged.rows })
    }

    /// A primary key holds because the writer is alone: what it finds absent stays absent until it commits.
    fn refuse_known_keys(&self, target: &str, schema: &TableSchema, staged: &Staged) -> Result<(), WriteError> {
        let key = schema.key_columns();
        if key.is_empty() {
            return Ok(());
        }
        let names = sql::columns(key);
        let known = format!("SELECT {names} FROM ({}) SEMI JOIN {target} USING ({names})", staged.key_values(key));
        duplicates(self.connection, &known, key)
    }

    fn stored_columns(&self, table: &TableRef) -> Result<Option<Vec<Column>>, LakeError> {
        let found = structure::tables(self.connection, self.lake, &table.bucket, Some(&table.table))?;
        Ok(found.into_iter().next().map(|table| table.columns))
    }

    /// Writes into the snapshot who made it and what changed.
    fn say(&self, origin: WriteOrigin, change: Change) -> Result<(), WriteError> {
        let author = origin.key_id.map_or_else(|| "admin".to_owned(), |id| format!("key:{id}"));
        let summary = format!("{} {}", change.event_type(), change.subject());
        let info = serde_json::to_string(&CommitInfo::new(vec![WriteRecord { origin, change }]))
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

    fn make_files_last(&self, write: &Ready, started: SystemTime) -> Result<(), WriteError> {
        let Ready::Append { table, .. } = write else { return Ok(()) };
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
