//! Runs SQL that may write, through the lake's writer.

use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::commit::{RowCounts, WriteOrigin};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{Committed, ScriptEngine, WriteError};
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::{
    Examined, KnownTable, Script, ScriptError, ScriptFault, ScriptOutput, StatementKind, WriteFault,
};
use gadwall_domain::table::TableRef;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::gate::write::{self, Name, Statement};
use crate::interrupt::Stopper;
use crate::query::lake_failed;
use crate::store::EmbeddedLakes;
use crate::writer::Ready;

#[async_trait]
impl ScriptEngine for EmbeddedLakes {
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        let statement = write::read(sql)?;
        let (kind, verb, name) = about(&statement);
        let main = BucketName::main();
        let table = name.and_then(|name| place(name, default_bucket.unwrap_or(&main)));
        Ok(Examined { kind, verb, table })
    }

    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
    ) -> Result<ScriptOutput, ScriptError> {
        let (lake, timeout) = (scope.lake, script.timeout);
        let writes = script.statements.iter().any(|statement| {
            let kind = write::read(&statement.sql).map(|statement| about(&statement).0);
            matches!(kind, Ok(StatementKind::Rows | StatementKind::Structure))
        });
        let stopper = Arc::new(Stopper::default());
        let (alive, gone) = oneshot::channel();
        // A script waits in the writer's queue on its own time.
        tokio::spawn(Arc::clone(&stopper).watch(Instant::now() + script.timeout, gone));
        let (tell, told) = oneshot::channel();
        let running = Arc::clone(&stopper);
        let work = move |commit: &crate::commit::Commit<'_>| {
            let begun = running.begin(commit.interrupt_handle());
            let done = if begun {
                commit.script(&scope, &script, tables, &origin, &running)
            } else {
                Err(too_late(script.timeout))
            };
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
            () = stopper.missed() => return Err(too_late(timeout)),
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

fn too_late(timeout: std::time::Duration) -> ScriptError {
    ScriptError { statement: None, fault: QueryError::Timeout(timeout).into() }
}

fn place(name: &Name, default_bucket: &BucketName) -> Option<TableRef> {
    let bucket = match &name.schema {
        Some(schema) => BucketName::parse(schema).ok()?,
        None => default_bucket.clone(),
    };
    Some(TableRef { bucket, table: TableName::parse(&name.table).ok()? })
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
