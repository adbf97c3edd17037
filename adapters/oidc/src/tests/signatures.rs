//! Who may have signed a token, and how.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gadwall_test_services::SigningKey;
use serde_json::{Value, json};

use super::{Scene, is_invalid};
use crate::Algorithm;
use crate::jwk::KeySet;
use crate::token::Token;

/// Keys, and a token by each algorithm, made by another implementation.
const FOREIGN: &str = include_str!("foreign.json");

#[test]
fn tokens_of_another_implementation_are_read() {
    let foreign: Value = serde_json::from_str(FOREIGN).unwrap();
    let keys = KeySet::parse(foreign["jwks"].to_string().as_bytes()).unwrap();
    for algorithm in Algorithm::ALL {
        let text = foreign["tokens"][algorithm.as_str()].as_str().unwrap();
        let token = Token::parse(text).unwrap();
        let key = keys.find(token.key_id(), algorithm).unwrap();
        assert!(key.has_signed(algorithm, token.signed(), token.signature()), "{algorithm:?}");
        assert!(!key.has_signed(algorithm, b"other", token.signature()), "{algorithm:?}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!key.has_signed(other, token.signed(), token.signature()), "{algorithm:?} as {other:?}");
        }
    }
}

#[tokio::test]
async fn every_algorithm_works_with_its_key() {
    let scene = Scene::new().await;
    for algorithm in Algorithm::ALL {
        let key = SigningKey::new(algorithm.as_str(), algorithm.as_str()).unwrap();
        scene.issuer.publish(&[&scene.key, &key]);
        // Another key each time, so it is asked for again.
        scene.clock.advance(crate::keys::PAUSE);
        assert_eq!(scene.by(&key).await, Ok(()), "{algorithm:?}");
    }
}

#[tokio::test]
async fn only_configured_algorithms_are_taken() {
    let scene = Scene::with(|config| config.algorithms = vec![Algorithm::Rs256]).await;
    let outcome = scene.good().await;
    assert!(is_invalid(&outcome), "{outcome:?}");
    assert_eq!(scene.issuer.asked(), 0);
}

/// A token's parts with another signature.
fn resigned(token: &str, signature: &[u8]) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn no_algorithm_is_confused_with_another() {
    let rsa = SigningKey::new("r", "RS256").unwrap();
    let scene = Scene::new().await;
    scene.issuer.publish(&[&scene.key, &rsa]);
    assert_eq!(scene.good().await, Ok(()));
    let claims = scene.claims();
    let public = URL_SAFE_NO_PAD.decode(rsa.jwk()["n"].as_str().unwrap()).unwrap();
    for (name, id) in [("none", "r"), ("None", "k1"), ("HS256", "r"), ("HS512", "k1"), ("RS256", "k1"), ("ES256", "r")]
    {
        let token = rsa.token_with(&json!({ "alg": name, "kid": id }), &claims);
        let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
        let by_public_key = ring::hmac::sign(&hmac, token.rsplit_once('.').unwrap().0.as_bytes());
        for forged in [token.clone(), resigned(&token, b""), resigned(&token, by_public_key.as_ref())] {
            let outcome = scene.verify(&forged).await.map(drop);
            assert!(is_invalid(&outcome), "{name} {id}: {outcome:?}");
        }
    }
    // The same key, but another algorithm of its family than it has signed with.
    let token = rsa.token_with(&json!({ "alg": "PS256", "kid": "r" }), &claims);
    assert!(scene.verify(&token).await.is_err());
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let scene = Scene::new().await;
    let token = scene.key.token(&scene.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = scene.claims();
    claims["sub"] = json!("root");
    let other = scene.key.token(&claims);
    let other: Vec<&str> = other.split('.').collect();
    let stranger = SigningKey::new("k1", "ES256").unwrap().token(&scene.claims());
    let longer = format!("{token}AAAA");
    let padded = format!("{token}=");
    for forged in [
        format!("{}.{}.{}", parts[0], other[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[1], parts[0], parts[2]),
        stranger,
        longer,
        padded,
    ] {
        let outcome = scene.verify(&forged).await.map(drop);
        assert!(is_invalid(&outcome), "{forged}: {outcome:?}");
    }
}

#[tokio::test]
async fn keys_for_something_else_sign_nothing() {
    let scene = Scene::new().await;
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("alg", json!("ES384"))] {
        let mut jwk = scene.key.jwk();
        jwk[name] = value;
        // Beside another one: a document without any key is a broken one.
        let other = SigningKey::new("k2", "EdDSA").unwrap().jwk();
        scene.issuer.publish_document(json!({ "keys": [jwk, { "kty": "oct", "k": "AAAA", "kid": "k1" }, other] }));
        scene.clock.advance(chrono::TimeDelta::hours(2));
        let outcome = scene.good().await;
        assert!(is_invalid(&outcome), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn without_an_id_a_single_key_that_fits_is_meant() {
    let scene = Scene::new().await;
    let token = scene.key.token_with(&json!({ "alg": "ES256" }), &scene.claims());
    assert!(scene.verify(&token).await.is_ok());
    let second = SigningKey::new("k2", "ES256").unwrap();
    scene.issuer.publish(&[&scene.key, &second]);
    scene.clock.advance(chrono::TimeDelta::minutes(10));
    let outcome = scene.verify(&scene.key.token_with(&json!({ "alg": "ES256" }), &scene.claims())).await.map(drop);
    assert!(is_invalid(&outcome), "{outcome:?}");
}
