//! A project's keys: made, listed, rotated, revoked.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::{ApiKey, Grant, Principal, ReplacedSecret, Scope, Standing, TokenAccess, secret_text};
use gadwall_domain::events::ProjectFact;
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{KeyFilter, MetadataStore, MetadataTx};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;

use crate::access::{Access, digest};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::record::{mark, record};

pub use error::KeyError;

/// Longest name, in characters.
pub const MAX_KEY_NAME: usize = 100;
/// Longest page of keys.
pub const MAX_KEYS_LISTED: u32 = 1_000;
/// Longest time that a replaced secret goes on working.
pub const MAX_OVERLAP: TimeDelta = TimeDelta::days(7);

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEnd {
    /// At that time.
    At(DateTime<Utc>),
    /// So long after it was made.
    After(TimeDelta),
}

/// What a new key should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// The one bucket it is limited to, if any.
    pub bucket: Option<BucketName>,
    /// When it ends; without one, with the key that makes it, if that ends.
    pub end: Option<KeyEnd>,
}

/// A key whose secret was just made. It is shown only now.
pub struct ShownKey {
    /// The key.
    pub key: ApiKey,
    /// The secret; none when an earlier answer, which may have been lost, has shown it.
    pub secret: Option<String>,
}

impl fmt::Debug for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The use cases of keys: for admins, and for keys that may manage the whole project.
pub struct Keys {
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    overlap: TimeDelta,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Works on this store. A replaced secret goes on working for `overlap` unless told.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        overlap: TimeDelta,
    ) -> Self {
        Self { store, access, clock, ids, overlap }
    }

    /// Opens a project to who may manage its keys: a key within one bucket would get out of it by another key.
    async fn open(&self, caller: &Caller, id: &ProjectId) -> Result<Project, UseCaseError> {
        let project = self.access.open(caller, id, Scope::Manage).await?;
        caller.require_whole_project()?;
        Ok(project)
    }

    /// Makes a key, which can do no more than the key that makes it.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn create(&self, caller: &Caller, id: &ProjectId, new: NewKey) -> Result<ShownKey, UseCaseError> {
        let project = self.open(caller, id).await?.id;
        let now = self.clock.now();
        let NewKey { name, scopes, bucket, end } = new;
        check_name(&name)?;
        if scopes.is_empty() {
            return Err(UseCaseError::Invalid("scopes has at least one of read, write and manage".to_owned()));
        }
        let end = end.map(|end| end_at(end, now)).transpose()?;

        let mut tx = self.store.write().await?;
        if let Some(key) = made_before(&mut *tx, caller, &project).await? {
            return Ok(ShownKey { key, secret: None });
        }
        let maker = maker(&mut *tx, caller, &project, now).await?;
        let expires_at = end.or(maker.as_ref().and_then(|maker| maker.expires_at));
        let key_id = ApiKeyId::new(self.ids.next_id());
        let secret = secret_text(key_id, self.ids.secret());
        let key = ApiKey {
            id: key_id,
            project,
            name,
            scopes,
            bucket,
            digest: digest(&secret),
            created_at: now,
            expires_at,
            revoked_at: None,
            created_by: caller.label(),
            last_used_at: None,
            replaced: None,
            request_digest: mark(caller),
        };
        if let Some(maker) = &maker {
            check_within(maker, &key)?;
        }
        tx.keys().insert(&key).await?;
        record(&mut *tx, caller, &key.project, now, &[ProjectFact::KeyCreated(key.id)]).await?;
        tx.commit().await?;
        Ok(ShownKey { key, secret: Some(secret) })
    }

    /// A page of a project's keys, newest first, whatever their state.
    pub async fn list(&self, caller: &Caller, id: &ProjectId, filter: KeyFilter) -> Result<Vec<ApiKey>, UseCaseError> {
        let project = self.open(caller, id).await?;
        let keys = self.store.read().await?.keys().list(&project.id, filter).await?;
        Ok(keys.into_iter().map(|key| self.up_to_date(key)).collect())
    }

    /// One key.
    pub async fn get(&self, caller: &Caller, id: &ProjectId, key: &str) -> Result<ApiKey, UseCaseError> {
        let project = self.open(caller, id).await?;
        let found = find(&mut *self.store.read().await?, &project.id, key).await?;
        Ok(self.up_to_date(found))
    }

    /// With its uses that are not written down yet.
    fn up_to_date(&self, key: ApiKey) -> ApiKey {
        let last_used_at = key.last_used_at.max(self.access.used_at(key.id));
        ApiKey { last_used_at, ..key }
    }

    /// Gives a key another secret at once. The one it had goes on working for `overlap`; one before that doesn't.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn rotate(
        &self,
        caller: &Caller,
        id: &ProjectId,
        key: &str,
        overlap: Option<TimeDelta>,
    ) -> Result<ShownKey, UseCaseError> {
        let project = self.open(caller, id).await?.id;
        let overlap = overlap.unwrap_or(self.overlap);
        if overlap < TimeDelta::zero() || overlap > MAX_OVERLAP {
            return Err(UseCaseError::Invalid(format!("overlap is at most {} seconds", MAX_OVERLAP.num_seconds())));
        }
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let mut found = find(&mut *tx, &project, key).await?;
        if found.request_digest.is_some() && found.request_digest == mark(caller) {
            return Ok(ShownKey { key: found, secret: None });
        }
        if found.standing_at(now) != Standing::Usable {
            return Err(KeyError::Ended.into());
        }
        if let Some(maker) = maker(&mut *tx, caller, &project, now).await? {
            check_within(&maker, &found)?;
        }
        let secret = secret_text(found.id, self.ids.secret());
        found.replaced = Some(ReplacedSecret { digest: found.digest, until: now + overlap });
        found.digest = digest(&secret);
        found.request_digest = mark(caller);
        tx.keys().update(&found).await?;
        record(&mut *tx, caller, &project, now, &[ProjectFact::KeyRotated(found.id)]).await?;
        tx.commit().await?;
        Ok(ShownKey { key: self.up_to_date(found), secret: Some(secret) })
    }

    /// Revokes a key: from now on it opens nothing, nor does the secret that it replaced.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn revoke(&self, caller: &Caller, id: &ProjectId, key: &str) -> Result<(), UseCaseError> {
        let project = self.open(caller, id).await?.id;
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let mut found = find(&mut *tx, &project, key).await?;
        if found.revoked_at.is_some() {
            return Ok(());
        }
        found.revoked_at = Some(now);
        tx.keys().update(&found).await?;
        record(&mut *tx, caller, &project, now, &[ProjectFact::KeyRevoked(found.id)]).await?;
        Ok(tx.commit().await?)
    }
}

