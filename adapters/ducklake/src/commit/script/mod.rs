//! SQL that writes, in the writer's turn: statement by statement, all in one transaction.
//!
//! What a statement reads is taken out of it as a query, which the gate for reads checks as any other; around it stands
//! a head of our own. An `UPDATE` becomes a query for the rows' numbers and new values, put aside in a temporary table,
//! and a change of those rows. So no text of a user writes, and keys and lengths are looked at before anything is.

mod contracts;
mod merge;
mod names;
mod origins;
mod read;
mod rows;
mod tables;
mod views;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use gadwall_domain::commit::{Change, WriteOrigin, WriteRecord};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::lineage::{MAX_ORIGINS, MAX_SQL, Origins};
use gadwall_domain::ports::lake::{LakeError, WriteError};
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::script::{
    self, KnownTable, Script, ScriptError, ScriptFault, ScriptOutput, ScriptStatement, StatementResult, Touched,
    WriteFault,
};
use gadwall_domain::table::TableRef;
use gadwall_domain::view::ViewDefinition;

use super::Commit;
use crate::error::{fault, files_error};
use crate::gate::write::Statement;
use crate::gate::{NamedValue, refuse_surplus};
use crate::interrupt::Stopper;
use crate::query::lake_failed;
use crate::{links, sql, structure};

use names::Overlay;
use origins::Trail;

type Done<T> = Result<T, ScriptFault>;

/// A script's run.
struct Run<'a> {
    commit: &'a Commit<'a>,
    scope: &'a ReadScope,
    script: &'a Script,
    stopper: &'a Stopper,
    /// What the script has made, dropped and changed so far.
    overlay: RefCell<Overlay>,
    /// What it changed, and what it made that of.
    changes: RefCell<Vec<Made>>,
    /// What the statement that runs touches.
    touched: RefCell<Touched>,
    temporary: AtomicU64,
    /// Which columns it made of which so far.
    trail: RefCell<Trail>,
}

/// A change, and what it was made of.
struct Made {
    change: Change,
    reads: BTreeSet<TableRef>,
    origins: Origins,
    /// The statement that made it of what it read.
    sql: Option<String>,
}

/// What happens to a view.
pub(crate) enum ViewChange {
    Define(ViewDefinition),
    Drop(TableRef),
}

/// How a transaction ended that was not committed on purpose.
enum End {
    Tried(ScriptOutput),
    Failed(ScriptError),
}

