//! Runs SQL that may write, through the lake's writer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::commit::{RowCounts, WriteOrigin};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{Committed, ScriptEngine, ViewEngine, WriteError};
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::{
    Copy, CopyOption, CopyWay, Examined, Growth, KnownTable, Script, ScriptError, ScriptFault, ScriptOutput,
    ScriptStatement, StatementKind, StopSignal, WriteFault,
};
use gadwall_domain::table::TableRef;
use gadwall_domain::view::ViewDefinition;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::commit::{Commit, ViewChange};
use crate::gate;
use crate::gate::write::{self, Name, Statement};
use crate::interrupt::Stopper;
use crate::query::lake_failed;
use crate::store::EmbeddedLakes;
use crate::writer::Ready;

#[async_trait]
impl ScriptEngine for EmbeddedLakes {
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        examine(sql, default_bucket)
    }

    fn file_paths(&self, sql: &str) -> Vec<String> {
        file_paths(sql)
    }

    fn copy(&self, sql: &str) -> Result<Copy, QueryError> {
        copy(sql)
    }

    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError> {
        let lake = scope.lake;
        let statements = read(&script)?;
        let mut kinds = statements.iter().map(|statement| about(statement).0);
        let writes = kinds.any(|kind| matches!(kind, StatementKind::Rows | StatementKind::Structure));
        let timeout = script.timeout;
        let work = move |commit: &Commit<'_>, stopper: &Stopper| {
            commit.script(&scope, &script, statements, tables, &origin, stopper)
        };
        self.carry_out(lake, writes, (timeout, stop), work).await
    }
}

pub(crate) fn examine(sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
    let statement = write::read(sql)?;
    let (kind, verb, name) = about(&statement);
    let main = BucketName::main();
    let table = name.and_then(|name| place(name, default_bucket.unwrap_or(&main)));
    let growth = growth(&statement);
    Ok(Examined { kind, verb, table, growth })
}

pub(crate) fn file_paths(sql: &str) -> Vec<String> {
    gate::paths(sql)
}

pub(crate) fn copy(sql: &str) -> Result<Copy, QueryError> {
    let given = |options: Vec<write::CopyOption>| {
        let option = |write::CopyOption { name, value, list }| CopyOption { name, value, list };
        options.into_iter().map(option).collect()
    };
    Ok(match write::read(sql)? {
        Statement::CopyTo { query, path, options } => {
            Copy { path, way: CopyWay::To { query: query.0 }, options: given(options) }
        }
        Statement::CopyFrom { name, columns, path, options } => {
            let unknown = || QueryError::UnknownTable { name: name.table.clone(), candidates: Vec::new() };
            let table = place(&name, &BucketName::main()).ok_or_else(unknown)?;
            let way = CopyWay::From { table, some_columns: !columns.is_empty() };
            Copy { path, way, options: given(options) }
        }
        _ => return Err(QueryError::Sql("the statement is no COPY".to_owned())),
    })
}

/// A script that could not even begin.
pub(crate) fn failed(error: QueryError) -> ScriptError {
    ScriptError { statement: None, fault: error.into() }
}

#[async_trait]
impl ViewEngine for EmbeddedLakes {
    async fn define_view(
        &self,
        scope: ReadScope,
        definition: ViewDefinition,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        self.change_view(scope, ViewChange::Define(definition), timeout, origin).await
    }

    async fn drop_view(
        &self,
        scope: ReadScope,
        view: TableRef,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        self.change_view(scope, ViewChange::Drop(view), timeout, origin).await
    }
}

impl EmbeddedLakes {
    async fn change_view(
        &self,
        scope: ReadScope,
        change: ViewChange,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        let lake = scope.lake;
        let work =
            move |commit: &Commit<'_>, stopper: &Stopper| commit.change_view(&scope, change, timeout, &origin, stopper);
        Ok(self.carry_out(lake, true, (timeout, Box::pin(std::future::pending())), work).await?.snapshot)
    }

