//! The doctor of catalogs.

use std::sync::Arc;

use gadwall_application::doctor::Doctor;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::operations::{Accepted, accepted};
use super::{Area, project_id};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct DoctorApi {
    pub(crate) doctor: Arc<Doctor>,
}

/// What to look at.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
struct DoctorRequest {
    /// The projects; all without.
    projects: Option<Vec<String>>,
    /// Whether to mend what can be mended without inventing anything. Back the project up first.
    #[oai(default)]
    repair: bool,
}

#[OpenApi(tag = "Area::Maintenance")]
impl DoctorApi {
    /// Look for damage
    ///
    /// Compares what catalogs say with itself, with the files that are there, and with the index of the commits. Only reads, unless `repair`
    /// is true; then what can be mended is, in the lake's writer's turn. Told as an operation of the project `default`, whose result has,
    /// for each of its `projects`, `findings` with `code`, `severity` (`warning` or `error`), `count`, the first `subjects`, what it `means`
    /// and whether it is `repairable`; and the codes of those that were `repaired`.
    #[oai(path = "/admin/doctor", method = "post", operation_id = "run_doctor")]
    async fn examine(&self, auth: Auth, body: Json<Option<DoctorRequest>>) -> ApiResult<Accepted> {
        let DoctorRequest { projects, repair } = body.0.unwrap_or_default();
        let named = projects.unwrap_or_default();
        let projects = named.iter().map(|name| project_id(name)).collect::<ApiResult<_>>()?;
        Ok(accepted(self.doctor.examine(auth.caller(), projects, repair).await?))
    }
}
