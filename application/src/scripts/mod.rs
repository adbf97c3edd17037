//! SQL that may write: statements on behalf of callers, together or one by one.
//!
//! Statements that come in one request are one entry among the queries: they wait for one turn, are seen and stopped
//! together, and are remembered as one.

mod room;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::Schema;
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{QueryId, SnapshotId};
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::lake::{LakeStore, ScriptEngine, WriteError};
use gadwall_domain::project::Project;
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::{
    Examined, Growth, KnownTable, Script, ScriptError, ScriptFault, ScriptOutput, ScriptStatement, StatementKind,
    StatementResult, Touched,
};
use gadwall_domain::table::TableRef;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::access::Access;
use crate::caller::Caller;
use crate::contracts::Held;
use crate::error::{UseCaseError, about_table};
use crate::lineage::Attempt;
use crate::projection::Projection;
use crate::projects::Projects;
use crate::queries::{RunningQueries, ScriptTurn};
use crate::quotas::Reservation;
use crate::sharing::{Reading, is_open, note_linked, reading};
use crate::tables::Tables;
use crate::transfers::SqlFiles;
use crate::writes::Writes;

/// The use cases of SQL that may write.
pub struct Scripts(Parts);

/// What they need.
pub struct Parts {
    /// Runs scripts.
    pub engine: Arc<dyn ScriptEngine>,
    /// Who may.
    pub access: Arc<Access>,
    /// The lakes, with what is linked.
    pub lakes: Arc<dyn LakeStore>,
    /// The tables that scripts change.
    pub tables: Arc<Tables>,
    /// The metadata's copy of what they change.
    pub projection: Arc<Projection>,
    /// The projects, with their sizes.
    pub projects: Arc<Projects>,
    /// What earlier attempts committed.
    pub writes: Arc<Writes>,
    /// The files that statements read.
    pub files: Arc<SqlFiles>,
    /// The queries, among which scripts run.
    pub running: Arc<RunningQueries>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripts")
    }
}

/// What statements gave.
#[derive(Debug)]
pub struct ScriptOutcome {
    /// One for each statement that was carried out, in order.
    pub results: Vec<StatementResult>,
    /// The snapshot that they made, or the newest if they changed nothing.
    pub snapshot: SnapshotId,
    /// What stopped the others, where statements are carried out one by one. What came before it stands.
    pub failure: Option<UseCaseError>,
    /// Whether an earlier attempt of the same request did it; its results are gone.
    pub replayed: bool,
    /// What they are known as among the queries; none where nothing had to be run.
    pub query_id: Option<QueryId>,
}

impl ScriptOutcome {
    fn new(snapshot: SnapshotId) -> Self {
        Self { results: Vec::new(), snapshot, failure: None, replayed: false, query_id: None }
    }
}

/// What a script was found to need.
struct Needs {
    scopes: BTreeSet<Scope>,
    tables: Vec<TableRef>,
    writes: bool,
    growths: Vec<(Growth, Option<TableRef>)>,
}

impl Scripts {
    /// Puts them together.
    pub fn new(parts: Parts) -> Self {
        Self(parts)
    }

    /// What a statement does, by its text alone.
    pub fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, UseCaseError> {
        Ok(self.0.engine.examine(sql, default_bucket)?)
    }

    /// Carries out statements as one snapshot: all, or none of them.
    #[tracing::instrument(skip_all, fields(project.id = %project, query.id = tracing::field::Empty))]
    pub async fn together(
        &self,
        caller: &Caller,
        project: &ProjectId,
        script: Script,
    ) -> Result<ScriptOutcome, UseCaseError> {
        let needs = self.needs(&script)?;
        let project = self.open(caller, project, &needs).await?;
        if let Some(before) = self.replay(caller, &project, &script, &needs).await? {
            return Ok(before);
        }
        let turn = self.turn(caller, &project, &script, &needs).await?;
        let query_id = Some(turn.id());
        let done = self.carry_out(&turn, caller, &project, script, &needs).await;
        turn.end(done.as_ref().err());
        Ok(ScriptOutcome { query_id, ..done? })
    }

