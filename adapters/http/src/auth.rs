//! Who calls: the key or token in `Authorization: Bearer …`.

use std::sync::Arc;

use gadwall_application::access::Access;
use gadwall_application::caller::{Caller, Origin};
use gadwall_domain::names::ProjectId;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;

use crate::context::{self, RequestContext};
use crate::layers::door;
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

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Authenticated> {
    let missing = || poem::Error::from(poem_openapi::error::AuthorizationError);
    let access = request.extensions().get::<Arc<AccessData>>().ok_or_else(missing)?;
    let origin = access.origin(request).ok_or_else(missing)?;
    let identity = access.access.authenticate_from(&origin, Some(bearer.token.trim())).await.map_err(ApiError::from)?;
    door::charge(request, &identity)?;
    let caller = context::caller(request, identity).ok_or_else(missing)?;
    Ok(Authenticated { caller, named_project: request.header("X-Project").map(str::to_owned) })
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
