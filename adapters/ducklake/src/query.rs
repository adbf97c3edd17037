//! Runs a user's statement: parsed by the engine, checked by the gate, rendered from what was checked.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::SchemaRef;
use duckdb::Connection;
use duckdb::types::Value as Bound;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::{NamedFiles, Parameters, Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::query_figures::{Figures, FiguresLater};
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::catalogs::{Catalogs, Lease};
use crate::delivery::{Ended, Output, Sender, Unsent};
use crate::engine::Engine;
use crate::error::{EngineFault, files_error};
use crate::explain::explained;
use crate::gate::{NamedValue, Names, ResolvedTable};
use crate::known::{Known, Standing};
use crate::names::{VisibleTables, linked};
use crate::readers::Reads;
use crate::reading::Reading;
use crate::root::{Interrupter, Lent};
use crate::settled::{Kept, Version};
use crate::{gate, links, planning, priority, profiling, sql, structure};

/// Batches that wait for a slow reader; with 2,048 rows each this bounds what a result holds in memory.
const BATCHES_AHEAD: usize = 4;
/// A batch of fewer rows is mostly the last one.
const FULL: usize = 2_048;
/// An interrupt that comes before the statement runs has no effect, so it is repeated.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);
/// Bytes up to which a question's subject leaves it prepared: it holds its last answer, which is several times longer.
const KEPT_UP_TO: usize = 16 * 1024;

/// What is run on the engine.
pub(crate) enum Work {
    /// A user's statement.
    Checked { scope: ReadScope, query: Query },
    /// A part of a table.
    Rows { table: TableRef, selection: Box<Selection>, at: ReadAt },
    /// What happened to a table's rows.
    Changes { table: TableRef, from: SnapshotId, to: SnapshotId, limit: Option<u64> },
    /// What a table's columns hold, as JSON.
    Profile { table: TableRef, at: ReadAt },
}

impl Work {
    /// The version that it reads.
    fn at(&self) -> ReadAt {
        match self {
            Self::Rows { at, .. } | Self::Profile { at, .. } => *at,
            Self::Changes { to, .. } => ReadAt::Snapshot(*to),
            Self::Checked { scope, .. } => scope.at,
        }
    }

    /// Whether the engine may look at it only when it runs. The newest rows are settled by being looked at, before it is seen
    /// whether anything was committed meanwhile; and columns of one name would get others.
    fn may_run_late(&self) -> bool {
        matches!(self, Self::Rows { selection, at: ReadAt::Snapshot(_), .. } if !selection.repeats_columns())
    }
}

type Started = Result<Head, QueryError>;

/// What is known of a result once its first rows are there.
struct Head {
    schema: SchemaRef,
    snapshot: SnapshotId,
    deterministic: bool,
    linked: Vec<TableRef>,
    /// Whether all its rows are there.
    whole: bool,
}

/// Starts work and answers once its first rows are there.
pub(crate) async fn start(
    engine: &Arc<Engine>,
    catalogs: &Arc<Catalogs>,
    lake: LakeId,
    work: Work,
    timeout: Duration,
) -> Result<QueryOutput, QueryError> {
    let deadline = Instant::now() + timeout;
    let entered = tokio::time::timeout_at(deadline, engine.queries.enter()).await;
    let place = entered.ok().flatten().ok_or(QueryError::Busy)?;

    let (started_tx, started) = oneshot::channel();
    let (batches_tx, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let (ended_tx, ended) = oneshot::channel();
    let (handle_tx, handle) = oneshot::channel();
    let (alive, reader) = oneshot::channel();
    let timed_out = Arc::new(AtomicBool::new(false));
    let figures = FiguresLater::default();

    let running = Running {
        engine: Arc::clone(engine),
        catalogs: Arc::clone(catalogs),
        lake,
        timeout,
        deadline,
        timed_out: Arc::clone(&timed_out),
        files: match &work {
            Work::Checked { scope, .. } => scope.files.clone(),
            _ => NamedFiles::default(),
        },
        figures: figures.clone(),
    };
    let broken = engine.broken();
    let (runtime, span) = (Handle::current(), tracing::Span::current());
    let job = tokio::task::spawn_blocking(move || {
        let _place = place;
        priority::give_way();
        let sender = Sender { runtime, batches: batches_tx, broken };
        span.in_scope(|| running.run(&work, handle_tx, started_tx, &sender, ended_tx));
    });
    tokio::spawn(watch(handle, reader, deadline, timed_out, job));

    let Head { schema, snapshot, deterministic, linked, whole } =
        started.await.unwrap_or_else(|_| Err(QueryError::Engine("the query stopped before it started".to_owned())))?;
    if whole {
        batches.close();
    }
    let batches = Box::pin(Output { batches, ended: (!whole).then_some(ended), _alive: alive });
    Ok(QueryOutput { rows: RowStream { schema, batches }, snapshot, deterministic, linked, figures })
}

/// Interrupts the statement when its deadline passes or its reader goes away.
pub(crate) async fn watch(
    handle: oneshot::Receiver<Arc<Interrupter>>,
    reader: oneshot::Receiver<()>,
    deadline: Instant,
    timed_out: Arc<AtomicBool>,
    mut job: tokio::task::JoinHandle<()>,
) {
    let Ok(handle) = handle.await else { return };
    let watched = Watched(handle);
    tokio::select! {
        () = tokio::time::sleep_until(deadline) => timed_out.store(true, Ordering::Release),
        _ = reader => {}
        _ = &mut job => return,
    }
    loop {
        watched.0.interrupt();
        if tokio::time::timeout(INTERRUPT_EVERY, &mut job).await.is_ok() {
            return;
        }
    }
}

/// A statement that isn't watched any more is stopped: its watcher goes early only with the runtime, which waits for the
/// statement's thread. One that has ended takes no notice.
struct Watched(Arc<Interrupter>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

struct Running {
    engine: Arc<Engine>,
    catalogs: Arc<Catalogs>,
    lake: LakeId,
    timeout: Duration,
    deadline: Instant,
    timed_out: Arc<AtomicBool>,
    /// What a user's statement may read.
    files: NamedFiles,
    /// Told once all rows were handed over.
    figures: FiguresLater,
}

/// What runs, and where.
#[derive(Clone, Copy)]
struct Run<'a> {
    connection: &'a Lent,
    known: &'a Known,
    standing: Standing,
    begun: Instant,
    work: &'a Work,
}

/// A statement's rows, counted.
struct Rows<'a> {
    of: &'a duckdb::Statement<'a>,
    seen: u64,
}

impl Rows<'_> {
    fn next(&mut self) -> Result<Option<RecordBatch>, duckdb::Error> {
        while let Some(rows) = self.of.step()? {
            if !rows.is_empty() {
                self.seen += rows.len() as u64;
                return Ok(Some(RecordBatch::from(&rows)));
            }
        }
        Ok(None)
    }
}

