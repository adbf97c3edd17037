//! The HTTP client of tests and measurements.

use reqwest::{Client, ClientBuilder};

/// Builds a client that goes nowhere but where it is told to.
pub fn builder() -> ClientBuilder {
    // A client wants its cryptography chosen before it is built, even if it never needs any. Where it is chosen already,
    // that choice stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}
