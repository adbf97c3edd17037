//! Keys over the memory store.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::idempotency::{Fingerprint, IdempotentRequest};
use gadwall_domain::ports::metadata::KeyFilter;
use gadwall_domain::ports::system::IdGenerator as _;

use super::{KeyEnd, KeyError, Keys, MAX_OVERLAP, NewKey, ShownKey};
use crate::caller::{Caller, Identity};
use crate::error::UseCaseError;
use crate::testing::SeqIds;
use crate::testing::builders::{bucket, noon, project_id};
use crate::world::{World, caller};

const ALL: [Scope; 3] = [Scope::Read, Scope::Write, Scope::Manage];

fn keys(world: &World) -> Keys {
    let ids = SeqIds::default();
    // Apart from the ids that the world has given out already.
    for _ in 0..1_000 {
        ids.next_id();
    }
    Keys::new(
        Arc::clone(&world.store) as _,
        Arc::clone(&world.access),
        Arc::clone(&world.clock) as _,
        Arc::new(ids),
        TimeDelta::zero(),
    )
}

fn new_key(scopes: &[Scope]) -> NewKey {
    NewKey { name: "k".to_owned(), scopes: scopes.iter().copied().collect(), bucket: None, end: None }
}

fn secret(shown: ShownKey) -> String {
    shown.secret.unwrap()
}

async fn identity(world: &World, secret: &str) -> Result<Identity, UseCaseError> {
    world.access.authenticate(Some(secret)).await
}

async fn user(world: &World, secret: &str) -> Caller {
    caller(identity(world, secret).await.unwrap())
}

/// The only word for why a secret opens nothing.
async fn refusal(world: &World, secret: &str) -> &'static str {
    match identity(world, secret).await {
        Ok(Identity::Known(_)) => "none",
        Ok(_) => "unknown",
        Err(error) => gadwall_domain::error::Classify::code(&error),
    }
}

#[tokio::test]
async fn a_key_does_what_it_was_made_for_until_it_is_revoked() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let keys = keys(&world);
    let (p, admin) = (project_id("p"), world.admin());
    let made = keys.create(&owner, &p, new_key(&[Scope::Read])).await.unwrap();
    assert!(!format!("{made:?}").contains(made.secret.as_deref().unwrap()));
    let (id, text) = (made.key.id, secret(made));
    assert!(text.starts_with(&format!("gadwall_{}_", id.uuid().simple())));
    let reader = user(&world, &text).await;
    assert!(world.access.open(&reader, &p, Scope::Read).await.is_ok());
    assert!(world.access.open(&reader, &p, Scope::Write).await.is_err());
    let seen = keys.get(&admin, &p, &id.to_string()).await.unwrap();
    assert_eq!((seen.last_used_at, seen.created_by), (Some(noon()), owner.label()));
    keys.revoke(&admin, &p, &id.to_string()).await.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    keys.revoke(&admin, &p, &id.to_string()).await.unwrap();
    assert_eq!(refusal(&world, &text).await, "key_revoked");
    assert_eq!(keys.get(&admin, &p, &id.to_string()).await.unwrap().revoked_at, Some(noon()));
    let events = world.events("p").await;
    assert_eq!(events[events.len() - 2..], ["key.created", "key.revoked"]);
    world.projects.delete(&admin, &p).await.unwrap();
    assert_eq!(refusal(&world, &text).await, "unknown", "nothing is told of a project that is gone");
}