impl Running {
    fn run(
        &self,
        work: &Work,
        handle: oneshot::Sender<Arc<Interrupter>>,
        started: oneshot::Sender<Started>,
        batches: &Sender,
        ended: oneshot::Sender<Ended>,
    ) {
        let mut started = Some(started);
        let mut done = self.try_run(work, handle, &mut started, batches);
        let mut linked = false;
        if let Work::Checked { scope, .. } = work {
            done = done.map_err(|error| links::told(error, scope, &self.engine.scrub));
            linked = !scope.links.is_empty();
        }
        if let Err(
            QueryError::Engine(reason)
            | QueryError::LakeUnavailable(reason)
            | QueryError::LakeAway(reason)
            | QueryError::StorageFull(reason),
        ) = &done
        {
            tracing::error!(reason, "the query engine failed");
        }
        // With others' lakes in it, nobody knows which one it was.
        if !linked && let Err(QueryError::LakeUnavailable(reason)) = &done {
            self.catalogs.doubt(self.lake, &LakeError::Damaged(Box::new(EngineFault(reason.clone()))));
        }
        // Nobody waits any more if sending fails: the reader went away.
        match (started.take(), done) {
            (Some(started), Err(error)) => drop(started.send(Err(error))),
            (_, done) => drop(ended.send(done)),
        }
    }