    /// Carries out statements one by one, each as a snapshot of its own, up to the first that fails.
    #[tracing::instrument(skip_all, fields(project.id = %project, query.id = tracing::field::Empty))]
    pub async fn one_by_one(
        &self,
        caller: &Caller,
        project: &ProjectId,
        script: Script,
    ) -> Result<ScriptOutcome, UseCaseError> {
        // All of them are allowed, or none is begun.
        let needs = self.needs(&script)?;
        let project = self.open(caller, project, &needs).await?;
        let turn = self.turn(caller, &project, &script, &needs).await?;
        let mut outcome = ScriptOutcome { query_id: Some(turn.id()), ..ScriptOutcome::new(SnapshotId::ZERO) };
        let deadline = Instant::now() + script.timeout;
        for (number, statement) in script.statements.iter().enumerate() {
            let timeout = deadline.saturating_duration_since(Instant::now());
            let alone = Script { statements: vec![statement.clone()], timeout, ..script.clone() };
            let done = if timeout.is_zero() {
                Err(QueryError::Timeout(script.timeout).into())
            } else {
                self.alone(&turn, &of_statement(caller, number), &project, alone).await
            };
            match done {
                Ok(done) => {
                    outcome.results.extend(if done.replayed { vec![forgotten()] } else { done.results });
                    outcome.snapshot = done.snapshot;
                }
                Err(error) => {
                    outcome.failure = Some(numbered(number, error));
                    break;
                }
            }
        }
        turn.end(outcome.failure.as_ref());
        Ok(outcome)
    }

    /// One statement of several that stand by themselves.
    async fn alone(
        &self,
        turn: &ScriptTurn,
        caller: &Caller,
        project: &Project,
        script: Script,
    ) -> Result<ScriptOutcome, UseCaseError> {
        let needs = self.needs(&script)?;
        match self.replay(caller, project, &script, &needs).await? {
            Some(before) => Ok(before),
            None => self.carry_out(turn, caller, project, script, &needs).await,
        }
    }

    /// What an earlier attempt of the same request did.
    async fn replay(
        &self,
        caller: &Caller,
        project: &Project,
        script: &Script,
        needs: &Needs,
    ) -> Result<Option<ScriptOutcome>, UseCaseError> {
        if !needs.writes || script.dry_run {
            return Ok(None);
        }
        let before = self.0.writes.committed_before(caller, project).await?;
        Ok(before.map(|before| ScriptOutcome { replayed: true, ..ScriptOutcome::new(before.snapshot) }))
    }

    /// Waits until a script may run.
    async fn turn(
        &self,
        caller: &Caller,
        project: &Project,
        script: &Script,
        needs: &Needs,
    ) -> Result<ScriptTurn, UseCaseError> {
        let texts: Vec<&str> = script.statements.iter().map(|statement| statement.sql.as_str()).collect();
        let (text, running) = (texts.join(";\n"), &self.0.running);
        Ok(running.admit_script(caller, project, &text, needs.writes, script.timeout).await?)
    }

    async fn carry_out(
        &self,
        turn: &ScriptTurn,
        caller: &Caller,
        project: &Project,
        script: Script,
        needs: &Needs,
    ) -> Result<ScriptOutcome, UseCaseError> {
        let (dry_run, at) = (script.dry_run, script.at);
        let (output, room) = self.execute(turn, caller, project, script, needs).await?;
        turn.count(&output.results);
        if output.changed && !dry_run {
            self.0.projection.catch_up(project, Some(output.snapshot)).await?;
            self.0.projects.refresh_size(project).await?;
        }
        // It is in what was measured by now.
        drop(room);
        let snapshot = match at {
            ReadAt::Snapshot(snapshot) if !needs.writes => snapshot,
            _ => output.snapshot,
        };
        Ok(ScriptOutcome { results: output.results, ..ScriptOutcome::new(snapshot) })
    }

