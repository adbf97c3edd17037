//! Settings of the server's door: encryption, pages of other origins, and how often callers may ask.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::choices::ClientCertificates;
use crate::config::kind::{Kind, seconds};

section! {
    /// TLS. It is on when `tls.certificate` and `tls.key` are set; then nothing is served without it.
    pub struct Tls = "tls" {
        /// The server's certificate in PEM, followed by those between it and its authority's.
        certificate: Option<PathBuf> = None, Kind::Path, otherwise "none";
        /// Its private key in PEM.
        key: Option<PathBuf> = None, Kind::Path, otherwise "none";
        /// Certificates in PEM of those who sign the certificates of clients.
        client_ca: Option<PathBuf> = None, Kind::Path, otherwise "none";
        /// Whether clients show a certificate of `tls.client_ca`. It opens the connection; a key is needed all the same.
        client_certificates: ClientCertificates = ClientCertificates::None, Kind::Choice(ClientCertificates::WORDS);
        /// How often the files are looked at; changed ones hold for new connections. 0 looks only on SIGHUP.
        reload_interval: Duration = seconds(60), Kind::span(0, 86_400);
        /// How long browsers that came by TLS shall come by nothing else (`Strict-Transport-Security`); 0 doesn't tell.
        hsts_max_age: Duration = seconds(31_536_000), Kind::span(0, 63_072_000);
    }
}

section! {
    /// Scripts of web pages. Without `cors.allow_origins` browsers let no page of another origin read answers.
    pub struct Cors = "cors" {
        /// Origins of pages that may, such as `https://app.example.org`; or `*` for all.
        allow_origins: Vec<String> = Vec::new(), Kind::Origins, otherwise "none";
        /// How long browsers may remember what they were told.
        max_age: Duration = seconds(600), Kind::span(0, 86_400);
    }
}

section! {
    /// How often callers may ask: a bucket of requests for each, which fills again evenly. Probes (`/health`, `/livez`,
    /// `/readyz`, `/startupz`) don't count. Each server counts for itself.
    pub struct RateLimit = "rate_limit" {
        /// Requests with one key in `rate_limit.key_window`; 0 for any number. The keys of administrators count as one.
        key_requests: u32 = 60_000, Kind::integer(0, 1_000_000_000);
        /// See `rate_limit.key_requests`.
        key_window: Duration = seconds(60), Kind::span(1, 86_400);
        /// Requests with one key that run SQL, in `rate_limit.query_window`; 0 for any number.
        query_requests: u32 = 0, Kind::integer(0, 1_000_000_000);
        /// See `rate_limit.query_requests`.
        query_window: Duration = seconds(60), Kind::span(1, 86_400);
        /// Requests of one address, with whatever key, in `rate_limit.address_window`; 0 for any number. An IPv6 network
        /// of 64 bits counts as one address.
        address_requests: u32 = 120_000, Kind::integer(0, 1_000_000_000);
        /// See `rate_limit.address_requests`.
        address_window: Duration = seconds(60), Kind::span(1, 86_400);
    }
}
