//! TLS: certificates from files, read again when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// What is spoken inside, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Largest file of certificates that is read.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Where certificates are.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The server's certificate and those between it and its authority, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// Who must have signed the certificates of clients.
    pub clients: Option<ClientAuthority>,
}

/// The authority of clients' certificates.
#[derive(Debug, Clone)]
pub struct ClientAuthority {
    /// Its certificates, as PEM.
    pub certificates: PathBuf,
    /// Whether a client without a certificate is turned away. A wrong one always is.
    pub required: bool,
}

/// Why TLS can't be spoken. Says which setting is at fault, and neither paths nor contents.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("the file of {setting} can't be read ({kind})")]
    Unreadable {
        /// The setting that names it.
        setting: &'static str,
        /// How it failed.
        kind: io::ErrorKind,
    },
    /// A file isn't what it should be.
    #[error("the file of {setting} holds no {what} in PEM")]
    Malformed {
        /// The setting that names it.
        setting: &'static str,
        /// What it should hold.
        what: &'static str,
    },
    /// The files don't go together, or are of a kind that isn't known.
    #[error("the certificate can't be used: {0}")]
    Unusable(String),
}

/// The certificate in use, and the files that it comes from.
pub struct Tls {
    files: TlsConfig,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    /// Of the files' contents.
    digest: [u8; 32],
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files. Blocks.
    pub fn open(files: TlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new(Contents::read(&files)?.current()?);
        Ok(Self { files, current })
    }

    /// Reads the files again; answers whether they had changed. Connections that are open go on with what they began
    /// with, and so do new ones if the files are wrong. Blocks.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        if contents.digest() == self.current().digest {
            return Ok(false);
        }
        let current = contents.current()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().config)
    }
}

/// What is in the files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    clients: Option<(Vec<u8>, bool)>,
}

impl Contents {
    fn read(files: &TlsConfig) -> Result<Self, TlsError> {
        let clients = files.clients.as_ref();
        Ok(Self {
            certificate: read("tls.certificate", &files.certificate)?,
            key: read("tls.key", &files.key)?,
            clients: clients
                .map(|clients| Ok((read("tls.client_ca", &clients.certificates)?, clients.required)))
                .transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let authority = self.clients.as_ref().map_or(&[][..], |(authority, _)| authority);
        for part in [&self.certificate, &self.key, authority] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn current(&self) -> Result<Current, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let chain = certificates("tls.certificate", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Malformed { setting: "tls.key", what: "private key" })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(unusable)?;
        let builder = match self.verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Current { config: Arc::new(config), digest: self.digest() })
    }

    /// What clients' certificates are checked against.
    fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let Some((authority, required)) = &self.clients else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("tls.client_ca", authority)? {
            roots.add(certificate).map_err(|error| TlsError::Unusable(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if *required { builder } else { builder.allow_unauthenticated() };
        builder.build().map(Some).map_err(|error| TlsError::Unusable(error.to_string()))
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable { setting, kind: error.kind() };
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(TlsError::Unreadable { setting, kind: io::ErrorKind::FileTooLarge });
    }
    fs::read(path).map_err(unreadable)
}

fn certificates(setting: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let malformed = TlsError::Malformed { setting, what: "certificate" };
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(malformed),
    }
}