    async fn open(&self, caller: &Caller, project: &ProjectId, needs: &Needs) -> Result<Project, UseCaseError> {
        let opened = self.0.access.open(caller, project, Scope::Read).await?;
        for scope in needs.scopes.iter().filter(|scope| **scope != Scope::Read) {
            self.0.access.open(caller, project, *scope).await?;
        }
        Ok(opened)
    }

    fn needs(&self, script: &Script) -> Result<Needs, UseCaseError> {
        let mut needs =
            Needs { scopes: BTreeSet::from([Scope::Read]), tables: Vec::new(), writes: false, growths: Vec::new() };
        for (number, ScriptStatement { sql, .. }) in script.statements.iter().enumerate() {
            let examined = self.0.engine.examine(sql, script.default_bucket.as_ref());
            let found = examined.map_err(|error| of_many(script, number, error.into()))?;
            let scope = match found.kind {
                StatementKind::Read | StatementKind::Temporary => Scope::Read,
                StatementKind::Rows | StatementKind::File => Scope::Write,
                StatementKind::Structure => Scope::Manage,
            };
            needs.writes |= matches!(found.kind, StatementKind::Rows | StatementKind::Structure);
            needs.scopes.insert(scope);
            if found.growth != Growth::None {
                needs.growths.push((found.growth, found.table.clone()));
            }
            needs.tables.extend(found.table);
        }
        needs.tables.sort();
        needs.tables.dedup();
        Ok(needs)
    }

    async fn execute(
        &self,
        turn: &ScriptTurn,
        caller: &Caller,
        project: &Project,
        script: Script,
        needs: &Needs,
    ) -> Result<(ScriptOutput, Vec<Reservation>), UseCaseError> {
        let texts = script.statements.iter().map(|statement| statement.sql.as_str());
        let files = self.0.files.resolve(caller, project, texts.clone(), script.timeout).await?;
        let default_bucket = script.default_bucket.as_ref();
        let Reading { links, sources } =
            reading(&self.0.access, &*self.0.lakes, caller, project, texts, default_bucket).await?;
        let scope = ReadScope {
            lake: project.lake,
            only_bucket: caller.principal().and_then(Principal::only_bucket).cloned(),
            at: if needs.writes { ReadAt::Head } else { script.at },
            files,
            links,
        };
        if let Some(linked) = needs.tables.iter().find(|table| scope.link(&table.bucket).is_some()) {
            return Err(UseCaseError::LinkedBucket { bucket: linked.bucket.clone() });
        }
        turn.read_from(sources.clone());
        if !is_open(&self.0.access, &project.id, &sources).await? {
            return Err(QueryError::Cancelled.into());
        }
        let many = script.statements.len() > 1;
        let tables = self.known(caller, project, needs).await?;
        // In the script's turn: of two that write, the second one counts what the first one brought.
        let room = if script.dry_run { Vec::new() } else { self.room(project, needs, &tables).await? };
        if turn.is_stopped() {
            return Err(QueryError::Cancelled.into());
        }
        let held: Vec<Held> =
            tables.iter().filter_map(|known| Held::new(&known.name, known.schema.contract())).collect();
        let run = |tables| {
            let (scope, script) = (scope.clone(), script.clone());
            let engine = tracing::info_span!("script.engine", db.system.name = "other_sql");
            self.0.engine.execute(scope, script, tables, caller.origin(), turn.stop_signal()).instrument(engine)
        };
        let done = match run(tables).await {
            // Somebody changed a table's shape since it was looked at: once more with what it is now.
            Err(error) if is_changed(&error) => {
                self.0.projection.ensure(project).await?;
                let tables = self.known(caller, project, needs).await?;
                run(tables).await
            }
            done => done,
        };
        if let Err(ScriptError { fault: ScriptFault::Write(fault), .. }) = &done {
            let held = held.iter().find(|held| Some(held.table()) == fault.table.as_ref());
            self.0.writes.refused(&project.id, held, &caller.request_id, &fault.source).await;
        }
        match done {
            Ok(output) => {
                if !script.dry_run {
                    let read: Vec<_> = output.results.iter().flat_map(|result| result.touched.reads.clone()).collect();
                    note_linked(&self.0.access, &project.id, &scope.links, &sources, &read);
                }
                Ok((output, room))
            }
            Err(error) => {
                let error = tell(&project.id, error, many);
                if script.dry_run {
                    return Err(error);
                }
                let texts: Vec<&str> = script.statements.iter().map(|statement| &*statement.sql).collect();
                let (origin, text) = (caller.origin(), texts.join(";\n"));
                let attempt = Attempt {
                    project: &project.id,
                    origin: &origin,
                    operation: "sql",
                    tables: &needs.tables,
                    sql: Some(&text),
                };
                Err(self.0.writes.failed(&attempt, error).await)
            }
        }
    }

