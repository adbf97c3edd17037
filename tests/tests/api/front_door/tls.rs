//! TLS, with certificates of an authority made here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall::Config;
use gadwall::config::ClientCertificates;
use gadwall_tests::client;
use gadwall_tests::support::{TestServer, send};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, Identity, Version};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{PATIENCE, address, raw, rest};

/// An authority, and a folder for what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?, folder: tempfile::tempdir()? })
    }

    /// A certificate with its key, in PEM.
    fn sign(&self, name: &str) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Gives a server a certificate.
    fn certify(&self, config: &mut Config, name: &str) -> Result<()> {
        let (certificate, key) = self.sign(name)?;
        config.tls.certificate = Some(self.file("server.pem", &certificate)?);
        config.tls.key = Some(self.file("server.key", &key)?);
        Ok(())
    }

    fn trust(&self) -> Result<reqwest::ClientBuilder> {
        Ok(client::builder().tls_certs_only([Certificate::from_pem(self.issuer.pem().as_bytes())?]))
    }
}

async fn start(change: impl FnOnce(&mut Config) -> Result<()> + Send) -> Result<TestServer> {
    let mut changed = Ok(());
    let server = TestServer::start_with(|config| changed = change(config)).await?;
    changed?;
    Ok(server)
}

fn url(server: &TestServer, path: &str) -> String {
    server.url(path).replace("http://127.0.0.1", "https://localhost")
}

async fn version(client: &Client, server: &TestServer) -> Result<Version> {
    let answer = client.get(url(server, "/livez")).send().await?;
    anyhow::ensure!(answer.status() == 200 && answer.headers().contains_key("strict-transport-security"));
    Ok(answer.version())
}

#[tokio::test]
async fn tls_speaks_both_protocols_and_nothing_is_served_without() -> Result<()> {
    let authority = Authority::new()?;
    let server = start(|config| authority.certify(config, "localhost")).await?;
    assert_eq!(version(&authority.trust()?.build()?, &server).await?, Version::HTTP_2);
    assert_eq!(version(&authority.trust()?.http1_only().build()?, &server).await?, Version::HTTP_11);
    let stranger = Authority::new()?.trust()?.build()?;
    assert!(stranger.get(url(&server, "/livez")).send().await.is_err(), "another authority's");
    let plain = raw(&server, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let whole = send(authority.trust()?.build()?.get(url(&server, "/projects")).bearer_auth("wrong")).await?;
    assert_eq!(whole.status, 401, "{}", whole.text);
    Ok(())
}

#[tokio::test]
async fn http2_needs_no_tls() -> Result<()> {
    let server = TestServer::start().await?;
    let client = client::builder().http2_prior_knowledge().build()?;
    let answer = client.get(server.url("/livez")).send().await?;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_doesnt_come_is_not_waited_for() -> Result<()> {
    let authority = Authority::new()?;
    let server = start(|config| {
        config.server.header_read_timeout = Duration::from_millis(300);
        authority.certify(config, "localhost")
    })
    .await?;
    let mut silent = TcpStream::connect(address(&server)).await?;
    rest(&mut silent).await?;
    version(&authority.trust()?.build()?, &server).await?;
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_used_and_open_connections_go_on() -> Result<()> {
    let authority = Authority::new()?;
    let server = start(|config| {
        config.tls.reload_interval = Duration::from_millis(50);
        authority.certify(config, "localhost")
    })
    .await?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.issuer.pem().as_bytes())?)?;
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let shown = async || {
        let stream = TcpStream::connect(address(&server)).await?;
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|shown| shown.as_ref().to_vec());
        Ok::<_, anyhow::Error>((stream, shown.context("no certificate")?))
    };
    let (mut open, before) = shown().await?;
    // A file that isn't whole yet changes nothing.
    authority.file("server.pem", "-----BEGIN CERTIFICATE-----\nMII")?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(shown().await?.1 == before);
    let (certificate, key) = authority.sign("localhost")?;
    authority.file("server.key", &key)?;
    authority.file("server.pem", &certificate)?;
    let changed = async { while shown().await.is_ok_and(|(_, now)| now == before) {} };
    tokio::time::timeout(PATIENCE, changed).await.context("the old one is still used")?;
    open.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut status = [0; 12];
    open.read_exact(&mut status).await?;
    assert_eq!(&status, b"HTTP/1.1 200");
    Ok(())
}

#[tokio::test]
async fn a_client_shows_a_certificate_where_it_must() -> Result<()> {
    let authority = Authority::new()?;
    for (wanted, without) in [(ClientCertificates::Required, false), (ClientCertificates::Optional, true)] {
        let server = start(|config| {
            config.tls.client_certificates = wanted;
            config.tls.client_ca = Some(authority.file("clients.pem", &authority.issuer.pem())?);
            authority.certify(config, "localhost")
        })
        .await?;
        let of = |authority: &Authority| -> Result<Identity> {
            let (certificate, key) = authority.sign("client")?;
            Ok(Identity::from_pem(format!("{key}{certificate}").as_bytes())?)
        };
        let known = authority.trust()?.identity(of(&authority)?).build()?;
        assert_eq!(version(&known, &server).await?, Version::HTTP_2);
        let stranger = authority.trust()?.identity(of(&Authority::new()?)?).build()?;
        assert!(version(&stranger, &server).await.is_err());
        assert_eq!(version(&authority.trust()?.build()?, &server).await.is_ok(), without);
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_and_a_key_that_dont_fit_stop_the_start_without_telling_paths() -> Result<()> {
    let authority = Authority::new()?;
    for (key, expected) in [(authority.sign("localhost")?.1, "can't be used"), ("nothing".to_owned(), "tls.key")] {
        let refused = start(|config| {
            authority.certify(config, "localhost")?;
            authority.file("server.key", &key)?;
            Ok(())
        })
        .await;
        let error = format!("{:#}", refused.map(drop).unwrap_err());
        let folder = authority.folder.path().display().to_string();
        assert!(error.contains(expected) && !error.contains(&folder), "{error}");
    }
    Ok(())
}
