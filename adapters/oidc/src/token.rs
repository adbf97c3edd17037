//! A token's parts, and what its claims must say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ports::tokens::{TokenError, VerifiedToken};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::IssuerConfig;
use crate::algorithm::Algorithm;
use crate::jwk::MAX_KEY_ID;

/// What is said of the signature. A field that is there twice is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood. None is.
    crit: Option<IgnoredAny>,
}

/// A token that is taken apart, and not believed yet.
pub(crate) struct Token<'t> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'t str,
    signature: Vec<u8>,
}

const MALFORMED: TokenError = TokenError::Invalid("it can't be read");

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'t str) -> Result<Self, TokenError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| MALFORMED)?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| MALFORMED)?;
        if header.crit.is_some() {
            return Err(TokenError::Invalid("it needs an extension that is not known here"));
        }
        Ok(Self { header, claims, signed, signature: decode(signature)? })
    }

    /// Who says to have issued it.
    pub(crate) fn issuer(&self) -> Result<&str, TokenError> {
        self.claims.get("iss").and_then(Value::as_str).ok_or(TokenError::Invalid("it doesn't name its issuer"))
    }

    /// How it says to be signed, if that is allowed.
    pub(crate) fn algorithm(&self, config: &IssuerConfig) -> Result<Algorithm, TokenError> {
        let named = Algorithm::parse(&self.header.alg).filter(|named| config.algorithms.contains(named));
        named.ok_or(TokenError::Invalid("its algorithm is not allowed"))
    }

    /// Which key says to have signed it.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref().filter(|id| id.len() <= MAX_KEY_ID)
    }

    /// What is signed.
    pub(crate) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// The signature.
    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Refuses a token that is of another type than the configured one.
    pub(crate) fn check_type(&self, config: &IssuerConfig) -> Result<(), TokenError> {
        let Some(wanted) = &config.token_type else { return Ok(()) };
        // RFC 7515 lets issuers leave out `application/`.
        let short = |name: &str| name.to_ascii_lowercase().trim_start_matches("application/").to_owned();
        match &self.header.typ {
            Some(named) if short(named) == short(wanted) => Ok(()),
            _ => Err(TokenError::Invalid("it is not of the type that its issuer's access tokens have")),
        }
    }

    /// Refuses a token that is for others, or for another time.
    pub(crate) fn check_claims(self, config: &IssuerConfig, now: DateTime<Utc>) -> Result<VerifiedToken, TokenError> {
        let is_ours = |audience: &Value| audience.as_str().is_some_and(|one| config.audiences.iter().any(|a| a == one));
        let for_us = match self.claims.get("aud") {
            Some(Value::Array(several)) => several.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if !for_us {
            return Err(TokenError::Invalid("it is not for this server"));
        }
        let leeway = TimeDelta::from_std(config.leeway).unwrap_or_default();
        let expires_at = self.time("exp")?.ok_or(TokenError::Invalid("it has no end"))?;
        for begin in ["nbf", "iat"] {
            if self.time(begin)?.is_some_and(|begin| begin > now + leeway) {
                return Err(TokenError::Invalid("it is not valid yet"));
            }
        }
        if expires_at + leeway <= now {
            return Err(TokenError::Expired);
        }
        Ok(VerifiedToken { issuer: config.issuer.clone(), claims: self.claims, expires_at })
    }

    /// A time in a claim: seconds since 1970, with or without a fraction.
    fn time(&self, claim: &str) -> Result<Option<DateTime<Utc>>, TokenError> {
        /// The year 9999, so that a leeway can be added.
        const LAST: f64 = 253_402_300_000.0;
        let Some(value) = self.claims.get(claim) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds));
        #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
        let time = seconds.and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1_000.0) as i64));
        time.map(Some).ok_or(TokenError::Invalid("one of its times can't be one"))
    }
}
