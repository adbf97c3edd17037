//! Who calls, and what they may do.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, CallerId, TokenId};
use crate::names::{BucketName, ProjectId};

/// What a key allows within its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See tables and query them.
    Read,
    /// Change rows.
    Write,
    /// Create, change and delete buckets and tables; change and delete the project.
    Manage,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Manage];

    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }

    /// The scope of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// The SHA-256 digest of a key: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

/// A project's API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id. Not secret.
    pub id: ApiKeyId,
    /// The project it opens.
    pub project: ProjectId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// The one bucket it is limited to, if any.
    pub bucket: Option<BucketName>,
    /// Digest of the secret text.
    pub digest: KeyDigest,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Who made it, as [`Principal::label`] has it.
    pub created_by: String,
    /// When it was last used, a little late; `None` if never.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The secret before this one, if it was rotated.
    pub replaced: Option<ReplacedSecret>,
    /// Digest of the repeatable request that made the present secret, if it was one.
    pub request_digest: Option<String>,
}

/// A key's secret that a rotation replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedSecret {
    /// Its digest.
    pub digest: KeyDigest,
    /// Until when it still opens what the key opens.
    pub until: DateTime<Utc>,
}

/// What a key is good for at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It opens what it says.
    Usable,
    /// It was revoked: nothing any more.
    Revoked,
    /// Its time is over.
    Expired,
}

impl ApiKey {
    /// A key that may do everything in its project, made by the admin, that nobody has used.
    pub fn of_whole_project(
        id: ApiKeyId,
        project: ProjectId,
        name: &str,
        digest: KeyDigest,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            project,
            name: name.to_owned(),
            scopes: BTreeSet::from(Scope::ALL),
            bucket: None,
            digest,
            created_at,
            expires_at: None,
            revoked_at: None,
            created_by: Principal::Admin.label(),
            last_used_at: None,
            replaced: None,
            request_digest: None,
        }
    }

    /// What the key is good for at this time.
    pub fn standing_at(&self, now: DateTime<Utc>) -> Standing {
        if self.revoked_at.is_some() {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Usable
        }
    }
}

/// Begins each secret, so that scanners of leaked secrets can tell one.
const SECRET_PREFIX: &str = "gadwall";

/// The text of a key's secret: prefix, id of the key, and 128 random bits. The older form
/// `proj_<project>_admin_<hex>` is accepted as well: a key is known by the digest of its whole text.
pub fn secret_text(id: ApiKeyId, random: [u8; 16]) -> String {
    format!("{SECRET_PREFIX}_{}_{:032x}", id.uuid().simple(), u128::from_be_bytes(random))
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An admin key: everything, every project.
    Admin,
    /// A project's key.
    Key {
        /// Which key.
        id: ApiKeyId,
        /// The project it opens.
        project: ProjectId,
        /// What it allows there.
        scopes: BTreeSet<Scope>,
        /// The one bucket it is limited to, if any.
        bucket: Option<BucketName>,
    },
    /// Whoever an identity provider's token speaks of.
    Token(TokenAccess),
}

/// What a token of an identity provider allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAccess {
    /// Issuer and subject.
    pub id: TokenId,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
    /// What it opens.
    pub grant: Grant,
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Everything, every project.
    Admin,
    /// Some projects; none for somebody who is only known.
    Projects {
        /// Which.
        projects: BTreeSet<ProjectId>,
        /// What it allows in each of them.
        scopes: BTreeSet<Scope>,
        /// The one bucket it is limited to, if any.
        bucket: Option<BucketName>,
    },
}