impl Commit<'_> {
    /// Runs a script as one transaction. Its statements were read before.
    pub(crate) fn script(
        &self,
        scope: &ReadScope,
        script: &Script,
        statements: Vec<Statement>,
        tables: Vec<KnownTable>,
        origin: &WriteOrigin,
        stopper: &Stopper,
    ) -> Result<ScriptOutput, ScriptError> {
        self.scripted(scope, script, tables, origin, stopper, |run| run.all(statements))
    }

    /// Makes a view, or drops one, as a transaction of its own.
    pub(crate) fn change_view(
        &self,
        scope: &ReadScope,
        change: ViewChange,
        timeout: Duration,
        origin: &WriteOrigin,
        stopper: &Stopper,
    ) -> Result<ScriptOutput, ScriptError> {
        let bucket = match &change {
            ViewChange::Define(definition) => definition.name.bucket.clone(),
            ViewChange::Drop(view) => view.bucket.clone(),
        };
        let script = Script {
            statements: Vec::new(),
            default_bucket: Some(bucket),
            timeout,
            dry_run: false,
            at: ReadAt::Head,
            max_rows: 0,
        };
        self.scripted(scope, &script, Vec::new(), origin, stopper, |run| {
            let done = match change {
                ViewChange::Define(definition) => run.define(definition, &[]),
                ViewChange::Drop(view) => run.drop_view(&view),
            };
            done.map_err(|fault| ScriptError { statement: None, fault: run.tell(fault) })?;
            run.attribute(0);
            Ok(Vec::new())
        })
    }

    fn scripted(
        &self,
        scope: &ReadScope,
        script: &Script,
        tables: Vec<KnownTable>,
        origin: &WriteOrigin,
        stopper: &Stopper,
        work: impl FnOnce(&Run<'_>) -> Result<Vec<StatementResult>, ScriptError>,
    ) -> Result<ScriptOutput, ScriptError> {
        let catalogs = &self.shared.catalogs;
        let leased = links::lease(self.connection, catalogs, scope);
        let _linked = leased.map_err(|error| ScriptError { statement: None, fault: error.into() })?;
        let started = SystemTime::now();
        let known: HashMap<TableRef, TableSchema> =
            tables.into_iter().map(|table| (table.name, table.schema)).collect();
        let held = contracts::held(&known);
        let run = Run {
            commit: self,
            scope,
            script,
            stopper,
            overlay: RefCell::new(Overlay::new(known)),
            changes: RefCell::default(),
            touched: RefCell::default(),
            temporary: AtomicU64::new(0),
            trail: RefCell::default(),
        };
        let mut end = None;
        let mut before = SnapshotId::ZERO;
        let committed = self.transaction_of_rows(|| match work(&run) {
            Err(error) => {
                stopper.close();
                end = Some(End::Failed(error));
                Ok(None)
            }
            Ok(results) => {
                let (made, read): (Vec<_>, Vec<_>) = run
                    .changes
                    .take()
                    .into_iter()
                    .map(|made| (made.change, (made.reads, made.origins, made.sql)))
                    .unzip();
                let changed = !made.is_empty();
                let mut breaches = match run.hold(&made, &held) {
                    Ok(breaches) => breaches,
                    Err(error) => {
                        stopper.close();
                        end = Some(End::Failed(error));
                        return Ok(None);
                    }
                };
                if script.dry_run || !changed {
                    stopper.close();
                    let snapshot = structure::head(self.connection, self.lake)?;
                    end = Some(End::Tried(ScriptOutput { results, snapshot, changed }));
                    return Ok(None);
                }
                let newest = structure::head(self.connection, self.lake)?;
                self.before.set(Some(newest));
                before = newest;
                let mut room = MAX_ORIGINS;
                let record = |(number, (change, (reads, origins, sql)))| {
                    let breaches = breaches.remove(&number).unwrap_or_default();
                    let origins = Origins::bounded(origins, room);
                    room -= origins.edges();
                    WriteRecord { reads, origins, sql, breaches, ..WriteRecord::new(origin.clone(), change) }
                };
                self.say(made.into_iter().zip(read).enumerate().map(record).collect())?;
                self.make_all_last(started)?;
                // From here on an interruption would leave open whether the commit stands.
                if !stopper.begin_commit() {
                    end = Some(End::Failed(run.stopped()));
                    return Ok(None);
                }
                // What only reads, or is only tried, leaves the tables' shapes as they are known.
                self.known.forget_shapes();
                Ok(Some(results))
            }
        });
        match (committed, end) {
            (Ok(Some((results, snapshot))), _) => Ok(ScriptOutput { results, snapshot, changed: snapshot != before }),
            (_, Some(End::Tried(output))) => Ok(output),
            (_, Some(End::Failed(error))) => Err(error),
            // What fails after a stop, between two statements, was interrupted.
            (Err(_), None) if stopper.is_stopped() => Err(run.stopped()),
            (Err(error), None) => Err(failed(error)),
            (Ok(None), None) => Err(failed(fault("the script ended without an answer").into())),
        }
    }
}

fn failed(error: WriteError) -> ScriptError {
    ScriptError { statement: None, fault: write_fault("the script", None, error) }
}

fn write_fault(about: &str, table: Option<&TableRef>, error: WriteError) -> ScriptFault {
    match error {
        WriteError::Lake(error) => lake_fault(error),
        source => ScriptFault::Write(Box::new(WriteFault { about: about.to_owned(), table: table.cloned(), source })),
    }
}

fn lake_fault(error: LakeError) -> ScriptFault {
    match error {
        error @ LakeError::StorageFull(_) => {
            ScriptFault::Write(Box::new(WriteFault { about: "the lake".to_owned(), table: None, source: error.into() }))
        }
        error => lake_failed(error).into(),
    }
}