    /// Has a script run: in the writer's turn if it writes.
    async fn carry_out(
        &self,
        lake: LakeId,
        writes: bool,
        (timeout, stop): (Duration, StopSignal),
        run: impl FnOnce(&Commit<'_>, &Stopper) -> Result<ScriptOutput, ScriptError> + Send + 'static,
    ) -> Result<ScriptOutput, ScriptError> {
        let stopper = Arc::new(Stopper::default());
        let (alive, gone) = oneshot::channel();
        // A script waits in the writer's queue on its own time.
        tokio::spawn(Arc::clone(&stopper).watch(Instant::now() + timeout, gone, stop));
        let (tell, told) = oneshot::channel();
        let running = Arc::clone(&stopper);
        let work = move |commit: &Commit<'_>| {
            let begun = running.begin(commit.interrupter());
            let done = if begun { run(commit, &running) } else { Err(stopped(&running, timeout)) };
            running.end();
            let snapshot = done.as_ref().map_or(SnapshotId::ZERO, |output| output.snapshot);
            let _ = tell.send(done);
            Ok(Committed { snapshot, rows: RowCounts::default() })
        };
        let work_done = async {
            if writes { self.submit(lake, Ready::Alone(Box::new(work))).await } else { self.beside(lake, work).await }
        };
        let submitted = tokio::select! {
            submitted = work_done => submitted,
            // Its turn didn't come in time; without anybody who waits for its answer it has none any more.
            () = stopper.missed() => return Err(stopped(&stopper, timeout)),
        };
        stopper.end();
        drop(alive);
        if let Err(error) = submitted {
            let fault = match error {
                WriteError::Lake(error) => lake_failed(error).into(),
                source => {
                    ScriptFault::Write(Box::new(WriteFault { about: "the script".to_owned(), table: None, source }))
                }
            };
            return Err(ScriptError { statement: None, fault });
        }
        told.await.unwrap_or_else(|_| {
            let fault = QueryError::Engine("the script ended before it answered".to_owned()).into();
            Err(ScriptError { statement: None, fault })
        })
    }
}

fn read(script: &Script) -> Result<Vec<Statement>, ScriptError> {
    let read = |(number, statement): (usize, &ScriptStatement)| {
        let told = |error| ScriptError { statement: Some(number), fault: QueryError::from(error).into() };
        write::read(&statement.sql).map_err(told)
    };
    script.statements.iter().enumerate().map(read).collect()
}

/// What is told of a script that was stopped before it began.
fn stopped(stopper: &Stopper, timeout: Duration) -> ScriptError {
    let error = if stopper.is_timed_out() { QueryError::Timeout(timeout) } else { QueryError::Cancelled };
    ScriptError { statement: None, fault: error.into() }
}

fn place(name: &Name, default_bucket: &BucketName) -> Option<TableRef> {
    let bucket = match &name.schema {
        Some(schema) => BucketName::parse(schema).ok()?,
        None => default_bucket.clone(),
    };
    Some(TableRef { bucket, table: TableName::parse(&name.table).ok()? })
}

/// What there is more of after a statement.
fn growth(statement: &Statement) -> Growth {
    match statement {
        Statement::Insert(_) | Statement::Update(_) | Statement::Merge(_) | Statement::CopyFrom { .. } => Growth::Rows,
        Statement::CreateTable(create) if !create.temporary => {
            Growth::Table { rows: create.query.is_some() && !create.no_data }
        }
        Statement::CreateBucket { name, .. } => Growth::Bucket(name.clone()),
        _ => Growth::None,
    }
}

/// What a statement does, its first words, and the table it changes that may be there.
fn about(statement: &Statement) -> (StatementKind, &'static str, Option<&Name>) {
    use StatementKind::{File, Read, Rows, Structure, Temporary};
    match statement {
        Statement::Read => (Read, "SELECT", None),
        Statement::Explain { .. } => (Read, "EXPLAIN", None),
        Statement::Insert(insert) => (Rows, "INSERT", Some(&insert.name)),
        Statement::Update(update) => (Rows, "UPDATE", Some(&update.name)),
        Statement::Delete(delete) => (Rows, "DELETE", Some(&delete.name)),
        Statement::Merge(merge) => (Rows, "MERGE", Some(&merge.name)),
        Statement::Truncate { name } => (Rows, "TRUNCATE", Some(name)),
        Statement::CreateTable(create) if create.temporary => (Temporary, "CREATE TEMP TABLE", None),
        Statement::CreateTable(create) => (Structure, "CREATE TABLE", Some(&create.name)),
        Statement::CreateView(create) => (Structure, "CREATE VIEW", Some(&create.name)),
        Statement::CreateBucket { .. } => (Structure, "CREATE SCHEMA", None),
        Statement::DropTable { name, .. } => (Structure, "DROP TABLE", Some(name)),
        Statement::DropView { name, .. } => (Structure, "DROP VIEW", Some(name)),
        Statement::DropBucket { .. } => (Structure, "DROP SCHEMA", None),
        Statement::Alter { name, .. } => (Structure, "ALTER TABLE", Some(name)),
        Statement::CommentOnTable { name, .. } | Statement::CommentOnColumn { name, .. } => {
            (Structure, "COMMENT", Some(name))
        }
        Statement::CopyTo { .. } => (File, "COPY TO", None),
        Statement::CopyFrom { name, .. } => (File, "COPY FROM", Some(name)),
    }
}
