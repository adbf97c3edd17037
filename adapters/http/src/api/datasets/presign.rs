//! Addresses at the object store that need no key.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_application::datasets::{Datasets, PresignMethod};
use gadwall_domain::dataset::{DatasetName, ObjectName};
use gadwall_domain::names::ProjectId;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::auth::Auth;
use crate::problem::ApiResult;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Get,
    Put,
}

/// What the address is for.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct PresignBody {
    /// `GET`. `PUT` is refused: an upload there would pass by the checks that hold for objects.
    #[oai(default)]
    method: Method,
    /// Seconds for which it holds: 900 if not told, 86,400 at most.
    expires_in: Option<u64>,
}

/// An address at the object store. Whoever knows it can read the object, without a key.
#[derive(Debug, Object)]
pub(crate) struct PresignedUrl {
    /// The method to ask it with.
    method: Method,
    /// The address.
    url: String,
    /// Headers that the request must have.
    headers: BTreeMap<String, String>,
    /// Until when it holds, also when the key that asked for it is revoked before.
    expires_at: DateTime<Utc>,
}

#[derive(ApiResponse)]
pub(crate) enum Presigned {
    /// The address.
    #[oai(status = 201)]
    Created(Json<PresignedUrl>, #[oai(header = "Cache-Control")] String),
}

pub(super) async fn presign(
    datasets: &Datasets,
    auth: &Auth,
    project: &ProjectId,
    (dataset, object): (&DatasetName, &ObjectName),
    body: PresignBody,
) -> ApiResult<Presigned> {
    let method = match body.method {
        Method::Get => PresignMethod::Get,
        Method::Put => PresignMethod::Put,
    };
    let valid = body.expires_in.map(Duration::from_secs);
    let (url, expires_at) = datasets.presign(auth.caller(), project, dataset, object, (method, valid)).await?;
    let answer = PresignedUrl { method: body.method, url, headers: BTreeMap::new(), expires_at };
    Ok(Presigned::Created(Json(answer), "no-store".to_owned()))
}
