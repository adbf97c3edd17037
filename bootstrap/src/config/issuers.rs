//! Identity providers: the tables `[[auth.oidc]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use figment::value::Value;
use gadwall_application::tokens::{ProjectTemplate, is_token};
use gadwall_domain::access::Scope;
use gadwall_domain::ids::TokenId;
use gadwall_oidc::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::error::Problem;
use super::human::show_span;
use super::raw::Raw;
use super::{Auth, Environment, span};

/// Most issuers.
const MAX_ISSUERS: usize = 16;
/// Where they stand.
const KEY: &str = "auth.oidc";

/// An identity provider whose tokens are taken, and what the claims of its tokens mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its URL, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// Whom its tokens must be for: `aud` has one of these.
    #[serde(deserialize_with = "one_or_many")]
    pub audiences: Vec<String>,
    /// Where its keys are; without, its discovery document tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// How its tokens may be signed.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    /// How far its clock may be off.
    #[serde(default = "leeway", with = "span")]
    pub leeway: Duration,
    /// What the header `typ` of its tokens must say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// The claim that says whom a token speaks of.
    #[serde(default = "subject_claim")]
    pub subject_claim: String,
    /// The claim that names projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_claim: Option<String>,
    /// How the claim's texts name a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_template: Option<String>,
    /// The claim that says what a token allows.
    #[serde(default = "scope_claim")]
    pub scope_claim: String,
    /// What the words of that claim allow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, BTreeSet<Scope>>,
    /// The claim that limits a token to a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_claim: Option<String>,
    /// Whether a token without that claim is limited to no bucket.
    #[serde(default)]
    pub bucket_optional: bool,
    /// The claim that makes an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_claim: Option<String>,
    /// What that claim says then, or has in its list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_value: Option<String>,
    /// How long its keys are good without being fetched again.
    #[serde(default = "keys_ttl", with = "span")]
    pub keys_ttl: Duration,
    /// How much longer they are used while it can't be reached.
    #[serde(default = "keys_stale", with = "span")]
    pub keys_stale: Duration,
    /// Longest time for one of its answers.
    #[serde(default = "timeout", with = "span")]
    pub timeout: Duration,
    /// Whether it may be asked without TLS, or on this machine, in production as well.
    #[serde(default)]
    pub allow_insecure: bool,
}

fn algorithms() -> Vec<String> {
    vec!["RS256".to_owned(), "ES256".to_owned()]
}

fn leeway() -> Duration {
    Duration::from_secs(30)
}

fn subject_claim() -> String {
    "sub".to_owned()
}

fn scope_claim() -> String {
    "scope".to_owned()
}

fn keys_ttl() -> Duration {
    Duration::from_mins(10)
}

fn keys_stale() -> Duration {
    Duration::from_hours(1)
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Written::deserialize(from)? {
        Written::One(one) => vec![one],
        Written::Many(many) => many,
    })
}

/// The issuers of a source, in the form that serde reads; or what is wrong with them.
pub(super) fn read(raw: &Raw) -> Result<Value, String> {
    let tables = match raw {
        Raw::Word(text) => tables_of(&json(&written(text)?)?)?,
        other => tables_of(&json(other)?)?,
    };
    if tables.len() > MAX_ISSUERS {
        return Err(format!("there are more than {MAX_ISSUERS}"));
    }
    let mut issuers = Vec::new();
    for (number, table) in (1..).zip(tables) {
        let issuer: Issuer = serde_json::from_value(table).map_err(|error| format!("table {number}: {error}"))?;
        issuers.push(issuer);
    }
    Value::serialize(issuers).map_err(|_| "they can't be kept".to_owned())
}

/// The value that stands in a variable, as TOML.
fn written(text: &str) -> Result<Raw, String> {
    let document = format!("x = {text}");
    let table = toml::de::DeTable::parse(&document).ok();
    let only = table.as_ref().map(toml::Spanned::get_ref).filter(|table| table.len() == 1);
    let value = only.and_then(|table| table.iter().next()).map(|(_, value)| Raw::from(value.get_ref()));
    value.ok_or_else(|| "the variable holds no list of TOML's inline tables".to_owned())
}

fn tables_of(json: &Json) -> Result<Vec<Json>, String> {
    match json {
        Json::Array(tables) if tables.iter().all(Json::is_object) => Ok(tables.clone()),
        Json::Object(_) => Ok(vec![json.clone()]),
        _ => Err("these are tables, one for each issuer".to_owned()),
    }
}

fn json(raw: &Raw) -> Result<Json, String> {
    Ok(match raw {
        Raw::Word(text) | Raw::Text(text) => Json::from(text.as_str()),
        Raw::Integer(number) => i64::try_from(*number).map_err(|_| "a number is too large".to_owned())?.into(),
        Raw::Float(number) => Json::from(*number),
        Raw::Switch(switch) => Json::from(*switch),
        Raw::List(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Raw::Table(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.clone(), json(value)?)));
            Json::Object(fields.collect::<Result<Map<_, _>, String>>()?)
        }
        Raw::Other(what) => return Err(format!("{what} means nothing here")),
    })
}

