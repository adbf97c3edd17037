//! What a token must say.

use gadwall_domain::ports::tokens::TokenError;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Scene, is_invalid, seconds};
use crate::token::Token;

#[tokio::test]
async fn a_good_token_is_taken_with_all_that_it_says() {
    let scene = Scene::new().await;
    let mut claims = scene.claims();
    claims["extra"] = json!({ "deep": [1] });
    let good = scene.verify(&scene.key.token(&claims)).await.unwrap();
    assert_eq!((good.issuer.as_str(), Value::Object(good.claims.clone())), (scene.issuer.url(), claims.clone()));
    assert_eq!(json!(seconds(good.expires_at)), claims["exp"]);
    assert!(!format!("{good:?}").contains("ann"));
    for audience in [json!("other"), json!(["x", "gadwall"])] {
        assert_eq!(scene.with_claim("aud", audience).await, Ok(()));
    }
}

#[tokio::test]
async fn a_claim_that_is_wrong_or_of_another_kind_is_refused() {
    let scene = Scene::new().await;
    let url = scene.issuer.url().to_owned();
    let now = seconds(scene.clock_now());
    for (claim, value) in [
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!(format!("{url}/"))),
        ("iss", json!([url])),
        ("iss", Value::Null),
        ("aud", json!("Gadwall")),
        ("aud", json!("gadwall ")),
        ("aud", json!(["gadwallx", 7])),
        ("aud", json!([["gadwall"]])),
        ("aud", json!({ "gadwall": true })),
        ("aud", Value::Null),
        ("exp", Value::Null),
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!([now + 60])),
        ("nbf", json!(now + 31)),
        ("nbf", json!("0")),
        ("nbf", Value::Null),
        ("iat", json!(now + 31)),
        ("iat", json!(true)),
    ] {
        let outcome = scene.with_claim(claim, value.clone()).await;
        assert!(is_invalid(&outcome), "{claim} {value}: {outcome:?}");
    }
    for missing in ["iss", "aud", "exp"] {
        let mut claims = scene.claims();
        claims.as_object_mut().unwrap().remove(missing);
        let outcome = scene.verify(&scene.key.token(&claims)).await.map(drop);
        assert!(is_invalid(&outcome), "{missing}: {outcome:?}");
    }
}

#[tokio::test]
async fn clocks_may_be_off_by_the_leeway() {
    let scene = Scene::new().await;
    let now = seconds(scene.clock_now());
    for (claim, value, expected) in [
        ("exp", json!(now - 29), Ok(())),
        ("exp", json!(now - 30), Err(TokenError::Expired)),
        ("exp", json!(0), Err(TokenError::Expired)),
        ("exp", json!(f64::from(u32::try_from(now).unwrap()) + 0.5), Ok(())),
        ("nbf", json!(now + 30), Ok(())),
        ("iat", json!(now + 30), Ok(())),
        ("nbf", json!(0), Ok(())),
    ] {
        assert_eq!(scene.with_claim(claim, value.clone()).await, expected, "{claim} {value}");
    }
}

#[tokio::test]
async fn a_type_is_needed_where_one_is_configured() {
    let scene = Scene::with(|config| config.token_type = Some("at+jwt".to_owned())).await;
    for (header, good) in [
        (json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }), true),
        (json!({ "alg": "ES256", "kid": "k1", "typ": "application/AT+JWT" }), true),
        (json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), false),
        (json!({ "alg": "ES256", "kid": "k1" }), false),
        (json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt", "crit": ["exp"] }), false),
    ] {
        let outcome = scene.verify(&scene.key.token_with(&header, &scene.claims())).await;
        assert_eq!(outcome.is_ok(), good, "{header}: {outcome:?}");
    }
}

proptest! {
    /// Whatever comes in is taken apart or refused.
    #[test]
    fn no_text_is_too_strange(text in "[a-zA-Z0-9_.-]{0,80}|\\PC{0,40}") {
        let _ = Token::parse(&text).map(|token| token.issuer().map(str::to_owned));
    }

    #[test]
    fn no_document_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), parts in prop::collection::btree_map("(kty|crv|n|e|x|y|kid|use|alg|key_ops)", "(RSA|EC|OKP|P-256|Ed25519|sig|[A-Za-z0-9_-]{0,90})", 0..8)) {
        let _ = crate::jwk::KeySet::parse(&bytes);
        let key: Map<String, Value> = parts.into_iter().map(|(name, text)| (name, text.into())).collect();
        let document = json!({ "keys": [key] }).to_string();
        if let Some(keys) = crate::jwk::KeySet::parse(document.as_bytes()) {
            for algorithm in crate::Algorithm::ALL {
                if let Some(key) = keys.find(None, algorithm) {
                    prop_assert!(!key.has_signed(algorithm, b"message", &bytes));
                }
            }
        }
    }
}