    fn try_run(
        &self,
        work: &Work,
        handle: oneshot::Sender<Arc<Interrupter>>,
        started: &mut Option<oneshot::Sender<Started>>,
        batches: &Sender,
    ) -> Result<(), QueryError> {
        let begun = Instant::now();
        let catalog = tracing::info_span!("catalog").entered();
        // In this order, so that the connection goes before its lease.
        let (lease, connection, standing) = self.connect(work, handle)?;
        let _linked = match work {
            Work::Checked { scope, .. } => links::lease(&connection, &self.catalogs, scope)?,
            _ => Vec::new(),
        };
        drop(catalog);
        let reads = Reads { lake: self.lake, turn: standing.turn, since: begun.into_std() };
        let run = Run { connection: &connection, known: &lease.known, standing, begun, work };
        let stays_open = self.run_on(&run, started, batches)? && self.may_stay_open(work);
        if stays_open {
            connection.keep(reads, || lease.known.stands_still(standing));
        }
        Ok(())
    }

    /// A connection for this work, maybe in a transaction that reads the lake as it stands, and the lake.
    fn connect(
        &self,
        work: &Work,
        handle: oneshot::Sender<Arc<Interrupter>>,
    ) -> Result<(Lease, Lent, Standing), QueryError> {
        let unwatched = |_| QueryError::Cancelled;
        if self.may_stay_open(work)
            && let Some((connection, lease, standing)) = self.catalogs.reader(&self.engine, self.lake)
        {
            handle.send(connection.interrupter()).map_err(unwatched)?;
            return Ok((lease, connection, standing));
        }
        let connection = self.engine.connect().map_err(|error| self.failed(&error))?;
        // Without a watcher, which goes only with the runtime, nobody would stop it.
        handle.send(connection.interrupter()).map_err(unwatched)?;
        let lease = self.catalogs.lease(&connection, self.lake).map_err(lake_failed)?;
        let standing = lease.known.standing();
        Ok((lease, connection, standing))
    }

    /// Whether a transaction of this work can be another's, too. What the lake shows is the same in it for as long as the lake stands
    /// still; of other lakes and files, nobody would know.
    fn may_stay_open(&self, work: &Work) -> bool {
        let alone = match work {
            Work::Checked { scope, query } => scope.is_of_lake_alone() && gate::explain(&query.sql).is_none(),
            Work::Rows { .. } | Work::Changes { .. } | Work::Profile { .. } => true,
        };
        alone && self.catalogs.are_own()
    }

    /// Runs it in a transaction; answers whether that may go on: it read all rows, and they were the lake's alone.
    fn run_on(
        &self,
        run: &Run<'_>,
        started: &mut Option<oneshot::Sender<Started>>,
        batches: &Sender,
    ) -> Result<bool, QueryError> {
        let Run { connection, known, standing, begun, work } = *run;
        let own = self.catalogs.are_own();
        let assumed = standing.at.filter(|at| own && [ReadAt::Head, ReadAt::Snapshot(*at)].contains(&work.at()));
        let is_open = connection.goes_on();
        let mut ready = if is_open { Ok(()) } else { self.begin(connection) }
            .and_then(|()| self.prepare(connection, known, work, assumed.ok_or(standing)));
        // Who says the time, or rolls dice, does so anew each time. And a lake is pinned only by a look at it.
        let is_late = is_open && ready.as_ref().is_ok_and(|(_, runs, _)| !runs.deterministic);
        if is_late || (assumed.is_some() && !known.stands_still(standing)) {
            drop(ready);
            connection.execute_batch("ROLLBACK").map_err(|error| self.failed(&error))?;
            let standing = known.standing();
            self.begin(connection)?;
            ready = self.prepare(connection, known, work, Err(standing));
        }
        let (snapshot, runs, mut prepared) = ready?;
        // Not before: what was asked to prepare it is none of its own, and plans would look otherwise.
        let profiled = self.engine.profiling && matches!(work, Work::Checked { .. });
        if profiled && !connection.is_profiled() {
            profiling::begin(connection).map_err(|error| self.failed(&error))?;
            connection.set_profiled();
        }
        let values = values(&prepared, &runs.values)?;
        let linked = match work {
            Work::Checked { scope, .. } => linked(scope, &runs.tables),
            _ => Vec::new(),
        };
        let of = (snapshot, runs.deterministic, linked);
        let read_all = Cell::new(false);
        let took = |rows| {
            read_all.set(true);
            let profile = profiled.then(|| profiling::measured(connection)).flatten();
            self.figures.tell(Figures { rows, execution: begun.elapsed(), profile });
        };
        self.stream(&mut prepared, values, of, started, batches, &took)?;
        Ok(read_all.get() && runs.deterministic)
    }

    /// One transaction, so that the snapshot named is the snapshot read.
    fn begin(&self, connection: &Connection) -> Result<(), QueryError> {
        connection.execute_batch("BEGIN TRANSACTION").map_err(|error| self.failed(&error))
    }