impl Principal {
    /// Whether it may do everything.
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Admin | Self::Token(TokenAccess { grant: Grant::Admin, .. }))
    }

    /// Whether it may do such a thing in that project at all.
    pub fn may(&self, project: &ProjectId, scope: Scope) -> bool {
        match self {
            Self::Admin | Self::Token(TokenAccess { grant: Grant::Admin, .. }) => true,
            Self::Key { project: own, scopes, .. } => own == project && scopes.contains(&scope),
            Self::Token(TokenAccess { grant: Grant::Projects { projects, scopes, .. }, .. }) => {
                projects.contains(project) && scopes.contains(&scope)
            }
        }
    }

    /// The bucket it is limited to, if any.
    pub fn only_bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Admin | Self::Token(TokenAccess { grant: Grant::Admin, .. }) => None,
            Self::Key { bucket, .. } | Self::Token(TokenAccess { grant: Grant::Projects { bucket, .. }, .. }) => {
                bucket.as_ref()
            }
        }
    }

    /// Whether it may touch that bucket, as far as a limit to one bucket goes.
    pub fn may_touch(&self, bucket: &BucketName) -> bool {
        self.only_bucket().is_none_or(|only| only == bucket)
    }

    /// The projects that it opens; none are named for an admin, who may open each.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectId> {
        let (one, several) = match self {
            Self::Admin | Self::Token(TokenAccess { grant: Grant::Admin, .. }) => (None, None),
            Self::Key { project, .. } => (Some(project), None),
            Self::Token(TokenAccess { grant: Grant::Projects { projects, .. }, .. }) => (None, Some(projects)),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// Whose key or token it is; none for an admin's key.
    pub fn id(&self) -> Option<CallerId> {
        match self {
            Self::Admin => None,
            Self::Key { id, .. } => Some(CallerId::Key(*id)),
            Self::Token(token) => Some(CallerId::Token(token.id.clone())),
        }
    }

    /// A short name for logs and audit entries: `admin`, `key:<id>` or `token:<issuer>#<subject>`.
    pub fn label(&self) -> String {
        self.id().map_or_else(|| "admin".to_owned(), |id| id.label())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(scopes: &[Scope], bucket: Option<&str>) -> Principal {
        Principal::Key {
            id: ApiKeyId::new(Uuid::nil()),
            project: ProjectId::parse("p1").unwrap(),
            scopes: scopes.iter().copied().collect(),
            bucket: bucket.map(|name| BucketName::parse(name).unwrap()),
        }
    }

    #[test]
    fn a_key_opens_its_own_project_within_its_scopes() {
        let own = ProjectId::parse("P1").unwrap();
        let other = ProjectId::parse("p2").unwrap();
        let reader = key(&[Scope::Read], None);
        assert!(reader.may(&own, Scope::Read));
        assert!(!reader.may(&own, Scope::Write));
        assert!(!reader.may(&other, Scope::Read));
        assert!(Principal::Admin.may(&other, Scope::Manage));
    }

    #[test]
    fn a_secret_names_its_key() {
        let id = ApiKeyId::new(Uuid::from_u128(0xAB));
        let text = secret_text(id, 7_u128.to_be_bytes());
        assert_eq!(text, "gadwall_000000000000000000000000000000ab_00000000000000000000000000000007");
    }

    #[test]
    fn a_key_may_be_limited_to_one_bucket() {
        let limited = key(&[Scope::Read], Some("sales"));
        assert!(limited.may_touch(&BucketName::parse("SALES").unwrap()));
        assert!(!limited.may_touch(&BucketName::main()));
    }

    #[test]
    fn a_token_opens_the_projects_that_it_names() {
        let grant = Grant::Projects {
            projects: ["p1", "p2"].map(|id| ProjectId::parse(id).unwrap()).into(),
            scopes: [Scope::Read].into(),
            bucket: None,
        };
        let token = |grant| {
            let id = TokenId::new("https://id.example.com", "ann").unwrap();
            Principal::Token(TokenAccess { id, expires_at: DateTime::UNIX_EPOCH, grant })
        };
        let [own, other] = ["P2", "p3"].map(|id| ProjectId::parse(id).unwrap());
        let user = token(grant);
        assert!(user.may(&own, Scope::Read) && !user.may(&own, Scope::Write) && !user.may(&other, Scope::Read));
        assert!(!user.is_admin() && token(Grant::Admin).is_admin());
        assert!(token(Grant::Admin).may(&other, Scope::Manage));
        assert_eq!(user.label(), "token:id.example.com#ann");
    }
}
