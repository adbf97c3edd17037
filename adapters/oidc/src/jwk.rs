//! The keys that an issuer publishes (RFC 7517).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use crate::algorithm::{Algorithm, Method};

/// Keys of an issuer that are looked at; the rest is left out.
const MAX_KEYS: usize = 100;
/// Longest id of a key.
pub(crate) const MAX_KEY_ID: usize = 256;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A key as it stands in a document, as far as it matters.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A public key for signatures.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, where it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    fn of(jwk: &Jwk) -> Option<Self> {
        let bytes = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_ref()?).ok();
        // As ring wants it: without the zeros that some issuers begin with.
        let number = |part: &Option<String>| {
            let bytes = bytes(part)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        let sized = |part: &Option<String>, size: usize| bytes(part).filter(|bytes| bytes.len() == size);
        let point = |size: usize| Some([vec![4], sized(&jwk.x, size)?, sized(&jwk.y, size)?].concat());
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Some(Self::Rsa { n: number(&jwk.n)?, e: number(&jwk.e)? }),
            ("EC", Some("P-256")) => Some(Self::P256(point(32)?)),
            ("EC", Some("P-384")) => Some(Self::P384(point(48)?)),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519(sized(&jwk.x, 32)?)),
            _ => None,
        }
    }
}

impl Key {
    /// A key that signs; none for any other.
    fn of(value: Value) -> Option<Arc<Self>> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.usage.as_ref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|all| all.iter().any(|operation| operation == "verify"))
            && jwk.kid.as_ref().is_none_or(|id| id.len() <= MAX_KEY_ID);
        let material = Material::of(&jwk).filter(|_| signs)?;
        Some(Arc::new(Self { id: jwk.kid, algorithm: jwk.alg, material }))
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = matches!(
            (&self.material, algorithm.method()),
            (Material::Rsa { .. }, Method::Rsa(_))
                | (Material::P256(_), Method::P256(_))
                | (Material::P384(_), Method::P384(_))
                | (Material::Ed25519(_), Method::Ed25519(_))
        );
        fits && self.algorithm.as_ref().is_none_or(|only| only == algorithm.as_str())
    }

    /// Whether the signature is this key's, made by this algorithm.
    pub(crate) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.is_for(algorithm) {
            return false;
        }
        match (&self.material, algorithm.method()) {
            (Material::Rsa { n, e }, Method::Rsa(how)) => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature).is_ok()
            }
            (Material::P256(point), Method::P256(how))
            | (Material::P384(point), Method::P384(how))
            | (Material::Ed25519(point), Method::Ed25519(how)) => {
                UnparsedPublicKey::new(how, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// The keys of an issuer that sign.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a document. Keys that aren't understood are left out; without any other it is none.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let keys: Vec<_> = document.keys.into_iter().take(MAX_KEYS).filter_map(Key::of).collect();
        if keys.is_empty() { None } else { Some(Self(keys)) }
    }

    /// The key that a token names. A token that names none fits if a single key does.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fitting = self.0.iter().filter(|key| key.is_for(algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)).cloned(),
            None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
        }
    }
}
