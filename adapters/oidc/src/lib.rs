//! Tokens of OpenID Connect issuers: checks them by the keys that their issuer publishes.
//!
//! A key fits one family of algorithms, by its type, and only those that are configured are tried: neither `none`
//! nor a signature with a shared secret can be said here at all. Keys are fetched when they are needed, kept for a while, and
//! fetched again before they are old; garbage asks an issuer once in some seconds at most.
#![deny(missing_docs)]

mod algorithm;
mod fetch;
mod jwk;
mod keys;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_application::breaker::{Breaker, BreakerConfig};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::ports::tokens::{TokenError, TokenVerifier, VerifiedToken};
use thiserror::Error;

pub use algorithm::Algorithm;
use fetch::Fetcher;
use keys::IssuerKeys;
use token::Token;

/// An issuer whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Its URL, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// Whom its tokens must be for: one of these.
    pub audiences: Vec<String>,
    /// Where its keys are; without, its discovery document tells.
    pub jwks_url: Option<String>,
    /// How its tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far its clock may be off.
    pub leeway: Duration,
    /// What the header `typ` must say, if it must.
    pub token_type: Option<String>,
    /// How long its keys are good without being fetched again.
    pub keys_ttl: Duration,
    /// How much longer they are used while it can't be reached.
    pub keys_stale: Duration,
    /// Longest time for one of its answers, to the last byte.
    pub timeout: Duration,
    /// Whether it may be asked without TLS.
    pub allow_http: bool,
}

/// Nobody can be asked.
#[derive(Debug, Error)]
#[error("the client for issuers of tokens can't be made")]
pub struct OidcOpenError(#[source] reqwest::Error);

struct Issuer {
    config: IssuerConfig,
    keys: Arc<IssuerKeys>,
}

/// Checks the tokens of some issuers.
pub struct OidcVerifier {
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for OidcVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers = self.issuers.iter().map(|issuer| &issuer.config.issuer);
        f.debug_list().entries(issuers).finish()
    }
}

/// When an issuer that fails is left alone. One good answer is enough.
const BREAKER: BreakerConfig = BreakerConfig {
    failure_threshold: 3,
    success_threshold: 1,
    timeout: Duration::from_secs(15),
    max_timeout: Duration::from_mins(1),
    window: 10,
    window_age: Duration::from_mins(5),
};

impl OidcVerifier {
    /// Takes tokens of these issuers. Asks none of them yet.
    pub fn new(issuers: Vec<IssuerConfig>, clock: Arc<dyn Clock>) -> Result<Self, OidcOpenError> {
        let issuer = |config: IssuerConfig| {
            let fetcher = Fetcher::new(&config).map_err(OidcOpenError)?;
            let breaker = Breaker::new("oidc", BREAKER, Arc::clone(&clock));
            let keys = IssuerKeys::new(fetcher, breaker, Arc::clone(&clock), config.keys_ttl, config.keys_stale);
            Ok(Issuer { config, keys: Arc::new(keys) })
        };
        let issuers = issuers.into_iter().map(issuer).collect::<Result<_, OidcOpenError>>()?;
        Ok(Self { issuers, clock })
    }

    /// Begins to fetch all keys, so that the first token doesn't have to wait for them. Needs a runtime.
    pub fn warm_up(&self) {
        for issuer in &self.issuers {
            issuer.keys.warm_up();
        }
    }
}

#[async_trait]
impl TokenVerifier for OidcVerifier {
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        let token = Token::parse(token)?;
        let named = token.issuer()?;
        let issuer = self.issuers.iter().find(|issuer| issuer.config.issuer == named);
        let Issuer { config, keys } = issuer.ok_or(TokenError::Invalid("its issuer is not known"))?;
        let algorithm = token.algorithm(config)?;
        token.check_type(config)?;
        let key = keys.find(token.key_id(), algorithm).await?;
        if !key.has_signed(algorithm, token.signed(), token.signature()) {
            return Err(TokenError::Invalid("its signature is wrong"));
        }
        token.check_claims(config, self.clock.now())
    }
}