#[tokio::test]
async fn a_rotated_secret_works_as_long_as_it_was_told() {
    let world = World::new();
    let (first, owner) = world.project("p").await;
    let keys = keys(&world);
    let p = project_id("p");
    let id = owner.principal().unwrap().id().unwrap().to_string();
    let overlap = Some(TimeDelta::seconds(60));
    let second = secret(keys.rotate(&owner, &p, &id, overlap).await.unwrap());
    assert_eq!([refusal(&world, &first).await, refusal(&world, &second).await], ["none", "none"]);
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!([refusal(&world, &first).await, refusal(&world, &second).await], ["key_revoked", "none"]);
    let third = secret(keys.rotate(&owner, &p, &id, overlap).await.unwrap());
    let fourth = secret(keys.rotate(&owner, &p, &id, None).await.unwrap());
    // There is one secret beside the present one; what was replaced before that is forgotten.
    let refusals = [refusal(&world, &second).await, refusal(&world, &third).await, refusal(&world, &fourth).await];
    assert_eq!(refusals, ["unknown", "key_revoked", "none"]);
    let last = secret(keys.rotate(&owner, &p, &id, Some(MAX_OVERLAP)).await.unwrap());
    keys.revoke(&owner, &p, &id).await.unwrap();
    assert_eq!([refusal(&world, &fourth).await, refusal(&world, &last).await], ["key_revoked", "key_revoked"]);
    let again = keys.rotate(&world.admin(), &p, &id, None).await;
    assert!(matches!(again, Err(UseCaseError::Key(KeyError::Ended))), "{again:?}");
    let long = keys.rotate(&world.admin(), &p, &id, Some(MAX_OVERLAP + TimeDelta::seconds(1))).await;
    assert!(matches!(long, Err(UseCaseError::Invalid(_))), "{long:?}");
}

#[tokio::test]
async fn no_key_gives_what_it_does_not_have() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let keys = keys(&world);
    let (p, admin) = (project_id("p"), world.admin());
    let day = || Some(KeyEnd::After(TimeDelta::days(1)));
    let limited = NewKey { end: day(), ..new_key(&[Scope::Manage]) };
    let manager = user(&world, &secret(keys.create(&admin, &p, limited).await.unwrap())).await;
    let exceeding = [
        new_key(&[Scope::Read]),
        NewKey { end: Some(KeyEnd::At(noon() + TimeDelta::days(2))), ..new_key(&[Scope::Manage]) },
    ];
    for new in exceeding {
        let refused = keys.create(&manager, &p, new).await;
        assert!(matches!(refused, Err(UseCaseError::Key(KeyError::Exceeds(_)))), "{refused:?}");
    }
    let made = keys.create(&manager, &p, new_key(&[Scope::Manage])).await.unwrap().key;
    assert_eq!(made.expires_at, Some(noon() + TimeDelta::days(1)), "ends with its maker");
    // Nor by the secret of a key that has it.
    let stronger = owner.principal().unwrap().id().unwrap().to_string();
    let refused = keys.rotate(&manager, &p, &stronger, None).await;
    assert!(matches!(refused, Err(UseCaseError::Key(KeyError::Exceeds(_)))), "{refused:?}");
    let forever = keys.create(&admin, &p, new_key(&[Scope::Manage])).await.unwrap().key;
    let refused = keys.rotate(&manager, &p, &forever.id.to_string(), None).await;
    assert!(matches!(refused, Err(UseCaseError::Key(KeyError::Exceeds(_)))), "{refused:?}");
}

#[tokio::test]
async fn who_may_not_manage_the_whole_project_sees_no_key() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let (_, stranger) = world.project("q").await;
    let keys = keys(&world);
    let p = project_id("p");
    let within = NewKey { bucket: Some(bucket("sales")), ..new_key(&ALL) };
    let within = user(&world, &secret(keys.create(&owner, &p, within).await.unwrap())).await;
    let writer = user(&world, &secret(keys.create(&owner, &p, new_key(&ALL[..2])).await.unwrap())).await;
    let id = owner.principal().unwrap().id().unwrap().to_string();
    let page = KeyFilter { after: None, limit: 10 };
    for caller in [within, writer, stranger, caller(Identity::Unknown)] {
        let refused = [
            keys.create(&caller, &p, new_key(&[Scope::Read])).await.err(),
            keys.list(&caller, &p, page).await.err(),
            keys.get(&caller, &p, &id).await.err(),
            keys.rotate(&caller, &p, &id, None).await.err(),
            keys.revoke(&caller, &p, &id).await.err(),
        ];
        assert!(refused.iter().all(|error| matches!(error, Some(UseCaseError::Forbidden))), "{refused:?}");
    }
    let foreign = keys.get(&world.admin(), &project_id("q"), &id).await;
    assert!(matches!(foreign, Err(UseCaseError::Key(KeyError::NotFound { .. }))), "another project's is not there");
}

