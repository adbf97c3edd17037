//! Who is kept waiting for, and for how long.

use chrono::TimeDelta;
use gadwall_domain::names::ConsumerName;
use gadwall_domain::ports::events::SnapshotHolds as _;
use gadwall_domain::ports::lake::LakeWrite;

use super::*;
use crate::tables::Tables;
use crate::testing::builders::{column, origin, project_id, schema, table};
use crate::world::World;

fn name(text: &str) -> ConsumerName {
    ConsumerName::parse(text).unwrap()
}

fn at(number: i64) -> SnapshotId {
    SnapshotId::new(number).unwrap()
}

#[tokio::test]
async fn what_a_consumer_needs_is_held_until_it_has_stood_still_for_too_long() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let p = project_id("p");
    let lake = world.projects.get(&owner, &p).await.unwrap().lake;
    let create = LakeWrite::create_table(table("main.t"), schema(vec![column("id", "BIGINT")], &[]));
    world.lakes.write(lake, create, origin("r")).await.unwrap();
    let tables = Arc::new(Tables::new(
        Arc::clone(&world.store) as _,
        Arc::clone(&world.lakes),
        Arc::clone(&world.access),
        Arc::clone(&world.projection),
        Arc::clone(&world.projects),
    ));
    let consumers = Consumers::new(
        Arc::clone(&world.store) as _,
        Arc::clone(&world.lakes),
        Arc::clone(&world.access),
        tables,
        Arc::clone(&world.clock) as _,
        TimeDelta::hours(1),
    );
    let t = table("main.t");
    assert_eq!(consumers.oldest_needed(&p).await.unwrap(), None);
    let (first, is_new) = consumers.put(&owner, &p, &t, name("a"), Some(at(0))).await.unwrap();
    assert!(is_new && first.consumer.snapshot == SnapshotId::ZERO);
    world.clock.advance(TimeDelta::minutes(30));
    let (second, _) = consumers.put(&owner, &p, &t, name("b"), None).await.unwrap();
    assert_eq!(second.consumer.snapshot, second.newest);
    assert_eq!(consumers.oldest_needed(&p).await.unwrap(), Some(at(0)));
    world.clock.advance(TimeDelta::minutes(30));
    assert_eq!(consumers.oldest_needed(&p).await.unwrap(), Some(second.newest), "the first was held for long enough");
    let (first, is_new) = consumers.put(&owner, &p, &t, name("A"), Some(at(0))).await.unwrap();
    assert!(!is_new && first.consumer.created_at < first.consumer.moved_at);
    assert_eq!(consumers.oldest_needed(&p).await.unwrap(), Some(at(0)), "it moves again");
    consumers.remove(&owner, &p, &t, &name("a")).await.unwrap();
    assert_eq!(consumers.oldest_needed(&p).await.unwrap(), Some(second.newest));
    assert!(matches!(
        consumers.get(&owner, &p, &t, &name("a")).await,
        Err(UseCaseError::Events(crate::events::EventsError::NoConsumer(_)))
    ));
    let never = consumers.put(&owner, &p, &t, name("c"), Some(at(1_000))).await;
    assert!(matches!(never, Err(UseCaseError::NoSnapshot { .. })), "{never:?}");
    assert!(consumers.get(&owner, &p, &t, &name("c")).await.is_err(), "nothing was kept of it");
}
