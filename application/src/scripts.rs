//! SQL that may write: statements on behalf of callers, together or one by one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::Schema;
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ports::lake::{ScriptEngine, WriteError};
use gadwall_domain::project::Project;
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::{
    Examined, KnownTable, Script, ScriptError, ScriptFault, ScriptStatement, StatementKind, StatementResult, Touched,
};
use gadwall_domain::table::TableRef;
use tokio::time::Instant;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::{UseCaseError, about_table};
use crate::projection::Projection;
use crate::projects::Projects;
use crate::tables::Tables;
use crate::transfers::SqlFiles;
use crate::writes::Writes;

/// The use cases of SQL that may write.
pub struct Scripts {
    engine: Arc<dyn ScriptEngine>,
    access: Arc<Access>,
    tables: Arc<Tables>,
    projection: Arc<Projection>,
    projects: Arc<Projects>,
    writes: Arc<Writes>,
    files: Arc<SqlFiles>,
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
}

/// What a script was found to need.
struct Needs {
    scopes: BTreeSet<Scope>,
    tables: Vec<TableRef>,
    writes: bool,
}

impl Scripts {
    /// Runs scripts on this engine.
    pub fn new(
        engine: Arc<dyn ScriptEngine>,
        access: Arc<Access>,
        tables: Arc<Tables>,
        projection: Arc<Projection>,
        projects: Arc<Projects>,
        writes: Arc<Writes>,
        files: Arc<SqlFiles>,
    ) -> Self {
        Self { engine, access, tables, projection, projects, writes, files }
    }

    /// What a statement does, by its text alone.
    pub fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, UseCaseError> {
        Ok(self.engine.examine(sql, default_bucket)?)
    }

    /// Carries out statements as one snapshot: all, or none of them.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn together(
        &self,
        caller: &Caller,
        project: &ProjectId,
        script: Script,
    ) -> Result<ScriptOutcome, UseCaseError> {
        let needs = self.needs(&script)?;
        let project = self.open(caller, project, &needs).await?;
        if needs.writes
            && !script.dry_run
            && let Some(before) = self.writes.committed_before(caller, &project).await?
        {
            return Ok(ScriptOutcome { results: Vec::new(), snapshot: before.snapshot, failure: None, replayed: true });
        }
        let dry_run = script.dry_run;
        let output = self.execute(caller, &project, script, &needs).await?;
        if output.changed && !dry_run {
            self.projection.catch_up(&project, Some(output.snapshot)).await?;
            self.projects.refresh_size(&project).await?;
        }
        Ok(ScriptOutcome { results: output.results, snapshot: output.snapshot, failure: None, replayed: false })
    }

    /// Carries out statements one by one, each as a snapshot of its own, up to the first that fails.
    pub async fn one_by_one(
        &self,
        caller: &Caller,
        project: &ProjectId,
        script: Script,
    ) -> Result<ScriptOutcome, UseCaseError> {
        // All of them are allowed, or none is begun.
        let needs = self.needs(&script)?;
        self.open(caller, project, &needs).await?;
        let mut outcome =
            ScriptOutcome { results: Vec::new(), snapshot: SnapshotId::ZERO, failure: None, replayed: false };
        let deadline = Instant::now() + script.timeout;
        for (number, statement) in script.statements.iter().enumerate() {
            let timeout = deadline.saturating_duration_since(Instant::now());
            let alone = Script { statements: vec![statement.clone()], timeout, ..script.clone() };
            let done = if timeout.is_zero() {
                Err(QueryError::Timeout(script.timeout).into())
            } else {
                self.together(&of_statement(caller, number), project, alone).await
            };
            match done {
                Ok(done) if done.replayed => {
                    outcome.results.push(forgotten());
                    outcome.snapshot = done.snapshot;
                }
                Ok(done) => {
                    outcome.results.extend(done.results);
                    outcome.snapshot = done.snapshot;
                }
                Err(error) => {
                    outcome.failure = Some(numbered(number, error));
                    break;
                }
            }
        }
        Ok(outcome)
    }

    async fn open(&self, caller: &Caller, project: &ProjectId, needs: &Needs) -> Result<Project, UseCaseError> {
        let opened = self.access.open(caller, project, Scope::Read).await?;
        for scope in needs.scopes.iter().filter(|scope| **scope != Scope::Read) {
            self.access.open(caller, project, *scope).await?;
        }
        Ok(opened)
    }

    fn needs(&self, script: &Script) -> Result<Needs, UseCaseError> {
        let mut needs = Needs { scopes: BTreeSet::from([Scope::Read]), tables: Vec::new(), writes: false };
        for (number, ScriptStatement { sql, .. }) in script.statements.iter().enumerate() {
            let examined = self.engine.examine(sql, script.default_bucket.as_ref());
            let found = examined.map_err(|error| of_many(script, number, error.into()))?;
            let scope = match found.kind {
                StatementKind::Read | StatementKind::Temporary => Scope::Read,
                StatementKind::Rows | StatementKind::File => Scope::Write,
                StatementKind::Structure => Scope::Manage,
            };
            needs.writes |= matches!(found.kind, StatementKind::Rows | StatementKind::Structure);
            needs.scopes.insert(scope);
            needs.tables.extend(found.table);
        }
        needs.tables.sort();
        needs.tables.dedup();
        Ok(needs)
    }

    async fn execute(
        &self,
        caller: &Caller,
        project: &Project,
        script: Script,
        needs: &Needs,
    ) -> Result<gadwall_domain::script::ScriptOutput, UseCaseError> {
        let texts = script.statements.iter().map(|statement| statement.sql.as_str());
        let files = self.files.resolve(caller, project, texts, script.timeout).await?;
        let scope = ReadScope {
            lake: project.lake,
            only_bucket: caller.principal().and_then(Principal::only_bucket).cloned(),
            at: ReadAt::Head,
            files,
        };
        let many = script.statements.len() > 1;
        let tables = self.known(caller, project, needs).await?;
        let done = self.engine.execute(scope.clone(), script.clone(), tables, caller.origin()).await;
        let done = match done {
            // Somebody changed a table's shape since it was looked at: once more with what it is now.
            Err(error) if is_changed(&error) => {
                self.projection.ensure(project).await?;
                let tables = self.known(caller, project, needs).await?;
                self.engine.execute(scope, script, tables, caller.origin()).await
            }
            done => done,
        };
        done.map_err(|error| tell(&project.id, error, many))
    }

    /// The tables that are changed, as far as they are there.
    async fn known(&self, caller: &Caller, project: &Project, needs: &Needs) -> Result<Vec<KnownTable>, UseCaseError> {
        let mut known = Vec::new();
        let seen = |table: &&TableRef| caller.principal().is_some_and(|principal| principal.may_touch(&table.bucket));
        for table in needs.tables.iter().filter(seen) {
            match self.tables.require_at(project, table, ReadAt::Head).await {
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
