//! Looks again, while a long body comes and when it has come, whether its sender may still send it: a key may be revoked
//! meanwhile, and a project deleted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gadwall_application::caller::Identity;
use gadwall_application::error::UseCaseError;
use gadwall_domain::names::ProjectId;
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
