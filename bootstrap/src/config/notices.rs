//! What a person should hear at start although the configuration is valid.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::key::keys;
use super::load::Loaded;

/// Settings that nothing uses yet, and a server that is open to its network.
pub(super) fn of(loaded: &Loaded) -> Vec<String> {
    let mut unused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in keys().filter(|key| loaded.origins.contains_key(key.path)) {
        if let Some(capability) = key.planned {
            unused.entry(capability).or_default().push(key.path);
        }
    }
    let without_effect =
        |(capability, keys): (&str, Vec<&str>)| format!("not used yet ({capability}): {}", keys.join(", "));
    let mut notices: Vec<String> = unused.into_iter().map(without_effect).collect();
    let server = &loaded.config.server;
    if !loaded.config.auth.enabled && !is_local(&server.host) {
        notices.push(format!(
            "auth.enabled is false and the server listens on {}: everyone who reaches it may do anything",
            server.host
        ));
    }
    let asked = loaded.config.auth.oidc.iter().flat_map(|issuer| [Some(&issuer.issuer), issuer.jwks_url.as_ref()]);
    for url in asked.flatten().filter(|url| url.starts_with("http://")) {
        notices.push(format!("auth.oidc: {url} is asked without TLS: whoever stands in between can make tokens"));
    }
    notices
}

fn is_local(host: &str) -> bool {
    host.parse().map_or(host.eq_ignore_ascii_case("localhost"), |address: IpAddr| address.is_loopback())
}
