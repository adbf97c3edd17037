//! Several servers on one database: as if there were one.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_application::access::{Access, AdminPolicy, digest};
use gadwall_application::caller::{Caller, Identity};
use gadwall_application::keys::{Keys, NewKey};
use gadwall_application::projection::Projection;
use gadwall_application::testing::builders::{api_key, bucket, commit, event, noon, origin, project, project_id};
use gadwall_application::testing::{FixedClock, MemoryLake, SeqIds};
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::error::Classify as _;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite};
use gadwall_domain::ports::metadata::{Begun, MetadataStore as _, StoreError};
use gadwall_metastore::PostgresMetadata;
use gadwall_test_services::{Database, Postgres};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{insert, open};

/// Rounds of each crowd.
const ROUNDS: usize = 10;

async fn three() -> ([Arc<PostgresMetadata>; 3], Database) {
    let database = Postgres::database().await.unwrap();
    let stores = [open(database.url()).await, open(database.url()).await, open(database.url()).await];
    insert(&*stores[0], "p1").await;
    (stores, database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost() {
    let (stores, _database) = three().await;
    let mut writers = JoinSet::new();
    for store in stores.iter().cycle().take(3 * ROUNDS) {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let mut tx = store.write().await.unwrap();
            let mut size = tx.projects().find(&project_id("p1")).await.unwrap().unwrap().size;
            size.table_count += 1;
            tx.projects().record_size(&project_id("p1"), size).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    writers.join_all().await;
    let found = stores[2].read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().unwrap();
    assert_eq!(found.size.table_count, 3 * ROUNDS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_gets_a_name_a_request_and_a_commit() {
    let (stores, _database) = three().await;
    for round in 0..ROUNDS {
        let id = format!("round{round}");
        let mut crowd = JoinSet::new();
        for (number, store) in stores.iter().cloned().enumerate() {
            let id = id.clone();
            crowd.spawn(async move {
                // What another instance began would be taken over.
                let instance = Uuid::from_u128(1);
                let mut tx = store.write().await.unwrap();
                let begun = tx.idempotency().begin("admin", &id, instance, noon(), noon()).await.unwrap() == Begun::Now;
                let applied = tx.lake_index().apply(&project_id("p1"), &commit(round as u64 + 1, Vec::new())).await;
                let applied = applied.unwrap();
                tx.commit().await.unwrap();
                let mut tx = store.write().await.unwrap();
                let mut mine = project(&id);
                mine.name = Some(number.to_string());
                mine.lake = gadwall_domain::ids::LakeId::new(Uuid::from_u128((100 * round + number) as u128));
                let inserted = match tx.projects().insert(&mine).await {
                    Ok(()) => tx.commit().await.map(|()| true),
                    Err(StoreError::AlreadyExists) => Ok(false),
                    Err(error) => Err(error),
                };
                [begun, applied, inserted.unwrap()]
            });
        }
        let won = crowd.join_all().await;
        for what in 0..3 {
            assert_eq!(won.iter().filter(|won| won[what]).count(), 1, "{round}: {won:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_copied_once_by_however_many() {
    let (stores, _database) = three().await;
    let project = project("p1");
    let lakes = Arc::new(MemoryLake::default().shared());
    lakes.create(project.lake).await.unwrap();
    let mut made = 0;
    for _ in 0..ROUNDS {
        for _ in 0..30 {
            made += 1;
            let write = LakeWrite::CreateBucket { bucket: bucket(&format!("b{made}")), description: None };
            lakes.write(project.lake, write, origin("r1")).await.unwrap();
        }
        let mut crowd = JoinSet::new();
        for store in stores.iter().cycle().take(6) {
            let projection = Projection::new(Arc::clone(store) as _, Arc::clone(&lakes) as _);
            let project = project.clone();
            crowd.spawn(async move { projection.catch_up(&project, None).await.unwrap() });
        }
        crowd.join_all().await;
    }
    let mut tx = stores[0].read().await.unwrap();
    let events = tx.events().read_after(&project_id("p1"), 0, 10_000).await.unwrap();
    let snapshots: Vec<_> = events.iter().map(|event| event.snapshot.unwrap()).collect();
    assert_eq!(snapshots.len(), made);
    assert!(snapshots.is_sorted_by(|before, after| before < after), "each once, in order");
    assert_eq!(tx.lake_index().applied(&project_id("p1")).await.unwrap(), lakes.head(project.lake).await.unwrap());
    assert_eq!(tx.lake_index().buckets(&project_id("p1"), ReadAt::Head).await.unwrap().len(), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_on_from_a_position_misses_no_event() {
    let (stores, _database) = three().await;
    let mut writers = JoinSet::new();
    for store in &stores {
        let store = Arc::clone(store);
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                let mut tx = store.write().await.unwrap();
                tx.events().append(&[event("p1"), event("p1")]).await.unwrap();
                tokio::task::yield_now().await;
                tx.events().append(&[event("p1")]).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    let all = 9 * ROUNDS;
    let (mut seen, mut last) = (0, 0);
    // Reads on until all were committed and there is nothing more to read.
    loop {
        let over = writers.is_empty();
        let new = stores[1].read().await.unwrap().events().read_after(&project_id("p1"), last, 7).await.unwrap();
        assert!(new.iter().all(|event| event.position > last) && new.is_sorted_by_key(|event| event.position));
        seen += new.len();
        last = new.last().map_or(last, |event| event.position);
        if over && new.is_empty() {
            break;
        }
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_one_server_revokes_the_others_refuse_at_once() {
    let ([one, other, _], _database) = three().await;
    let key = api_key("p1", "secret");
    let mut tx = one.write().await.unwrap();
    tx.keys().insert(&key).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(other.access_version(), None);
    let version = async || other.shared_access_version().await.unwrap().unwrap();
    let find = async || other.read().await.unwrap().keys().find_by_digest(&key.digest).await.unwrap().unwrap();
    let before = version().await;
    let changes = || (one.access_changes(), other.access_changes());
    let (here, there) = changes();
    assert_eq!(find().await.revoked_at, None);
    assert_eq!(version().await, before, "who reads changes nothing");
    let mut tx = one.write().await.unwrap();
    assert_eq!(tx.keys().revoke_all(&project_id("p1"), noon()).await.unwrap(), 1);
    assert_eq!(version().await, before, "nothing has changed yet");
    tx.commit().await.unwrap();
    assert!(version().await > before);
    assert_eq!(changes(), (here + 1, there), "each knows of its own without asking");
    assert_eq!(find().await.revoked_at, Some(noon()));
    let after = version().await;
    let mut tx = one.write().await.unwrap();
    tx.keys().revoke_all(&project_id("p1"), noon()).await.unwrap();
    drop(tx);
    assert_eq!(version().await, after, "what is undone changes nothing");
}

#[tokio::test]
async fn a_key_made_rotated_and_revoked_at_one_server_is_so_at_the_other_at_once() {
    let ([one, other, _], _database) = three().await;
    let clock = Arc::new(FixedClock::at(noon()));
    let access = |store: &Arc<PostgresMetadata>| {
        let admins = AdminPolicy::Keys(vec![digest("admin")]);
        Arc::new(Access::new(Arc::clone(store) as _, Arc::clone(&clock) as _, admins))
    };
    let (here, there) = (access(&one), access(&other));
    let ids = Arc::new(SeqIds::default());
    let keys = Keys::new(one, here, Arc::clone(&clock) as _, ids, TimeDelta::zero());
    let admin = Caller::new(Principal::Admin, RequestId::parse("r1").unwrap());
    let p1 = project_id("p1");
    let works = async |secret: &str| match there.authenticate(Some(secret)).await {
        Ok(Identity::Known(_)) => "known",
        Ok(_) => "unknown",
        Err(error) => error.code(),
    };
    let new = NewKey { name: "k".to_owned(), scopes: [Scope::Read].into(), bucket: None, end: None };
    let made = keys.create(&admin, &p1, new).await.unwrap();
    let (id, first) = (made.key.id.to_string(), made.secret.unwrap());
    assert_eq!(works(&first).await, "known");
    let second = keys.rotate(&admin, &p1, &id, None).await.unwrap().secret.unwrap();
    assert_eq!([works(&first).await, works(&second).await], ["key_revoked", "known"]);
    assert_eq!(there.write_uses().await.unwrap(), 1);
    assert_eq!(keys.get(&admin, &p1, &id).await.unwrap().last_used_at, Some(noon()));
    keys.revoke(&admin, &p1, &id).await.unwrap();
    assert_eq!(works(&second).await, "key_revoked");
}