impl Run<'_> {
    fn all(&self, statements: Vec<Statement>) -> Result<Vec<StatementResult>, ScriptError> {
        let mut results = Vec::with_capacity(statements.len());
        for (number, (given, read)) in self.script.statements.iter().zip(statements).enumerate() {
            let done = if self.stopper.is_stopped() { Err(self.stopped().fault) } else { self.one(given, read) };
            let told = |fault| ScriptError { statement: Some(number), fault };
            results.push(done.map_err(|fault| told(self.tell(fault)))?);
        }
        Ok(results)
    }

    fn one(&self, statement: &ScriptStatement, read: Statement) -> Done<StatementResult> {
        let started = Instant::now();
        let made_before = self.changes.borrow().len();
        let parameters = &statement.parameters;
        refuse_surplus(&statement.sql, parameters).map_err(QueryError::from)?;
        let done = match read {
            Statement::Read => self.select(&statement.sql, parameters)?,
            Statement::Insert(insert) => counted(self.insert(&insert, parameters)?)?,
            Statement::Update(update) => counted(self.update(&update, parameters)?)?,
            Statement::Delete(delete) => counted(self.delete(&delete, parameters)?)?,
            Statement::Merge(merge) => counted(self.merge(&merge, parameters)?)?,
            Statement::Truncate { name } => counted(self.truncate(&name)?)?,
            Statement::CreateTable(create) => match self.create_table(&create, parameters)? {
                Some(rows) => counted(rows)?,
                None => nothing(),
            },
            other => {
                self.structure(other)?;
                nothing()
            }
        };
        let (schema, batches) = done;
        let touched = self.touched.take();
        for made in &mut self.changes.borrow_mut()[made_before..] {
            made.reads.extend(touched.reads.iter().cloned());
            // What reads nothing is data, which has no place there.
            made.sql = (!made.reads.is_empty()).then(|| beginning(&statement.sql));
        }
        self.attribute(made_before);
        Ok(StatementResult { schema, batches, elapsed: started.elapsed(), touched })
    }

    fn change(&self, change: Change) {
        let name = match &change {
            Change::ViewCreated { view, .. } | Change::ViewDropped { view } => Some(view),
            other => other.table(),
        };
        self.touched.borrow_mut().writes.extend(name.cloned());
        self.changes.borrow_mut().push(Made { change, reads: BTreeSet::new(), origins: Origins::default(), sql: None });
    }

    /// The words for an error of the engine.
    fn engine(&self, error: &duckdb::Error) -> ScriptFault {
        let limit = self.stopper.is_timed_out().then_some(self.script.timeout);
        let scrub = &self.commit.shared.engine.scrub;
        let told = files_error(error, scrub, &sql::catalog(self.scope.lake), limit, &self.scope.files);
        links::told(told, self.scope, scrub).into()
    }

    /// What the engine stopped at is told as what it was stopped for.
    fn tell(&self, fault: ScriptFault) -> ScriptFault {
        if self.stopper.is_stopped() { self.stopped().fault } else { fault }
    }

    fn stopped(&self) -> ScriptError {
        let error =
            if self.stopper.is_timed_out() { QueryError::Timeout(self.script.timeout) } else { QueryError::Cancelled };
        ScriptError { statement: None, fault: error.into() }
    }

    fn execute(&self, statement: &str) -> Done<()> {
        self.commit.connection.execute_batch(statement).map_err(|error| self.engine(&error))
    }

    /// Runs a statement that changes rows; answers how many.
    fn rows_of(&self, statement: &str) -> Done<u64> {
        self.rows_with(statement, &[])
    }

    /// The same around a query that takes values.
    fn rows_with(&self, statement: &str, values: &[NamedValue]) -> Done<u64> {
        let connection = self.commit.connection;
        let mut prepared = connection.prepare(statement).map_err(|error| self.engine(&error))?;
        let values = crate::query::values(&prepared, values)?;
        let changed = prepared.execute(duckdb::params_from_iter(values)).map_err(|error| self.engine(&error))?;
        Ok(changed as u64)
    }

    fn count(&self, statement: &str) -> Done<u64> {
        let read = self.commit.connection.query_row(statement, [], |row| row.get::<_, i64>(0));
        Ok(read.map_err(|error| self.engine(&error))?.unsigned_abs())
    }

    fn next_name(&self) -> String {
        format!("__gadwall_script_{}", self.temporary.fetch_add(1, Ordering::Relaxed))
    }
}

/// As much of a statement as a commit tells.
fn beginning(sql: &str) -> String {
    sql[..sql.floor_char_boundary(MAX_SQL)].to_owned()
}

type Rows = (Arc<Schema>, Vec<RecordBatch>);

fn counted(rows: u64) -> Done<Rows> {
    let batch = script::counted(rows).map_err(|error| QueryError::Engine(error.to_string()))?;
    Ok((batch.schema(), vec![batch]))
}

fn nothing() -> Rows {
    (Arc::new(Schema::empty()), Vec::new())
}