    /// What runs, and the snapshot that it reads: the assumed one, if nothing was committed until this ends. Without one it is asked for, in
    /// a transaction that began after the lake stood there.
    fn prepare<'c>(
        &self,
        connection: &'c Lent,
        known: &Known,
        work: &Work,
        assumed: Result<SnapshotId, Standing>,
    ) -> Result<(SnapshotId, Statement, duckdb::Statement<'c>), QueryError> {
        let catalog = tracing::info_span!("catalog").entered();
        let snapshot = match assumed {
            Ok(assumed) => assumed,
            Err(standing) => self.snapshot(connection, known, standing, work.at())?,
        };
        drop(catalog);
        let version = known.settled.version(snapshot);
        let reading = Reading { connection, lake: self.lake, version };
        let ours = |text| Statement::bare(text, true, Vec::new());
        let runs = match work {
            Work::Rows { table, selection, at } => ours(reading.rows(table, selection, *at)?),
            Work::Changes { table, from, to, limit } => ours(reading.changes(table, *from, *to, *limit)?),
            Work::Profile { table, at } => ours(reading.profile(table, *at)?),
            Work::Checked { scope, query } => {
                let gate = tracing::info_span!("gate");
                gate.in_scope(|| self.checked(connection, scope, query, version))?
            }
        };
        let runs = runs.planned_once(work.may_run_late());
        let prepared = connection.prepare(&runs.text).map_err(|error| self.failed(&error))?;
        Ok((snapshot, runs, prepared))
    }

    /// Hands the rows over, and tells how many they were unless the reader went away.
    fn stream(
        &self,
        prepared: &mut duckdb::Statement<'_>,
        values: Vec<Bound>,
        (snapshot, deterministic, linked): (SnapshotId, bool, Vec<TableRef>),
        started: &mut Option<oneshot::Sender<Started>>,
        batches: &Sender,
        took: &dyn Fn(u64),
    ) -> Result<(), QueryError> {
        // An interrupt from before the statement runs is lost, and nobody may be left to repeat it.
        if started.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return Err(QueryError::Cancelled);
        }
        // The crate's own iterator panics on an error in the middle; stepping by hand does not.
        drop(prepared.stream_arrow(duckdb::params_from_iter(values)).map_err(|error| self.failed(&error))?);
        let schema = prepared.schema();
        let mut rows = Rows { of: prepared, seen: 0 };
        // Each word to the reader wakes a thread, and a small result ends with its first rows: they go together.
        let mut first = Vec::new();
        let mut whole = false;
        while !whole
            && first.len() < BATCHES_AHEAD
            && first.last().is_none_or(|last: &RecordBatch| last.num_rows() < FULL)
        {
            match rows.next().map_err(|error| self.failed(&error))? {
                Some(batch) => first.push(batch),
                None => whole = true,
            }
        }
        for batch in first {
            batches.send(batch, self.deadline).map_err(|unsent| self.unsent(&unsent))?;
        }
        if whole {
            took(rows.seen);
        }
        let Some(waiting) = started.take() else { return Ok(()) };
        let gone = waiting.send(Ok(Head { schema, snapshot, deterministic, linked, whole })).is_err();
        if gone || whole {
            return Ok(());
        }
        while let Some(batch) = rows.next().map_err(|error| self.failed(&error))? {
            match batches.send(batch, self.deadline) {
                Ok(()) => {}
                Err(Unsent::Gone) => return Ok(()),
                Err(unsent) => return Err(self.unsent(&unsent)),
            }
        }
        took(rows.seen);
        Ok(())
    }

    fn unsent(&self, why: &Unsent) -> QueryError {
        match why {
            Unsent::Late => QueryError::Timeout(self.timeout),
            Unsent::Gone | Unsent::Broken => QueryError::Cancelled,
        }
    }

    /// The snapshot that is read: the newest, or the one asked for if it is kept.
    fn snapshot(
        &self,
        connection: &Connection,
        known: &Known,
        standing: Standing,
        at: ReadAt,
    ) -> Result<SnapshotId, QueryError> {
        match at {
            ReadAt::Head => {
                let head = structure::pinned(connection, self.lake).map_err(lake_failed)?;
                known.stood_at(standing, head);
                known.saw(head);
                Ok(head)
            }
            ReadAt::Snapshot(snapshot) => {
                let kept = structure::is_kept(connection, self.lake, snapshot).map_err(lake_failed)?;
                if kept { Ok(snapshot) } else { Err(QueryError::NoSnapshot(snapshot)) }
            }
        }
    }

    /// What runs for a user's statement.
    fn checked(
        &self,
        connection: &Lent,
        scope: &ReadScope,
        query: &Query,
        version: Version<'_>,
    ) -> Result<Statement, QueryError> {
        let failed = |error: &duckdb::Error| self.failed(error);
        gate::admit(&query.sql)?;
        match gate::explain(&query.sql) {
            Some(explain) => explained(connection, scope, query, explain, version, &self.engine.scrub, &failed),
            None => checked(connection, scope, query, version, &failed),
        }
    }

    fn failed(&self, error: &duckdb::Error) -> QueryError {
        let limit = self.timed_out.load(Ordering::Acquire).then_some(self.timeout);
        files_error(error, &self.engine.scrub, &sql::catalog(self.lake), limit, &self.files)
    }
}