async fn find(tx: &mut dyn MetadataTx, project: &ProjectId, key: &str) -> Result<ApiKey, UseCaseError> {
    let found = match ApiKeyId::parse(key) {
        Some(id) => tx.keys().find(project, id).await?,
        None => None,
    };
    found.ok_or_else(|| {
        let key = key.chars().take(MAX_KEY_NAME).collect();
        KeyError::NotFound { project: project.clone(), key }.into()
    })
}

/// The key that this very request made, if its answer was lost.
async fn made_before(
    tx: &mut dyn MetadataTx,
    caller: &Caller,
    project: &ProjectId,
) -> Result<Option<ApiKey>, UseCaseError> {
    let Some(mark) = mark(caller) else { return Ok(None) };
    let found = tx.keys().find_by_request(project, &mark).await?;
    Ok(found.filter(|key| key.created_by == caller.label()))
}

/// What a key can't go beyond: all that its maker has.
struct Limits {
    scopes: BTreeSet<Scope>,
    bucket: Option<BucketName>,
    expires_at: Option<DateTime<Utc>>,
}

/// What the caller's key or token is good for. A key is looked at as it stands now, in the writer's turn: it may have
/// ended since. None for an admin.
async fn maker(
    tx: &mut dyn MetadataTx,
    caller: &Caller,
    project: &ProjectId,
    now: DateTime<Utc>,
) -> Result<Option<Limits>, UseCaseError> {
    let id = match caller.principal() {
        Some(Principal::Key { id, .. }) => *id,
        Some(Principal::Token(TokenAccess { expires_at, grant: Grant::Projects { scopes, bucket, .. }, .. })) => {
            let (scopes, bucket) = (scopes.clone(), bucket.clone());
            return Ok(Some(Limits { scopes, bucket, expires_at: Some(*expires_at) }));
        }
        _ => return Ok(None),
    };
    let key = tx.keys().find(project, id).await?.ok_or(UseCaseError::Forbidden)?;
    match key.standing_at(now) {
        Standing::Usable => Ok(Some(Limits { scopes: key.scopes, bucket: key.bucket, expires_at: key.expires_at })),
        Standing::Revoked => Err(KeyError::Revoked.into()),
        Standing::Expired => Err(KeyError::Expired.into()),
    }
}

/// Whoever gets the secret of `key` from `maker` must not be able to do more with it.
fn check_within(maker: &Limits, key: &ApiKey) -> Result<(), KeyError> {
    if !key.scopes.is_subset(&maker.scopes) {
        return Err(KeyError::Exceeds("it lacks one of the scopes"));
    }
    if maker.bucket.is_some() && maker.bucket != key.bucket {
        return Err(KeyError::Exceeds("it is limited to a bucket"));
    }
    let outlives = maker.expires_at.is_some_and(|end| key.expires_at.is_none_or(|later| end < later));
    if outlives { Err(KeyError::Exceeds("it ends earlier")) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), UseCaseError> {
    let fits = (1..=MAX_KEY_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(UseCaseError::Invalid(format!("name has 1 to {MAX_KEY_NAME} characters, and no control characters")))
}

fn end_at(end: KeyEnd, now: DateTime<Utc>) -> Result<DateTime<Utc>, UseCaseError> {
    let at = match end {
        KeyEnd::At(at) => Some(at),
        KeyEnd::After(time) => now.checked_add_signed(time),
    };
    at.filter(|at| *at > now).ok_or_else(|| UseCaseError::Invalid("a key ends in the future".to_owned()))
}
