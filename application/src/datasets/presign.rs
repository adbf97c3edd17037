//! Addresses at which an object can be read without a key.
//!
//! There are none to put objects at. Storage would take whatever came there: into a dataset that is gone by then, under a
//! name that is a folder, over a version that an `If-Match` of somebody else looked at, and with nobody's turn or limit.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::dataset::{DatasetName, ObjectName};
use gadwall_domain::names::ProjectId;

use super::{DatasetError, Datasets, about_object, named};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// How long an address holds if not told.
const USUAL: Duration = Duration::from_mins(15);
/// The longest that it holds.
const LONGEST: Duration = Duration::from_hours(24);

/// What an address is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresignMethod {
    /// To read an object.
    Get,
    /// To store one.
    Put,
}

impl Datasets {
    /// An address at the object store for an object that is there, and until when it holds.
    #[tracing::instrument(skip_all, fields(project.id = %project, dataset.name = %dataset))]
    pub async fn presign(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        object: &ObjectName,
        (method, valid): (PresignMethod, Option<Duration>),
    ) -> Result<(String, DateTime<Utc>), UseCaseError> {
        let scope = if method == PresignMethod::Put { Scope::Write } else { Scope::Read };
        let project = self.open(caller, project, scope).await?;
        if method == PresignMethod::Put {
            return Err(DatasetError::NoPutByUrl.into());
        }
        let valid = valid.unwrap_or(USUAL);
        if valid.is_zero() || valid > LONGEST {
            return Err(UseCaseError::Invalid(format!("expires_in must be from 1 to {}", LONGEST.as_secs())));
        }
        let expires_at = self.access.now() + TimeDelta::from_std(valid).unwrap_or_default();
        let url = self.objects.read_url(project.lake, dataset, object, valid).await;
        let url = url.map_err(about_object(&project.id, dataset, object))?.ok_or(DatasetError::NoUrls)?;
        self.access.record(caller, &project.id, "object.presigned", named(dataset, object)).await?;
        Ok((url, expires_at))
    }
}