/// A statement that was checked.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) deterministic: bool,
    /// Every table it reads.
    pub(crate) tables: Vec<ResolvedTable>,
    /// How much it makes the engine bind.
    pub(crate) cost: u64,
    /// How often views may be bound for it, at most.
    pub(crate) views: u64,
    /// Whether it has parameters.
    pub(crate) parameters: bool,
    /// What to bind to them.
    pub(crate) values: Vec<NamedValue>,
}

impl Statement {
    /// A statement that isn't to become a view.
    pub(crate) fn bare(text: String, deterministic: bool, tables: Vec<ResolvedTable>) -> Self {
        Self { text, deterministic, tables, cost: 0, views: 0, parameters: false, values: Vec::new() }
    }

    /// The same, with a value missing that the engine waits for, unless it waits for one anyway.
    fn planned_once(mut self, late: bool) -> Self {
        if self.parameters {
            return self;
        }
        if late {
            let text = std::mem::replace(&mut self.text, planning::LATER.to_owned());
            self.values.push((planning::MISSING.to_owned(), Value::String(text)));
        } else if let Some(waiting) = planning::waiting(&self.text) {
            self.text = waiting;
            self.values.push((planning::MISSING.to_owned(), Value::Null));
        }
        self
    }
}

/// What was checked is what runs: the engine parses the text, the gate walks and rewrites the tree, the engine
/// prints a statement from that tree, and the gate sees that it reads as the same tree.
///
/// What was settled before for the version that is read isn't looked at again.
pub(crate) fn checked(
    connection: &Lent,
    scope: &ReadScope,
    query: &Query,
    version: Version<'_>,
    failed: &dyn Fn(&duckdb::Error) -> QueryError,
) -> Result<Statement, QueryError> {
    let kept = version.statement(scope, query);
    let again = match &kept {
        Some(kept) => gate::plain(&kept.parameters, &query.parameters)?.map(|values| (kept, values)),
        None => None,
    };
    let checked = if let Some((kept, values)) = again {
        Statement { values, ..kept.statement.clone() }
    } else {
        let names = VisibleTables::new(connection, scope, query.default_bucket.as_ref()).settled(version);
        let asked = connection.aside().map_err(|error| failed(&error))?;
        let (checked, parameters, _) = check(&asked, &names, &query.sql, Some(&query.parameters), failed)?;
        if gate::plain(&parameters, &query.parameters)?.is_some() {
            let statement = || Statement { values: Vec::new(), ..checked.clone() };
            version.keep_statement(scope, query, || Kept { statement: statement(), parameters });
        }
        checked
    };
    gate::refuse_surplus(&query.sql, &query.parameters)?;
    Ok(checked)
}

/// The same with other names, for a statement or a part of one.
pub(crate) fn checked_with(
    connection: &Connection,
    names: &dyn Names,
    sql: &str,
    given: Option<&Parameters>,
    failed: &dyn Fn(&duckdb::Error) -> QueryError,
) -> Result<Statement, QueryError> {
    check(connection, names, sql, given, failed).map(|(statement, ..)| statement)
}

/// What a checked statement reads, for those who follow its columns.
pub(crate) struct Read {
    /// Its tree, with full names.
    pub(crate) tree: String,
    /// Whether it reads files.
    pub(crate) files: bool,
}

