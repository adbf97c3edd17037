//! `/projects/{id}/keys`.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_application::keys::{KeyEnd, Keys, MAX_KEYS_LISTED, NewKey, ShownKey};
use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::ports::metadata::KeyFilter;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use super::models::KEY_WAS_SHOWN;
use super::paging::{next_cursor, read_cursor};
use super::projects::Gone;
use super::{Area, bucket_name, number, project_id, time};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct KeysApi {
    pub(crate) keys: Arc<Keys>,
}

/// What a key allows.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum KeyScope {
    /// See tables and query them.
    Read,
    /// Change rows.
    Write,
    /// Create, change and delete buckets and tables; manage the project and its keys.
    Manage,
}

impl From<Scope> for KeyScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Manage => Self::Manage,
        }
    }
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Read => Self::Read,
            KeyScope::Write => Self::Write,
            KeyScope::Manage => Self::Manage,
        }
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Key")]
struct KeyBody {
    /// Its id, which is part of its secret and not secret itself.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it allows.
    scopes: Vec<KeyScope>,
    /// The one bucket it is limited to; null without such a limit.
    bucket: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Who made it: `admin` or `key:<id>`.
    created_by: String,
    /// When it ends; null if never.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used; other replicas and a crash may make it older than it is.
    last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked; null if it wasn't.
    revoked_at: Option<DateTime<Utc>>,
    /// When the secret before the present one stops, or stopped, working; null if there was none.
    replaced_until: Option<DateTime<Utc>>,
}

impl From<ApiKey> for KeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            scopes: key.scopes.into_iter().map(Into::into).collect(),
            bucket: key.bucket.map(|bucket| bucket.to_string()),
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            replaced_until: key.replaced.map(|replaced| replaced.until),
        }
    }
}

/// A key with its new secret, which is shown only here.
#[derive(Debug, Object)]
#[oai(rename = "ShownKey")]
struct ShownKeyBody {
    /// The key.
    #[oai(flatten)]
    key: KeyBody,
    /// The secret. Keep it: only its hash is stored. Missing when the request was repeated.
    #[oai(skip_serializing_if_is_none)]
    api_key: Option<String>,
    /// Says so.
    #[oai(skip_serializing_if_is_none)]
    api_key_note: Option<String>,
}

impl From<ShownKey> for ShownKeyBody {
    fn from(shown: ShownKey) -> Self {
        let api_key_note = shown.secret.is_none().then(|| KEY_WAS_SHOWN.to_owned());
        Self { key: shown.key.into(), api_key: shown.secret, api_key_note }
    }
}

/// What a new key should be.
#[derive(Debug, Object)]
struct CreateKey {
    /// 1 to 100 characters; need not be unique.
    name: String,
    /// What it allows: no more than the key that makes it.
    scopes: Vec<KeyScope>,
    /// The one bucket it is limited to. It need not be there yet.
    bucket: Option<String>,
    /// When it ends (RFC 3339). Without an end it ends with the key that makes it, if that ends.
    expires_at: Option<String>,
    /// Seconds after which it ends, in place of `expires_at`.
    expires_in: Option<i64>,
}

/// A page of keys.
#[derive(Debug, Object)]
struct KeyList {
    /// The keys, newest first.
    keys: Vec<KeyBody>,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(ApiResponse)]
enum KeyCreated {
    /// The key is there.
    #[oai(status = 201)]
    Created(Json<ShownKeyBody>),
}

#[OpenApi(tag = "Area::Keys")]
impl KeysApi {
    /// Create a key
    ///
    /// Its secret is shown only this once. For admins, and for keys with the scope `manage` that are not limited to a
    /// bucket; a key can't give scopes that it doesn't have, nor a later end than its own.
    #[oai(path = "/projects/:project/keys", method = "post", operation_id = "create_key")]
    async fn create(&self, auth: Auth, project: Path<String>, body: Json<CreateKey>) -> ApiResult<KeyCreated> {
        let project = project_id(&project.0)?;
        let CreateKey { name, scopes, bucket, expires_at, expires_in } = body.0;
        let new = NewKey {
            name,
            scopes: scopes.into_iter().map(Scope::from).collect::<BTreeSet<_>>(),
            bucket: bucket.as_deref().map(bucket_name).transpose()?,
            end: end(expires_at.as_deref(), expires_in)?,
        };
        let made = self.keys.create(auth.caller(), &project, new).await?;
        Ok(KeyCreated::Created(Json(made.into())))
    }

    /// List keys
    ///
    /// Newest first, with those that were revoked or have expired; never with a secret.
    #[oai(path = "/projects/:project/keys", method = "get", operation_id = "list_keys")]
    async fn list(
        &self,
        auth: Auth,
        project: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<KeyList>> {
        let project = project_id(&project.0)?;
        let limit = number("limit", limit.0, 1..=MAX_KEYS_LISTED, 100)?;
        let after = read_cursor(after.0.as_deref(), ApiKeyId::parse)?;
        let found = self.keys.list(auth.caller(), &project, KeyFilter { after, limit }).await?;
        let next_cursor = next_cursor(&found, limit, |last| last.id.to_string());
        Ok(Json(KeyList { keys: found.into_iter().map(Into::into).collect(), next_cursor }))
    }

    /// Look at a key
    #[oai(path = "/projects/:project/keys/:key", method = "get", operation_id = "get_key")]
    async fn get(&self, auth: Auth, project: Path<String>, key: Path<String>) -> ApiResult<Json<KeyBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.keys.get(auth.caller(), &project, &key.0).await?.into()))
    }

    /// Give a key another secret
    ///
    /// The new secret works at once and is shown only this once. The one it replaces goes on working for `overlap`
    /// seconds; after a leak let that be 0.
    #[oai(path = "/projects/:project/keys/:key/rotate", method = "post", operation_id = "rotate_key")]
    async fn rotate(
        &self,
        auth: Auth,
        project: Path<String>,
        key: Path<String>,
        /// Seconds that the replaced secret goes on working: 0 to 604800; unless told, as configured.
        overlap: Query<Option<i64>>,
    ) -> ApiResult<Json<ShownKeyBody>> {
        let project = project_id(&project.0)?;
        let overlap = overlap.0.map(|given| seconds("overlap", given)).transpose()?;
        Ok(Json(self.keys.rotate(auth.caller(), &project, &key.0, overlap).await?.into()))
    }

    /// Revoke a key
    ///
    /// It stops working at once, and stays in the list. Revoking it again changes nothing.
    #[oai(path = "/projects/:project/keys/:key", method = "delete", operation_id = "revoke_key")]
    async fn revoke(&self, auth: Auth, project: Path<String>, key: Path<String>) -> ApiResult<Gone> {
        let project = project_id(&project.0)?;
        self.keys.revoke(auth.caller(), &project, &key.0).await?;
        Ok(Gone::NoContent)
    }
}

fn seconds(name: &str, given: i64) -> ApiResult<TimeDelta> {
    TimeDelta::try_seconds(given).ok_or_else(|| ApiError::out_of_range(format!("{name} is a number of seconds")))
}

fn end(at: Option<&str>, after: Option<i64>) -> ApiResult<Option<KeyEnd>> {
    match (at, after) {
        (None, None) => Ok(None),
        (Some(at), None) => Ok(Some(KeyEnd::At(time("expires_at", at)?))),
        (None, Some(after)) => Ok(Some(KeyEnd::After(seconds("expires_in", after)?))),
        (Some(_), Some(_)) => Err(ApiError::out_of_range("name one end: expires_at or expires_in")),
    }
}
