//! Issuers that change their keys, fail, or are away.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use gadwall_domain::ports::tokens::{TokenError, TokenVerifier as _};
use gadwall_test_services::{Answers, Issuer, SigningKey};

use super::{Scene, config, is_away, is_invalid};
use crate::OidcVerifier;
use crate::keys::PAUSE;

#[tokio::test]
async fn keys_are_fetched_once_for_many() {
    let scene = Scene::new().await;
    let token = scene.key.token(&scene.claims());
    let many = std::iter::repeat_with(|| scene.verify(&token)).take(50);
    for outcome in many.map(|one| async { one.await.is_ok() }) {
        assert!(outcome.await);
    }
    assert_eq!(scene.issuer.asked(), 1);
}

#[tokio::test]
async fn those_who_come_at_once_share_one_fetch() {
    let scene = Arc::new(Scene::new().await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let scene = Arc::clone(&scene);
        all.spawn(async move { scene.good().await });
    }
    assert!(all.join_all().await.iter().all(Result::is_ok));
    assert_eq!(scene.issuer.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    let scene = Scene::new().await;
    assert_eq!(scene.good().await, Ok(()));
    let second = SigningKey::new("k2", "EdDSA").unwrap();
    scene.issuer.publish(&[&second]);
    scene.clock.advance(PAUSE);
    assert_eq!(scene.by(&second).await, Ok(()));
    assert_eq!(scene.issuer.asked(), 2);
    let outcome = scene.good().await;
    assert!(is_invalid(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn garbage_asks_the_issuer_once_in_some_seconds() {
    let scene = Scene::new().await;
    assert_eq!(scene.good().await, Ok(()));
    for _ in 0..3 {
        let before = scene.issuer.asked();
        scene.clock.advance(PAUSE);
        for number in 0..20 {
            let unknown = SigningKey::new(&format!("unknown {number}"), "ES256").unwrap();
            let outcome = scene.by(&unknown).await;
            assert!(is_invalid(&outcome), "{outcome:?}");
        }
        assert_eq!(scene.issuer.asked(), before + 1);
        assert_eq!(scene.good().await, Ok(()));
    }
}

#[tokio::test]
async fn keys_are_fetched_again_before_they_are_old() {
    let scene = Scene::new().await;
    assert_eq!(scene.good().await, Ok(()));
    scene.clock.advance(TimeDelta::minutes(8));
    assert_eq!(scene.good().await, Ok(()), "nobody waits for it");
    while scene.issuer.asked() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_issuer_that_fails_is_told_from_a_bad_token() {
    for answers in [
        Answers::Status(500),
        Answers::Status(404),
        Answers::Garbage,
        Answers::Huge,
        Answers::Nothing,
        Answers::OtherIssuer("https://elsewhere.example".to_owned()),
    ] {
        let scene = Scene::new().await;
        scene.issuer.answer(answers.clone());
        let outcome = scene.good().await;
        assert!(is_away(&outcome), "{answers:?}: {outcome:?}");
        let Err(TokenError::IssuerAway { retry_after }) = outcome else { continue };
        assert!(retry_after <= Duration::from_secs(10), "{retry_after:?}");
        // Told at once until the pause is over, and then it works again.
        scene.issuer.answer(Answers::Documents);
        assert!(is_away(&scene.good().await), "{answers:?}");
        scene.clock.advance(PAUSE);
        assert_eq!(scene.good().await, Ok(()), "{answers:?}");
    }
}

#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    let scene = Scene::new().await;
    let elsewhere = Issuer::start(&[&scene.key]).await.unwrap();
    scene.issuer.answer(Answers::Redirect(elsewhere.url().to_owned()));
    assert!(is_away(&scene.good().await));
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn without_tls_nobody_is_asked_unless_that_is_allowed() {
    let scene = Scene::with(|config| config.allow_http = false).await;
    assert!(is_away(&scene.good().await));
    assert_eq!(scene.issuer.asked(), 0);
}

#[tokio::test]
async fn known_keys_outlive_their_issuer_for_a_while() {
    let scene = Scene::new().await;
    assert_eq!(scene.good().await, Ok(()));
    scene.issuer.answer(Answers::Status(503));
    for minutes in [9, 2, 40, 18] {
        scene.clock.advance(TimeDelta::minutes(minutes));
        assert_eq!(scene.good().await, Ok(()));
    }
    let stranger = SigningKey::new("k2", "ES256").unwrap();
    assert!(is_away(&scene.by(&stranger).await), "it may be a new one");
    scene.clock.advance(TimeDelta::minutes(1));
    assert!(is_away(&scene.good().await));
}

#[tokio::test]
async fn an_issuer_that_goes_on_failing_is_left_alone() {
    let scene = Scene::new().await;
    scene.issuer.answer(Answers::Status(500));
    for _ in 0..3 {
        assert!(is_away(&scene.good().await));
        scene.clock.advance(PAUSE);
    }
    scene.issuer.answer(Answers::Documents);
    assert!(is_away(&scene.good().await), "the breaker is open");
    assert_eq!(scene.issuer.asked(), 0);
    scene.clock.advance(TimeDelta::seconds(15));
    assert_eq!(scene.good().await, Ok(()));
}

#[tokio::test]
async fn an_address_for_keys_spares_the_discovery() {
    let key = SigningKey::new("k1", "ES256").unwrap();
    let keys = Issuer::start(&[&key]).await.unwrap();
    // The issuer itself answers nothing of use.
    let scene = Scene::with(|config| config.jwks_url = Some(keys.jwks_url())).await;
    scene.issuer.answer(Answers::Garbage);
    assert_eq!(scene.by(&key).await, Ok(()));
    assert!(is_invalid(&scene.good().await));
}

#[tokio::test]
async fn several_issuers_stay_apart() {
    let scene = Scene::new().await;
    let other_key = SigningKey::new("k1", "EdDSA").unwrap();
    let other = Issuer::start(&[&other_key]).await.unwrap();
    let both = vec![config(scene.issuer.url()), config(other.url())];
    let verifier = OidcVerifier::new(both, Arc::clone(&scene.clock) as _).unwrap();
    verifier.warm_up();
    let mut claims = scene.claims();
    assert!(verifier.verify(&scene.key.token(&claims)).await.is_ok());
    assert!(verifier.verify(&other_key.token(&claims)).await.is_err(), "signed by the other one");
    claims["iss"] = other.url().into();
    assert_eq!(verifier.verify(&other_key.token(&claims)).await.unwrap().issuer, other.url());
    assert!(verifier.verify(&scene.key.token(&claims)).await.is_err());
}
