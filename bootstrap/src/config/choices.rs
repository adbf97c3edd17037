//! Settings that are one of a few words.
//!
//! Each enum has a table of its words next to it; the loader checks against the table, serde reads the result.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A word that a setting accepts, and other spellings of it. Case doesn't matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) word: &'static str,
    pub(super) aliases: &'static [&'static str],
}

const fn word(word: &'static str) -> Choice {
    Choice { word, aliases: &[] }
}

const fn aliased(word: &'static str, aliases: &'static [&'static str]) -> Choice {
    Choice { word, aliases }
}

/// What the server runs for. Production refuses what is only comfortable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A laptop.
    #[default]
    Development,
    /// Like production, for trying out.
    Staging,
    /// Other people's data.
    Production,
}

impl Environment {
    pub(super) const WORDS: &'static [Choice] = &[word("development"), word("staging"), word("production")];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The least important events that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What may need attention.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    pub(super) const WORDS: &'static [Choice] =
        &[word("trace"), word("debug"), word("info"), aliased("warn", &["warning"]), aliased("error", &["critical"])];

    /// Its word, as log filters spell it.
    pub fn as_directive(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line, for machines.
    Json,
}

impl LogFormat {
    pub(super) const WORDS: &'static [Choice] = &[word("human"), word("json")];
}

/// How a collector is spoken to, by the names that OpenTelemetry has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OtlpProtocol {
    /// Protocol buffers over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    Http,
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

impl OtlpProtocol {
    pub(super) const WORDS: &'static [Choice] = &[aliased("http/protobuf", &["http"]), word("grpc")];
}

/// What keeps the lakes' catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    /// A file for each lake in the data directory.
    #[default]
    Files,
    /// A schema for each lake in a PostgreSQL database.
    Postgres,
}

impl CatalogKind {
    pub(super) const WORDS: &'static [Choice] =
        &[aliased("files", &["embedded", "duckdb"]), aliased("postgres", &["postgresql"])];
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They aren't asked for one.
    #[default]
    None,
    /// They may; a wrong one is refused.
    Optional,
    /// They must.
    Required,
}

impl ClientCertificates {
    pub(super) const WORDS: &'static [Choice] = &[word("none"), word("optional"), word("required")];
}

/// Where proxies name whom they speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// The one that most proxies write.
    #[default]
    XForwardedFor,
    /// The standard's (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    pub(super) const WORDS: &'static [Choice] = &[word("x-forwarded-for"), word("forwarded")];
}

/// How TLS is used towards PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server offers it.
    #[default]
    Prefer,
    /// Always; any certificate will do.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// Always, with a certificate for the server's name.
    VerifyFull,
}

impl SslMode {
    pub(super) const WORDS: &'static [Choice] =
        &[word("disable"), word("prefer"), word("require"), word("verify-ca"), word("verify-full")];

    /// Its word, as PostgreSQL spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn all_read<T: DeserializeOwned + Serialize>(words: &[Choice]) {
        for choice in words {
            let read: T = serde_json::from_value(choice.word.into()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), choice.word);
        }
    }

    #[test]
    fn every_word_of_a_table_is_one_that_serde_reads() {
        all_read::<Environment>(Environment::WORDS);
        all_read::<LogLevel>(LogLevel::WORDS);
        all_read::<LogFormat>(LogFormat::WORDS);
        all_read::<CatalogKind>(CatalogKind::WORDS);
        all_read::<SslMode>(SslMode::WORDS);
        all_read::<ClientCertificates>(ClientCertificates::WORDS);
        all_read::<ForwardedHeader>(ForwardedHeader::WORDS);
        assert_eq!(LogLevel::Warn.as_directive(), "warn");
        assert_eq!(Environment::Staging.to_string(), "staging");
    }
}
