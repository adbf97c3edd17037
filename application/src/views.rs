//! Views: queries with a name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{LakeStore, ViewEngine};
use gadwall_domain::project::Project;
use gadwall_domain::query::{QueryError, ReadScope};
use gadwall_domain::script::ScriptError;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{View, ViewDefinition};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::projection::Projection;
use crate::queries::RunningQueries;
use crate::scripts::tell;
use crate::sharing::{Reading, reading};
use crate::writes::Writes;

/// Longest comment of a view, in characters.
const MAX_COMMENT: usize = 4_096;

/// A view's query is only bound, never run: whatever takes longer waits for something that doesn't come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The use cases of views.
pub struct Views {
    engine: Arc<dyn ViewEngine>,
    lakes: Arc<dyn LakeStore>,
    access: Arc<Access>,
    projection: Arc<Projection>,
    writes: Arc<Writes>,
    running: Arc<RunningQueries>,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Views")
    }
}

impl Views {
    /// Works on these.
    pub fn new(
        engine: Arc<dyn ViewEngine>,
        lakes: Arc<dyn LakeStore>,
        access: Arc<Access>,
        projection: Arc<Projection>,
        writes: Arc<Writes>,
        running: Arc<RunningQueries>,
    ) -> Self {
        Self { engine, lakes, access, projection, writes, running }
    }

    /// A bucket's views by name.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
    ) -> Result<Vec<View>, UseCaseError> {
        let place = self.access.open_to_read(caller, project, bucket).await?;
        let at = place.link.as_ref().and_then(|link| link.snapshot).map_or(ReadAt::Head, ReadAt::Snapshot);
        let lake = place.project.lake;
        let views = self.lakes.views(lake, &place.bucket, None, at).await?;
        if views.is_empty() && self.lakes.tables(lake, &place.bucket, at).await?.is_none() {
            let project = place.project.id.clone();
            return Err(place.told(UseCaseError::NoBucket { project, bucket: bucket.clone() }));
        }
        Ok(views.into_iter().map(|view| place.shown_view(view)).collect())
    }

    /// A view.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, view: &TableRef) -> Result<View, UseCaseError> {
        let place = self.access.open_to_read(caller, project, &view.bucket).await?;
        let at = place.link.as_ref().and_then(|link| link.snapshot).map_or(ReadAt::Head, ReadAt::Snapshot);
        let found = self.require_at(&place.project, &place.table(view), at).await;
        Ok(place.shown_view(found.map_err(|error| place.told(error))?))
    }

    /// Makes a view or makes it anew; answers whether it is new.
    #[tracing::instrument(skip_all, fields(project.id = %project, view.name = %definition.name))]
    pub async fn put(
        &self,
        caller: &Caller,
        project: &ProjectId,
        definition: ViewDefinition,
    ) -> Result<(View, bool), UseCaseError> {
        let comment = definition.comment.as_ref();
        if comment.is_some_and(|text| text.chars().count() > MAX_COMMENT || text.contains('\0')) {
            return Err(UseCaseError::Invalid(format!("comment has at most {MAX_COMMENT} characters, and no NUL")));
        }
        let view = definition.name.clone();
        let project = self.access.open_bucket(caller, project, &view.bucket, Scope::Manage).await?;
        self.access.open_bucket(caller, &project.id, &view.bucket, Scope::Read).await?;
        let before = self.lakes.views(project.lake, &view.bucket, Some(&view.table), ReadAt::Head).await?;
        if self.writes.committed_before(caller, &project).await?.is_none() {
            // What is linked is named, too, to say why no view may read it.
            let text = [definition.query.as_str()];
            let Reading { links, .. } = reading(&self.access, &*self.lakes, caller, &project, text, None).await?;
            let scope = ReadScope { links, ..scope(caller, &project) };
            let text = format!("CREATE OR REPLACE VIEW {view} AS {}", definition.query);
            let define = self.engine.define_view(scope, definition, TIMEOUT, caller.origin());
            let snapshot = self.in_turn(caller, &project, &text, define).await?;
            self.projection.catch_up(&project, Some(snapshot)).await?;
        }
        Ok((self.require(&project, &view).await?, before.is_empty()))
    }

    /// Drops a view.
    #[tracing::instrument(skip_all, fields(project.id = %project, view.name = %view))]
    pub async fn delete(&self, caller: &Caller, project: &ProjectId, view: &TableRef) -> Result<(), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &view.bucket, Scope::Manage).await?;
        if self.writes.committed_before(caller, &project).await?.is_some() {
            return Ok(());
        }
        self.require(&project, view).await?;
        let drop = self.engine.drop_view(scope(caller, &project), view.clone(), TIMEOUT, caller.origin());
        let snapshot = self.in_turn(caller, &project, &format!("DROP VIEW {view}"), drop).await?;
        self.projection.catch_up(&project, Some(snapshot)).await
    }

    /// Changes a view when its turn has come among the statements of the project.
    async fn in_turn(
        &self,
        caller: &Caller,
        project: &Project,
        text: &str,
        change: impl Future<Output = Result<SnapshotId, ScriptError>>,
    ) -> Result<SnapshotId, UseCaseError> {
        let turn = self.running.admit_script(caller, project, text, true, TIMEOUT).await?;
        let changed = if turn.is_stopped() {
            Err(QueryError::Cancelled.into())
        } else {
            change.await.map_err(|error| tell(&project.id, error, false))
        };
        turn.end(changed.as_ref().err());
        changed
    }

    async fn require(&self, project: &Project, view: &TableRef) -> Result<View, UseCaseError> {
        self.require_at(project, view, ReadAt::Head).await
    }

    async fn require_at(&self, project: &Project, view: &TableRef, at: ReadAt) -> Result<View, UseCaseError> {
        let mut found = self.lakes.views(project.lake, &view.bucket, Some(&view.table), at).await?;
        found.pop().ok_or_else(|| UseCaseError::NoView { project: project.id.clone(), view: view.clone() })
    }
}

fn scope(caller: &Caller, project: &Project) -> ReadScope {
    let only_bucket = caller.principal().and_then(Principal::only_bucket).cloned();
    ReadScope { only_bucket, ..ReadScope::of(project.lake, ReadAt::Head) }
}
