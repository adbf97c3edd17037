//! Tokens of a real issuer on a port of its own.

mod claims;
mod issuers;
mod signatures;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_application::testing::FixedClock;
use gadwall_application::testing::builders::noon;
use gadwall_domain::ports::tokens::{TokenError, TokenVerifier as _, VerifiedToken};
use gadwall_test_services::{Issuer, SigningKey};
use serde_json::{Value, json};

use crate::{Algorithm, IssuerConfig, OidcVerifier};

const AUDIENCE: &str = "gadwall";

/// An issuer with one key, and a verifier that takes its tokens.
struct Scene {
    key: SigningKey,
    issuer: Issuer,
    clock: Arc<FixedClock>,
    verifier: OidcVerifier,
}

fn config(issuer: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "other".to_owned()],
        jwks_url: None,
        algorithms: Algorithm::ALL.to_vec(),
        leeway: Duration::from_secs(30),
        token_type: None,
        keys_ttl: Duration::from_mins(10),
        keys_stale: Duration::from_hours(1),
        timeout: Duration::from_millis(500),
        allow_http: true,
    }
}

fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let key = SigningKey::new("k1", "ES256").unwrap();
        let issuer = Issuer::start(&[&key]).await.unwrap();
        let clock = Arc::new(FixedClock::at(noon()));
        let mut config = config(issuer.url());
        change(&mut config);
        let verifier = OidcVerifier::new(vec![config], Arc::clone(&clock) as _).unwrap();
        Self { key, issuer, clock, verifier }
    }

    /// Claims of a good token, from now on for an hour.
    fn claims(&self) -> Value {
        let end = self.clock_now() + TimeDelta::hours(1);
        json!({ "iss": self.issuer.url(), "aud": AUDIENCE, "sub": "ann", "exp": seconds(end) })
    }

    fn clock_now(&self) -> DateTime<Utc> {
        use gadwall_domain::ports::system::Clock as _;
        self.clock.now()
    }

    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        self.verifier.verify(token).await
    }

    /// What becomes of a token by this key.
    async fn by(&self, key: &SigningKey) -> Result<(), TokenError> {
        self.verify(&key.token(&self.claims())).await.map(drop)
    }

    /// What becomes of a good token.
    async fn good(&self) -> Result<(), TokenError> {
        self.by(&self.key).await
    }

    /// What becomes of a token that has this claim instead.
    async fn with_claim(&self, name: &str, value: Value) -> Result<(), TokenError> {
        let mut claims = self.claims();
        claims[name] = value;
        self.verify(&self.key.token(&claims)).await.map(drop)
    }
}

fn is_invalid(outcome: &Result<(), TokenError>) -> bool {
    matches!(outcome, Err(TokenError::Invalid(_)))
}

fn is_away(outcome: &Result<(), TokenError>) -> bool {
    matches!(outcome, Err(TokenError::IssuerAway { .. }))
}
