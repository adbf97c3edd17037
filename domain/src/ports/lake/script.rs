//! SQL that writes.

use async_trait::async_trait;

use crate::commit::WriteOrigin;
use crate::names::BucketName;
use crate::query::{QueryError, ReadScope};
use crate::script::{Copy, Examined, KnownTable, Script, ScriptError, ScriptOutput, StopSignal};

/// Runs SQL that may write: what users wrote is checked before anything of it is done.
#[async_trait]
pub trait ScriptEngine: Send + Sync {
    /// What a statement does, by its text alone.
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError>;

    /// The literal paths that a statement gives to functions that read files, each once.
    fn file_paths(&self, sql: &str) -> Vec<String>;

    /// Takes a `COPY` apart.
    fn copy(&self, sql: &str) -> Result<Copy, QueryError>;

    /// Carries out a script as one snapshot, answered once that is durable; all of it or nothing. Dropping the future
    /// cancels it, until it commits. So does `stop`, which is answered `Cancelled`, unless it commits already.
    ///
    /// `tables` are those that [`examine`](ScriptEngine::examine) named and that are there, with their keys and
    /// lengths. One whose shape isn't that any more fails with `TableChanged`.
    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError>;
}