    /// The tables that are changed, as far as they are there.
    async fn known(&self, caller: &Caller, project: &Project, needs: &Needs) -> Result<Vec<KnownTable>, UseCaseError> {
        let mut known = Vec::new();
        let seen = |table: &&TableRef| caller.principal().is_some_and(|principal| principal.may_touch(&table.bucket));
        for table in needs.tables.iter().filter(seen) {
            match self.0.tables.require_at(project, table, ReadAt::Head).await {
                Ok(found) => known.push(KnownTable { name: found.name, schema: found.schema }),
                Err(UseCaseError::NoTable { .. } | UseCaseError::NoBucket { .. } | UseCaseError::IsView(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }
}

/// The caller with an idempotency key of this statement alone: each is a commit of its own. The separator can't be in a
/// header, so that no client's key is the same.
fn of_statement(caller: &Caller, number: usize) -> Caller {
    let mut caller = caller.clone();
    if let Some(request) = &mut caller.idempotency {
        request.key = format!("{}\n{number}", request.key);
    }
    caller
}

/// The result of a statement that an earlier attempt carried out.
fn forgotten() -> StatementResult {
    let (schema, touched) = (Arc::new(Schema::empty()), Touched::default());
    StatementResult { schema, batches: Vec::new(), elapsed: Duration::ZERO, touched }
}

fn is_changed(error: &ScriptError) -> bool {
    matches!(&error.fault, ScriptFault::Write(write) if matches!(write.source, WriteError::TableChanged))
}

fn of_many(script: &Script, number: usize, error: UseCaseError) -> UseCaseError {
    if script.statements.len() > 1 { numbered(number, error) } else { error }
}

fn numbered(number: usize, error: UseCaseError) -> UseCaseError {
    match error {
        numbered @ UseCaseError::Statement { .. } => numbered,
        source => UseCaseError::Statement { number: number + 1, source: Box::new(source) },
    }
}

pub(crate) fn tell(project: &ProjectId, error: ScriptError, many: bool) -> UseCaseError {
    let told = match error.fault {
        ScriptFault::Query(error) => error.into(),
        ScriptFault::MultipleDdl(table) => UseCaseError::MultipleDdl(*table),
        ScriptFault::Write(fault) => {
            let named = fault.table.or_else(|| {
                // What is no table is a bucket.
                let table = TableName::parse("t").ok()?;
                Some(TableRef { bucket: BucketName::parse(&fault.about).ok()?, table })
            });
            match named {
                Some(table) => about_table(project, &table)(fault.source),
                None => UseCaseError::Query(QueryError::Sql(fault.source.to_string())),
            }
        }
    };
    match error.statement {
        Some(number) if many => numbered(number, told),
        _ => told,
    }
}

#[cfg(test)]
mod tests;
