//! The engine of SQL that writes, behind the same breaker as queries.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{LakeError, ScriptEngine, WriteError};
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::{Copy, Examined, KnownTable, Script, ScriptError, ScriptFault, ScriptOutput, StopSignal};

use super::{GuardedEngine, Meaning};
use crate::query_statistics::End;

/// Runs scripts on another engine, unless queries or scripts failed there too often.
pub struct GuardedScripts {
    engine: Arc<dyn ScriptEngine>,
    guard: Arc<GuardedEngine>,
}

impl fmt::Debug for GuardedScripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedScripts")
    }
}

impl GuardedScripts {
    /// Guards an engine with what guards queries.
    pub fn new(engine: Arc<dyn ScriptEngine>, guard: Arc<GuardedEngine>) -> Self {
        Self { engine, guard }
    }
}

#[async_trait]
impl ScriptEngine for GuardedScripts {
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        self.engine.examine(sql, default_bucket)
    }

    fn file_paths(&self, sql: &str) -> Vec<String> {
        self.engine.file_paths(sql)
    }

    fn copy(&self, sql: &str) -> Result<Copy, QueryError> {
        self.engine.copy(sql)
    }

    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError> {
        let first = script.statements.first().map_or("", |statement| statement.sql.as_str());
        let refused = |error: QueryError| ScriptError { statement: None, fault: error.into() };
        let running = self.guard.begin(first).map_err(refused)?;
        match self.engine.execute(scope, script, tables, origin, stop).await {
            Ok(output) => {
                running.finished();
                Ok(output)
            }
            Err(error) => {
                let cancelled = matches!(error.fault, ScriptFault::Query(QueryError::Cancelled));
                running.failed(if cancelled { End::Cancelled } else { End::Failed }, Meaning::of_script(&error.fault));
                Err(error)
            }
        }
    }
}

impl Meaning {
    fn of_script(fault: &ScriptFault) -> Self {
        match fault {
            ScriptFault::Query(error) => Self::of(error),
            ScriptFault::MultipleDdl(_) => Self::Works,
            ScriptFault::Write(fault) => match &fault.source {
                WriteError::Lake(LakeError::Fault(_)) => Self::Fails,
                // A full queue of the writer, a full disk, a damaged lake: of one project, or mended elsewhere.
                WriteError::Lake(_) => Self::Nothing,
                _ => Self::Works,
            },
        }
    }
}
