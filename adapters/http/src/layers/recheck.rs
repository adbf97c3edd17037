//! Looks again, while a long body comes and when it has come, whether its sender may still send it: a key may be revoked
//! meanwhile, and a project deleted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gadwall_application::access::Access;
use gadwall_application::caller::Identity;
use gadwall_application::error::UseCaseError;
use gadwall_domain::names::ProjectId;
use poem::http::StatusCode;
use poem::{IntoResponse, Request, Response};

use crate::auth::AccessData;
use crate::problem::ApiError;

/// How often it is looked while the body comes.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// What was found so lately still holds when the body ends.
const FRESH: Duration = Duration::from_millis(20);

/// Looks again for one request.
#[derive(Clone)]
pub(crate) struct Recheck {
    access: Arc<AccessData>,
    key: String,
    /// The project that the path names.
    project: Option<ProjectId>,
    refused: Arc<Mutex<Option<UseCaseError>>>,
}

/// What a request's path names after `/projects/`.
pub(crate) fn project_of(path: &str) -> Option<ProjectId> {
    let id = path.strip_prefix("/projects/")?.split('/').next()?;
    ProjectId::parse(id).ok()
}

impl Recheck {
    /// For a request; none if it has no key, so that nobody takes its body.
    pub(crate) fn of(request: &Request, access: &Arc<AccessData>) -> Option<Self> {
        let (_, key) = request.header("Authorization")?.split_once(' ')?;
        let project = project_of(request.uri().path());
        Some(Self { access: Arc::clone(access), key: key.trim().to_owned(), project, refused: Arc::default() })
    }

    /// Whether the sender may go on.
    pub(super) async fn may_go_on(&self) -> bool {
        match self.look().await {
            Ok(()) => true,
            Err(error) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        }
    }

    async fn look(&self) -> Result<(), UseCaseError> {
        match self.access.access.authenticate(Some(&self.key)).await? {
            Identity::Known(_) => {}
            // Its project was deleted: it was a good one when the body began to come.
            Identity::Unknown | Identity::Gadwall => return Err(UseCaseError::Forbidden),
        }
        match &self.project {
            Some(project) => self.access.access.require_in_use(project).await,
            None => Ok(()),
        }
    }

    /// The answer to a request whose body broke off for this; the one that it got, if there is none.
    pub(crate) fn answer(&self, response: Response) -> Response {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        match refused {
            Some(error) if !response.status().is_success() => ApiError::from(error).into_response(),
            _ => response,
        }
    }
}

/// What broke in a project that is deleted by now, on another server perhaps, broke for that: its answer says so.
pub(super) async fn or_deleted(access: &Access, project: Option<ProjectId>, response: Response) -> Response {
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let Some(project) = project else { return response };
    match access.require_in_use(&project).await {
        Err(gone @ UseCaseError::NoProjectAround(_)) => ApiError::from(gone).into_response(),
        _ => response,
    }
}

/// When it was looked last.
#[derive(Clone, Copy)]
pub(super) struct Looked(Instant);

impl Looked {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    /// How long until it is time to look again.
    pub(super) fn left(self) -> Duration {
        EVERY.saturating_sub(self.0.elapsed())
    }

    /// Whether what was found holds for a body that ends now.
    pub(super) fn is_fresh(self) -> bool {
        self.0.elapsed() < FRESH
    }
}

#[cfg(test)]
mod tests {
    use gadwall_application::access::AdminPolicy;
    use gadwall_application::testing::{FixedClock, MemoryMetadata, builders};
    use gadwall_domain::ports::metadata::MetadataStore as _;

    use super::*;

    #[tokio::test]
    async fn what_breaks_in_a_project_that_is_gone_is_told_as_that() {
        let store = Arc::new(MemoryMetadata::default());
        let mut tx = store.write().await.unwrap();
        tx.projects().insert(&builders::project("there")).await.unwrap();
        tx.commit().await.unwrap();
        let access = Access::new(store, Arc::new(FixedClock::default()), AdminPolicy::Everyone);
        let told = async |project: Option<&str>, status: StatusCode| {
            let response = Response::builder().status(status).finish();
            or_deleted(&access, project.map(builders::project_id), response).await.status()
        };
        assert_eq!(told(Some("gone"), StatusCode::INTERNAL_SERVER_ERROR).await, StatusCode::NOT_FOUND);
        assert_eq!(told(Some("there"), StatusCode::INTERNAL_SERVER_ERROR).await, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(told(None, StatusCode::INTERNAL_SERVER_ERROR).await, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(told(Some("gone"), StatusCode::FORBIDDEN).await, StatusCode::FORBIDDEN);
    }
}