#[tokio::test]
async fn the_last_key_of_a_project_may_go_and_the_admin_makes_another() {
    let world = World::new();
    let (first, owner) = world.project("p").await;
    let keys = keys(&world);
    let p = project_id("p");
    let id = owner.principal().unwrap().id().unwrap().to_string();
    keys.revoke(&owner, &p, &id).await.unwrap();
    assert_eq!(refusal(&world, &first).await, "key_revoked");
    // A request that was let in before the revocation makes nothing after it.
    let late = keys.create(&owner, &p, new_key(&ALL)).await;
    assert!(matches!(late, Err(UseCaseError::Key(KeyError::Revoked))), "{late:?}");
    let another = secret(keys.create(&world.admin(), &p, new_key(&ALL)).await.unwrap());
    assert_eq!(refusal(&world, &another).await, "none");
}

#[tokio::test]
async fn a_repeated_request_makes_one_secret_and_shows_it_once() {
    let world = World::new();
    world.project("p").await;
    let keys = keys(&world);
    let p = project_id("p");
    let request = |key: &str| {
        let fingerprint = Fingerprint::pending();
        fingerprint.settle(format!("fingerprint of {key}"));
        let idempotency = Some(IdempotentRequest { key: key.to_owned(), fingerprint });
        Caller { idempotency, ..world.admin() }
    };
    let made = keys.create(&request("a"), &p, new_key(&ALL)).await.unwrap();
    let again = keys.create(&request("a"), &p, new_key(&ALL)).await.unwrap();
    assert_eq!((again.key.id, again.secret), (made.key.id, None));
    let id = made.key.id.to_string();
    let rotated = keys.rotate(&request("b"), &p, &id, None).await.unwrap();
    let again = keys.rotate(&request("b"), &p, &id, None).await.unwrap();
    assert_eq!((again.key.digest, again.secret), (rotated.key.digest, None));
    assert_ne!(rotated.key.digest, made.key.digest);
}

#[tokio::test]
async fn keys_come_newest_first_in_pages() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let keys = keys(&world);
    let p = project_id("p");
    for _ in 0..3 {
        keys.create(&owner, &p, new_key(&[Scope::Read])).await.unwrap();
    }
    let mut seen: Vec<ApiKey> = Vec::new();
    loop {
        let filter = KeyFilter { after: seen.last().map(|key| key.id), limit: 2 };
        let page = keys.list(&owner, &p, filter).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.windows(2).all(|pair| pair[0].id > pair[1].id));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let keys = keys(&world);
    let wrong = [
        NewKey { scopes: BTreeSet::new(), ..new_key(&[]) },
        NewKey { name: String::new(), ..new_key(&ALL) },
        NewKey { name: "x".repeat(101), ..new_key(&ALL) },
        NewKey { name: "a\nb".to_owned(), ..new_key(&ALL) },
        NewKey { end: Some(KeyEnd::At(noon())), ..new_key(&ALL) },
        NewKey { end: Some(KeyEnd::After(TimeDelta::zero())), ..new_key(&ALL) },
        NewKey { end: Some(KeyEnd::After(TimeDelta::MAX)), ..new_key(&ALL) },
    ];
    for new in wrong {
        let refused = keys.create(&owner, &project_id("p"), new.clone()).await;
        assert!(matches!(refused, Err(UseCaseError::Invalid(_))), "{new:?}");
    }
    for id in ["", "nonsense", "00000000-0000-0000-0000-000000000000"] {
        let missing = keys.get(&owner, &project_id("p"), id).await;
        assert!(matches!(missing, Err(UseCaseError::Key(KeyError::NotFound { .. }))), "{id}");
    }
}