/// As TOML's inline tables.
pub(super) fn show(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}

impl Auth {
    /// What is wrong with the issuers, each for itself, together, and with the rest.
    pub(super) fn issuer_problems(&self, environment: Environment) -> Vec<Problem> {
        let mut wrong = Vec::new();
        for (number, issuer) in (1..).zip(&self.oidc) {
            let name = if issuer.issuer.contains('@') { format!("table {number}") } else { issuer.issuer.clone() };
            wrong.extend(issuer.faults(environment).into_iter().map(|fault| format!("{KEY}, {name}: {fault}")));
        }
        let mut names = BTreeSet::new();
        let mut unless = |fine: bool, fault: &str| {
            if !fine {
                wrong.push(format!("{KEY}: {fault}"));
            }
        };
        // In what is kept, an issuer is named without its scheme.
        let is_new = |issuer: &Issuer| names.insert(issuer.issuer.split_once("://").map(|(_, rest)| rest.to_owned()));
        unless(self.oidc.iter().all(is_new), "an issuer stands there twice");
        unless(self.oidc.is_empty() || self.enabled, "auth.enabled is false, so no token is ever looked at");
        let looks_like_a_token = self.admin_keys.iter().any(|key| is_token(key.expose()));
        unless(
            self.oidc.is_empty() || !looks_like_a_token,
            "one of auth.admin_keys has the shape of a token (three parts with dots between them); choose another key",
        );
        wrong.into_iter().map(|message| Problem::of(KEY, message)).collect()
    }
}

impl Issuer {
    fn faults(&self, environment: Environment) -> Vec<String> {
        let mut faults = Vec::new();
        let mut unless = |fine: bool, fault: &str| {
            if !fine {
                faults.push(fault.to_owned());
            }
        };
        let insecure = environment != Environment::Production || self.allow_insecure;
        for url in [Some(&self.issuer), self.jwks_url.as_ref()].into_iter().flatten() {
            unless(is_url(url), "an address begins with https:// and has neither password nor fragment");
            unless(
                insecure || !(url.starts_with("http://") || is_local(url)),
                "in production an address begins with https:// and is not this machine's, unless allow_insecure is true",
            );
        }
        unless(!self.issuer.contains('?'), "an issuer's address has no query");
        unless(TokenId::new(&self.issuer, "x").is_ok(), "an issuer's address has at most 255 characters");
        unless(!self.audiences.is_empty() && all_filled(&self.audiences), "audiences has at least one, none empty");
        unless(
            !self.algorithms.is_empty() && self.algorithms.iter().all(|name| Algorithm::parse(name).is_some()),
            "algorithms has at least one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, and no others: \
             what is signed with a shared secret, or not at all, is never taken",
        );
        unless(
            self.project_claim.is_some() || self.admin_claim.is_some(),
            "its tokens open nothing; name a project_claim or an admin_claim",
        );
        unless(
            self.admin_claim.is_some() == self.admin_value.is_some(),
            "admin_claim and admin_value are set together or not at all",
        );
        let template = self.project_template.as_deref();
        unless(template.is_none() || self.project_claim.is_some(), "project_template needs a project_claim");
        unless(
            template.is_none_or(|text| ProjectTemplate::parse(text).is_ok()),
            "project_template has {project} in it once, where the project's id stands",
        );
        unless(!self.bucket_optional || self.bucket_claim.is_some(), "bucket_optional needs a bucket_claim");
        unless(self.roles.values().all(|scopes| !scopes.is_empty()), "each of roles has at least one scope");
        let named = [&self.project_claim, &self.bucket_claim, &self.admin_claim, &self.admin_value, &self.token_type];
        let claims = named.into_iter().flatten().chain([&self.subject_claim, &self.scope_claim]);
        unless(all_filled(claims), "names of claims, and values, are not empty");
        for (name, span, least, most) in [
            ("leeway", self.leeway, 0, 300),
            ("keys_ttl", self.keys_ttl, 60, 86_400),
            ("keys_stale", self.keys_stale, 0, 604_800),
            ("timeout", self.timeout, 1, 60),
        ] {
            let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
            let range = format!("{name} is from {} to {}", show_span(least), show_span(most));
            unless((least..=most).contains(&span), &range);
        }
        faults
    }
}

fn all_filled<'t>(texts: impl IntoIterator<Item = &'t String>) -> bool {
    texts.into_iter().all(|text| !text.trim().is_empty())
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"@#\\".contains(&byte));
        is_plain && !authority(text).is_empty()
    })
}

/// Host and port.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// Whether an address is this machine's.
fn is_local(url: &str) -> bool {
    let authority = authority(url);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback() || address.is_unspecified();
    host.parse().map_or(host == "localhost" || host.ends_with(".localhost"), is_loopback)
}
