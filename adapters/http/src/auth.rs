//! Who calls: the key or token in `Authorization: Bearer …`.

use std::sync::{Arc, Mutex, PoisonError};

use gadwall_application::access::Access;
use gadwall_application::audit::Refused;
use gadwall_application::caller::{Caller, Origin};
use gadwall_application::error::UseCaseError;
use gadwall_application::events::Events;
use gadwall_domain::names::ProjectId;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;

use crate::context::{self, RequestContext};
use crate::layers::door;
use crate::layers::recheck::project_of;
use crate::peer::{self, Proxies};
use crate::problem::{ApiError, ApiResult};

/// An admin's or a project's API key, or a token (JWT) of an identity provider that the server knows.
#[derive(Debug, SecurityScheme)]
#[oai(
    ty = "bearer",
    bearer_format = "API key or JWT",
    key_name = "Authorization",
    rename = "ApiKey",
    checker = "check"
)]
pub(crate) struct Auth(pub(crate) Authenticated);

/// A caller whose key or token was looked at.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    named_project: Option<String>,
}

/// Present in every request.
pub(crate) struct AccessData {
    pub(crate) access: Arc<Access>,
    /// Knows tokens that open streams.
    pub(crate) events: Arc<Events>,
    /// Those who may say whom they speak for.
    pub(crate) proxies: Proxies,
}

impl AccessData {
    /// Where a request's key comes from.
    pub(crate) fn origin(&self, request: &Request) -> Option<Origin> {
        let request_id = request.extensions().get::<RequestContext>()?.id.clone();
        Some(Origin { address: peer::client(request, &self.proxies), request_id })
    }
}

/// What a request asks for, and who it turned out to be that asks: for the audit log, should it be refused.
pub(crate) struct Asked {
    what: String,
    project: Option<ProjectId>,
    origin: Option<Origin>,
    who: Who,
}

/// Who asks, once their credentials were looked at.
#[derive(Clone, Default)]
struct Who(Arc<Mutex<Credentials>>);

#[derive(Default)]
enum Credentials {
    /// Nobody has looked at them.
    #[default]
    Unseen,
    NoGood,
    Good(Box<Caller>),
}

impl Asked {
    /// Notes what a request asks for.
    pub(crate) fn of(request: &mut Request, access: &AccessData) -> Self {
        let who = Who::default();
        request.extensions_mut().insert(who.clone());
        let path = request.uri().path();
        let what = format!("{} {path}", request.method());
        Self { what, project: project_of(path), origin: access.origin(request), who }
    }

    /// Notes that a request's credentials were looked at, and the caller if they were good.
    pub(crate) fn was_looked_at(request: &Request, caller: Option<&Caller>) {
        if let Some(Who(who)) = request.extensions().get::<Who>() {
            let known = caller.filter(|caller| caller.principal().is_some());
            *who.lock().unwrap_or_else(PoisonError::into_inner) =
                known.map_or(Credentials::NoGood, |caller| Credentials::Good(Box::new(caller.clone())));
        }
    }

    /// Tells the audit log that the request was refused. Credentials that were looked at and are no good were told of
    /// then.
    pub(crate) fn refused(self, access: &AccessData, code: &str) {
        let refused = match (&*self.who.0.lock().unwrap_or_else(PoisonError::into_inner), self.origin) {
            (Credentials::Good(caller), _) => Refused::access(caller, &self.what, self.project, code),
            (Credentials::Unseen, Some(origin)) => Refused::credentials(origin.address, code, origin.request_id),
            (Credentials::NoGood, _) | (Credentials::Unseen, None) => return,
        };
        access.access.note_refusal(refused);
    }
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Authenticated> {
    let caller = look_at(request, &bearer.token).await?;
    Ok(Authenticated { caller, named_project: request.header("X-Project").map(str::to_owned) })
}

async fn look_at(request: &Request, token: &str) -> ApiResult<Caller> {
    let missing = || ApiError::from(UseCaseError::Unauthenticated);
    let access = request.extensions().get::<Arc<AccessData>>().ok_or_else(missing)?;
    let origin = access.origin(request).ok_or_else(missing)?;
    Asked::was_looked_at(request, None);
    let (identity, seen) = access.access.authenticate_from(&origin, Some(token.trim())).await?;
    door::charge(request, &identity)?;
    let caller = context::caller(request, identity, origin.address).ok_or_else(missing)?;
    let caller = Caller { seen, ..caller };
    Asked::was_looked_at(request, Some(&caller));
    Ok(caller)
}

/// Who asks, of a route that takes requests without a key, too.
pub(crate) async fn caller_of(request: &Request) -> ApiResult<Caller> {
    let token = request.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    look_at(request, token.ok_or(UseCaseError::Unauthenticated)?).await
}

impl Auth {
    /// The caller.
    pub(crate) fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// The project that the request names beside its path, if it does.
    pub(crate) fn named_project(&self) -> ApiResult<Option<ProjectId>> {
        Ok(self.0.named_project.as_deref().map(ProjectId::parse).transpose()?)
    }

    /// The project that routes without one act on.
    pub(crate) fn own_project(&self, access: &Access) -> ApiResult<ProjectId> {
        Ok(access.own_project(&self.0.caller, self.named_project()?)?)
    }
}
