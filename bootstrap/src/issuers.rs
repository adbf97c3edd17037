//! Identity providers: from their settings to the adapter that asks them, and to what their claims mean.

use anyhow::Context as _;
use gadwall_application::tokens::{AdminRule, BucketRule, Claim, ClaimRules, ProjectTemplate};
use gadwall_oidc::{Algorithm, IssuerConfig};

use crate::config::Issuer;

/// How a claim names a project unless it is said.
const ITSELF: &str = "{project}";

/// What the adapter has to know.
pub(crate) fn adapter(issuer: &Issuer) -> IssuerConfig {
    let is_plain = |url: &String| url.starts_with("http://");
    IssuerConfig {
        issuer: issuer.issuer.clone(),
        audiences: issuer.audiences.clone(),
        jwks_url: issuer.jwks_url.clone(),
        // The configuration has refused all others.
        algorithms: issuer.algorithms.iter().filter_map(|name| Algorithm::parse(name)).collect(),
        leeway: issuer.leeway,
        token_type: issuer.token_type.clone(),
        keys_ttl: issuer.keys_ttl,
        keys_stale: issuer.keys_stale,
        timeout: issuer.timeout,
        // Whoever is asked with TLS can't send us to where there is none.
        allow_http: is_plain(&issuer.issuer) || issuer.jwks_url.as_ref().is_some_and(is_plain),
    }
}

/// What its tokens allow.
pub(crate) fn rules(issuer: &Issuer) -> anyhow::Result<ClaimRules> {
    let claim = |name: &String| Claim::new(name.as_str());
    let template = issuer.project_template.as_deref().unwrap_or(ITSELF);
    let template = ProjectTemplate::parse(template).context("auth.oidc: project_template is none")?;
    let admin = issuer.admin_claim.as_ref().zip(issuer.admin_value.as_ref());
    Ok(ClaimRules {
        subject: claim(&issuer.subject_claim),
        projects: issuer.project_claim.as_ref().map(|name| (claim(name), template)),
        scopes: claim(&issuer.scope_claim),
        roles: issuer.roles.clone(),
        bucket: issuer
            .bucket_claim
            .as_ref()
            .map(|name| BucketRule { claim: claim(name), optional: issuer.bucket_optional }),
        admin: admin.map(|(name, value)| AdminRule { claim: claim(name), value: value.clone() }),
    })
}
