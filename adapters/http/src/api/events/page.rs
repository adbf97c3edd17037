//! A page that shows events, for who wants to see them with a browser. One file, nothing to be built.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Endpoint, Response};
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("test.html");

/// Serves the page. Its own script runs, and no other.
pub(crate) fn page() -> impl Endpoint<Output = Response> + 'static {
    let policy = HeaderValue::try_from(policy()).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONTENT_SECURITY_POLICY, policy.clone())
            .body(PAGE)
    })
}

fn policy() -> String {
    let part = |name: &str| {
        let (_, rest) = PAGE.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(STANDARD.encode(Sha256::digest(text)))
    };
    let (script, style) = (part("script").unwrap_or_default(), part("style").unwrap_or_default());
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains(" src="));
        assert!(policy().contains("script-src 'sha256-") && !policy().contains("sha256-'"));
    }
}
