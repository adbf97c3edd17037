//! What the claims of an issuer's tokens mean.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gadwall_domain::access::{Grant, Scope, TokenAccess};
use gadwall_domain::ids::TokenId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::tokens::TokenError;
use serde_json::{Map, Value};
use thiserror::Error;

/// Where a claim is: a name, or the path to it as a JSON pointer (`/realm_access/roles`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(String);

impl Claim {
    /// A claim of that name or at that path.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub(super) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let found = match self.0.strip_prefix('/') {
            None => claims.get(&self.0),
            Some(path) => {
                let (first, rest) = path.find('/').map_or((path, ""), |end| path.split_at(end));
                claims.get(&first.replace("~1", "/").replace("~0", "~")).and_then(|inner| inner.pointer(rest))
            }
        };
        found.filter(|value| !value.is_null())
    }

    /// The claim's text, or all the texts of its list.
    fn texts<'c>(&self, claims: &'c Map<String, Value>) -> Vec<&'c str> {
        match self.find(claims) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// As [`Self::texts`], where a single text is a list with spaces, as OAuth has it.
    fn words<'c>(&self, claims: &'c Map<String, Value>) -> Vec<&'c str> {
        match self.find(claims) {
            Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
            _ => self.texts(claims),
        }
    }
}

/// What stands for the project in a template.
const PLACE: &str = "{project}";

/// How a claim's text names a project, such as `gadwall:{project}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectTemplate {
    before: String,
    after: String,
}

/// A template that names no project, or two.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a template has {PLACE} in it once, where the project's id stands")]
pub struct TemplateError;

impl ProjectTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (before, after) = text.split_once(PLACE).ok_or(TemplateError)?;
        if after.contains(PLACE) {
            return Err(TemplateError);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The project that a text names; none if it is about something else.
    fn read(&self, text: &str) -> Option<ProjectId> {
        let id = text.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        ProjectId::parse(id).ok()
    }
}

/// Which claim limits a token to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRule {
    /// The claim.
    pub claim: Claim,
    /// Whether a token without it is limited to none, or no good.
    pub optional: bool,
}

/// What makes an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminRule {
    /// The claim.
    pub claim: Claim,
    /// What it says, or has in its list.
    pub value: String,
}

/// What the claims of an issuer's tokens mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRules {
    /// Whom a token speaks of.
    pub subject: Claim,
    /// Which projects it opens.
    pub projects: Option<(Claim, ProjectTemplate)>,
    /// What it allows there.
    pub scopes: Claim,
    /// What the words of that claim allow. Without any, they are the names of scopes.
    pub roles: BTreeMap<String, BTreeSet<Scope>>,
    /// Which bucket it is limited to.
    pub bucket: Option<BucketRule>,
    /// Whether it is an admin's.
    pub admin: Option<AdminRule>,
}

impl ClaimRules {
    /// What a token allows that says all this. What isn't understood allows nothing.
    pub(super) fn read(
        &self,
        issuer: &str,
        claims: &Map<String, Value>,
        expires_at: DateTime<Utc>,
    ) -> Result<TokenAccess, TokenError> {
        let subject = self.subject.find(claims).and_then(Value::as_str);
        let subject = subject.ok_or(TokenError::Invalid("it doesn't say whom it speaks of"))?;
        let id = TokenId::new(issuer, subject).map_err(|_| TokenError::Invalid("its subject is too long, or empty"))?;
        let grant = if self.is_admin(claims) {
            Grant::Admin
        } else {
            let (projects, scopes) = (self.projects(claims), self.scopes(claims));
            Grant::Projects { projects, scopes, bucket: self.bucket(claims)? }
        };
        Ok(TokenAccess { id, expires_at, grant })
    }

    fn is_admin(&self, claims: &Map<String, Value>) -> bool {
        self.admin.as_ref().is_some_and(|AdminRule { claim, value }| match claim.find(claims) {
            Some(Value::Bool(is)) => is.to_string() == *value,
            // Elsewhere a text with spaces is one text, not several words.
            _ if *claim == self.scopes => claim.words(claims).contains(&value.as_str()),
            _ => claim.texts(claims).contains(&value.as_str()),
        })
    }

    fn projects(&self, claims: &Map<String, Value>) -> BTreeSet<ProjectId> {
        let Some((claim, template)) = &self.projects else { return BTreeSet::new() };
        claim.texts(claims).into_iter().filter_map(|text| template.read(text)).collect()
    }

    fn scopes(&self, claims: &Map<String, Value>) -> BTreeSet<Scope> {
        let words = self.scopes.words(claims).into_iter();
        if self.roles.is_empty() {
            return words.filter_map(Scope::parse).collect();
        }
        words.filter_map(|word| self.roles.get(word)).flatten().copied().collect()
    }

    fn bucket(&self, claims: &Map<String, Value>) -> Result<Option<BucketName>, TokenError> {
        let Some(BucketRule { claim, optional }) = &self.bucket else { return Ok(None) };
        match claim.find(claims) {
            None if *optional => Ok(None),
            None => Err(TokenError::Invalid("it doesn't say which bucket it is limited to")),
            Some(value) => {
                let bucket = value.as_str().and_then(|name| BucketName::parse(name).ok());
                bucket.map(Some).ok_or(TokenError::Invalid("the bucket that it is limited to can't be one"))
            }
        }
    }
}
