//! Who may do what: the one place where keys are checked and projects opened.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::{KeyDigest, Principal, Scope};
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::{Project, ProjectStatus};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::caller::{Caller, Identity};
use crate::error::UseCaseError;

/// The digest under which a key is kept.
pub fn digest(key: &str) -> KeyDigest {
    KeyDigest(Sha256::digest(key.as_bytes()).into())
}

/// Who counts as an admin.
#[derive(Debug, Clone)]
pub enum AdminPolicy {
    /// Whoever presents one of these keys.
    Keys(Vec<KeyDigest>),
    /// Everyone: authentication is switched off.
    Everyone,
}

/// Authenticates callers and opens projects for them.
pub struct Access {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    admins: AdminPolicy,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Authenticates against the store's keys and the admins' policy.
    pub fn new(store: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, admins: AdminPolicy) -> Self {
        Self { store, clock, admins }
    }

    /// Finds out who presents a key. No key at all is an error, unless authentication is switched off.
    pub async fn authenticate(&self, key: Option<&str>) -> Result<Identity, UseCaseError> {
        let admin_keys = match &self.admins {
            AdminPolicy::Everyone => return Ok(Identity::Known(Principal::Admin)),
            AdminPolicy::Keys(keys) => keys,
        };
        let key = key.filter(|key| !key.is_empty()).ok_or(UseCaseError::Unauthenticated)?;
        let presented = digest(key);
        // All are compared, each in constant time, so that timing tells neither content nor position.
        let is_admin = admin_keys.iter().fold(false, |found, known| found | bool::from(known.0.ct_eq(&presented.0)));
        if is_admin {
            return Ok(Identity::Known(Principal::Admin));
        }
        let found = self.store.read().await?.keys().find_by_digest(&presented).await?;
        let usable = found.filter(|key| key.usable_at(self.clock.now()) && bool::from(key.digest.0.ct_eq(&presented.0)));
        Ok(usable.map_or(Identity::Unknown, |key| {
            Identity::Known(Principal::Key { id: key.id, project: key.project, scopes: key.scopes, bucket: key.bucket })
        }))
    }

    /// The project that routes without one act on: the key's own, or for an admin the one named, else `default`.
    pub fn own_project(&self, caller: &Caller, named: Option<ProjectId>) -> Result<ProjectId, UseCaseError> {
        match caller.principal() {
            None => Err(UseCaseError::Unauthenticated),
            Some(Principal::Admin) => Ok(named.unwrap_or_else(ProjectId::default_project)),
            Some(Principal::Key { project, .. }) if named.as_ref().is_none_or(|named| named == project) => {
                Ok(project.clone())
            }
            Some(Principal::Key { .. }) => Err(UseCaseError::Forbidden),
        }
    }

    /// Opens a project, of any status, for something that needs the scope.
    pub(crate) async fn open_any(
        &self,
        caller: &Caller,
        id: &ProjectId,
        scope: Scope,
    ) -> Result<Project, UseCaseError> {
        let principal = caller.principal().ok_or(UseCaseError::Forbidden)?;
        if !principal.may(id, scope) {
            return Err(UseCaseError::Forbidden);
        }
        let found = self.store.read().await?.projects().find(id).await?;
        match (found, principal) {
            (Some(project), Principal::Admin) => Ok(project),
            (Some(project), Principal::Key { .. }) if project.status == ProjectStatus::Active => Ok(project),
            (None, Principal::Admin) => Err(UseCaseError::NoProject(id.clone())),
            _ => Err(UseCaseError::Forbidden),
        }
    }

    /// Opens a project in use, for something within it that needs the scope.
    pub(crate) async fn open(&self, caller: &Caller, id: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        match self.open_any(caller, id, scope).await {
            Ok(project) if project.status == ProjectStatus::Active => Ok(project),
            Ok(_) | Err(UseCaseError::NoProject(_)) => Err(UseCaseError::NoProjectAround(id.clone())),
            Err(error) => Err(error),
        }
    }

    /// Opens a project in use, for something within one of its buckets.
    pub(crate) async fn open_bucket(
        &self,
        caller: &Caller,
        id: &ProjectId,
        bucket: &BucketName,
        scope: Scope,
    ) -> Result<Project, UseCaseError> {
        let project = self.open(caller, id, scope).await?;
        if caller.principal().is_some_and(|principal| principal.may_touch(bucket)) {
            Ok(project)
        } else {
            Err(UseCaseError::Forbidden)
        }
    }
}
