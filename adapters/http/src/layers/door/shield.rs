//! What answers tell browsers not to do with them.

use std::time::Duration;

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Visit, unless_set};

/// Answers are data: nothing in them runs or is shown in another page.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The documentation is one page with its scripts and styles in it. It asks this server only.
const DOCUMENTATION: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers, and how long browsers shall insist on TLS.
pub(crate) struct Shield {
    insist: Option<HeaderValue>,
}

impl Shield {
    /// Zero doesn't insist.
    pub(crate) fn new(insist_on_tls: Duration) -> Self {
        let header = HeaderValue::try_from(format!("max-age={}", insist_on_tls.as_secs())).ok();
        Self { insist: header.filter(|_| !insist_on_tls.is_zero()) }
    }

    pub(super) fn tell(&self, visit: &Visit, status: StatusCode, headers: &mut HeaderMap) {
        unless_set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        unless_set(headers, header::REFERRER_POLICY, "no-referrer");
        unless_set(headers, header::X_FRAME_OPTIONS, "DENY");
        let policy = if visit.is_documentation { DOCUMENTATION } else { DATA };
        unless_set(headers, header::CONTENT_SECURITY_POLICY, policy);
        // What changes something may answer with a secret, and a failure is of the moment.
        let of_the_moment = !visit.is_safe || status.is_client_error() || status.is_server_error();
        let caching = if of_the_moment { "no-store" } else { "private, no-cache" };
        if !visit.is_documentation {
            unless_set(headers, header::CACHE_CONTROL, caching);
        }
        if let Some(insist) = self.insist.as_ref().filter(|_| visit.encrypted) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, insist.clone());
        }
    }
}
