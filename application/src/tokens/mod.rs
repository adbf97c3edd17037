//! Tokens of identity providers: told from keys by their shape, checked by a port, and turned into what they allow.

mod cache;
mod claims;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::TokenAccess;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::ports::tokens::{TokenError, TokenVerifier, VerifiedToken};

use crate::access::digest;
use cache::TokenCache;

pub use claims::{AdminRule, BucketRule, Claim, ClaimRules, ProjectTemplate, TemplateError};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Whether a text has the shape of a signed token: three parts of base64url with dots between them. Gadwall's own keys
/// have no dots. Without a signature it is a token all the same, and a bad one.
pub fn is_token(text: &str) -> bool {
    let is_base64url = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let mut parts = text.split('.');
    let (head, claims, signature) = (parts.next(), parts.next(), parts.next());
    let is_filled = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && is_base64url(part));
    is_filled(head) && is_filled(claims) && signature.is_some_and(is_base64url) && parts.next().is_none()
}

/// Tokens of the issuers that are known.
pub struct Tokens {
    verifier: Arc<dyn TokenVerifier>,
    /// What the claims of each issuer mean.
    rules: BTreeMap<String, ClaimRules>,
    clock: Arc<dyn Clock>,
    cache: TokenCache,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens checked by `verifier`, read by the rules of their issuer.
    pub fn new(
        verifier: Arc<dyn TokenVerifier>,
        rules: impl IntoIterator<Item = (String, ClaimRules)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, rules: rules.into_iter().collect(), clock, cache: TokenCache::default() }
    }

    /// What a token allows.
    pub(crate) async fn identify(&self, token: &str) -> Result<TokenAccess, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid("it is too long"));
        }
        let digest = digest(token);
        if let Some(known) = self.cache.find(&digest, self.clock.now()) {
            return Ok(known);
        }
        let VerifiedToken { issuer, claims, expires_at } = self.verifier.verify(token).await?;
        let rules = self.rules.get(&issuer).ok_or(TokenError::Invalid("its issuer is not known"))?;
        let access = rules.read(&issuer, &claims, expires_at)?;
        self.cache.keep(digest, &access, self.clock.now());
        Ok(access)
    }
}