/// The same, with what it reads.
pub(crate) fn checked_read(
    connection: &Connection,
    names: &dyn Names,
    sql: &str,
    given: Option<&Parameters>,
    failed: &dyn Fn(&duckdb::Error) -> QueryError,
) -> Result<(Statement, Read), QueryError> {
    check(connection, names, sql, given, failed).map(|(statement, _, read)| (statement, read))
}

/// The same, with the parameters that it names.
fn check(
    connection: &Connection,
    names: &dyn Names,
    sql: &str,
    given: Option<&Parameters>,
    failed: &dyn Fn(&duckdb::Error) -> QueryError,
) -> Result<(Statement, Vec<String>, Read), QueryError> {
    gate::admit(sql)?;
    let tree = parse(connection, sql).map_err(|error| failed(&error))?;
    let checked = gate::check(sql, &tree, names, given)?;
    let (statement, again) = print(connection, &checked.statement_json).map_err(|error| failed(&error))?;
    gate::confirm(&statement, &again, &checked)?;
    let ready = Statement {
        text: statement,
        deterministic: checked.deterministic,
        tables: checked.tables,
        cost: checked.cost,
        views: checked.views,
        parameters: !checked.parameters.is_empty(),
        values: checked.values,
    };
    let read = Read { tree: checked.statement_json, files: !checked.files.is_empty() };
    Ok((ready, checked.parameters, read))
}

/// A statement's tree, as JSON.
pub(crate) fn parse(connection: &Connection, statement: &str) -> Result<String, duckdb::Error> {
    let tree = "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)";
    ask(connection, tree, statement, |row| row.get(0))
}

/// The statement of a tree, and how that is read: one question to the engine, which take longer than their answers.
fn print(connection: &Connection, tree: &str) -> Result<(String, String), duckdb::Error> {
    let text = "SELECT statement, CAST(json_serialize_sql(statement) AS VARCHAR)
                  FROM (SELECT json_deserialize_sql(CAST(? AS JSON)) AS statement)";
    ask(connection, text, tree, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Asks a question that stays prepared on its connection.
fn ask<T>(
    connection: &Connection,
    question: &str,
    about: &str,
    read: impl FnOnce(&duckdb::Row<'_>) -> Result<T, duckdb::Error>,
) -> Result<T, duckdb::Error> {
    let mut prepared = connection.prepare_cached(question)?;
    let answer = prepared.query_row([about], read);
    if about.len() > KEPT_UP_TO {
        prepared.discard();
    }
    answer
}

pub(crate) fn lake_failed(error: LakeError) -> QueryError {
    match error {
        LakeError::Busy | LakeError::Contended => QueryError::Busy,
        LakeError::StorageFull(source) => QueryError::StorageFull(source.to_string()),
        LakeError::Fault(source) => QueryError::Engine(source.to_string()),
        LakeError::Unavailable(source) => QueryError::LakeAway(source.to_string()),
        LakeError::Damaged(source) | LakeError::ReadOnly(source) => QueryError::LakeUnavailable(source.to_string()),
        LakeError::NoLake => QueryError::LakeUnavailable("the project's lake is missing".to_owned()),
    }
}

/// The values to bind, in the statement's order.
pub(crate) fn values(prepared: &duckdb::Statement<'_>, given: &[NamedValue]) -> Result<Vec<Bound>, QueryError> {
    let given: HashMap<String, &Value> = given.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let value = |index: usize| {
        let name = prepared.parameter_name(index).unwrap_or_else(|_| index.to_string());
        let value = given.get(&name.to_ascii_lowercase());
        bound(value.ok_or_else(|| QueryError::Sql(format!("no value was given for the parameter ${name}")))?)
    };
    (1..=prepared.parameter_count()).map(value).collect()
}

fn bound(value: &Value) -> Result<Bound, QueryError> {
    Ok(match value {
        Value::Null => Bound::Null,
        Value::Bool(truth) => Bound::Boolean(*truth),
        Value::String(text) => Bound::Text(text.clone()),
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                i32::try_from(whole).map_or(Bound::BigInt(whole), Bound::Int)
            } else if let Some(whole) = number.as_u64() {
                Bound::UBigInt(whole)
            } else {
                Bound::Double(number.as_f64().unwrap_or(f64::NAN))
            }
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(QueryError::Engine("a list or an object was left to bind".to_owned()));
        }
    })
}
