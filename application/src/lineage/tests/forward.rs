//! Handing on, over a server that does as it is told.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::TimeDelta;
use gadwall_domain::ports::lineage::LineageSender;
use gadwall_domain::ports::webhooks::DeliveryError;

use super::*;

/// What it answers to events of a job; good without.
#[derive(Default)]
struct Other {
    took: Mutex<Vec<String>>,
    fails: Mutex<HashMap<String, DeliveryError>>,
}

fn label(event: &Value) -> String {
    format!("{} {}", event["job"]["name"].as_str().unwrap(), event["eventType"].as_str().unwrap())
}

impl Other {
    fn fail(&self, job: &str, error: DeliveryError) {
        self.fails.lock().unwrap().insert(job.to_owned(), error);
    }

    fn took(&self) -> Vec<String> {
        std::mem::take(&mut *self.took.lock().unwrap())
    }
}

#[async_trait]
impl LineageSender for Other {
    async fn send(&self, event: &Value) -> Result<(), DeliveryError> {
        if let Some(error) = self.fails.lock().unwrap().get(event["job"]["name"].as_str().unwrap()) {
            return Err(error.clone());
        }
        self.took.lock().unwrap().push(label(event));
        Ok(())
    }
}

struct Pair {
    world: World,
    other: Arc<Other>,
    forwarding: Forwarding,
    lineage: Lineage,
    caller: Caller,
}

impl Pair {
    async fn new(most: u64) -> Self {
        let world = World::new();
        let (_, caller) = world.project("p").await;
        let other = Arc::new(Other::default());
        let (store, clock) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _);
        let forwarding = Forwarding::new(store, Arc::clone(&other) as _, clock, TimeDelta::seconds(1));
        let lineage = lineage(&world).forwarding(Some(most));
        Self { world, other, forwarding, lineage, caller }
    }

    async fn tell(&self, events: &[(&str, u128, &str)]) {
        let events: Vec<Value> = events.iter().map(|(kind, run, job)| event(kind, *run, job, &[], &[])).collect();
        self.lineage.ingest(&self.caller, &project_id("p"), events).await.unwrap();
    }

    async fn waiting(&self) -> (u64, u32, u64) {
        let (backlog, progress) = self.lineage.forwarding_of(Some(&project_id("p"))).await.unwrap().unwrap();
        (backlog.waiting, progress.attempts, progress.dropped)
    }
}

#[tokio::test]
async fn events_go_on_in_the_order_of_their_run() {
    let pair = Pair::new(100).await;
    pair.tell(&[("START", 1, "a"), ("START", 2, "b"), ("RUNNING", 1, "a"), ("COMPLETE", 1, "a"), ("FAIL", 2, "b")])
        .await;
    let job = name("by hand");
    let run = pair.lineage.start_run(&pair.caller, &project_id("p"), &job, None, None).await.unwrap();
    pair.lineage.end_run(&pair.caller, &project_id("p"), &job, run, Ending::Complete, Ended::default()).await.unwrap();
    assert_eq!(pair.forwarding.deliver().await.unwrap().sent, 7);
    let took = pair.other.took();
    for (job, kinds) in
        [("a", &["START", "RUNNING", "COMPLETE"][..]), ("b", &["START", "FAIL"]), ("by hand", &["START", "COMPLETE"])]
    {
        let of_job: Vec<&String> = took.iter().filter(|label| label.starts_with(&format!("{job} "))).collect();
        assert_eq!(
            of_job,
            kinds.iter().map(|kind| format!("{job} {kind}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(pair.waiting().await, (0, 0, 0));
    assert_eq!(pair.forwarding.deliver().await.unwrap(), Forwarded::default());
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_later_and_loses_nothing() {
    let pair = Pair::new(100).await;
    pair.other.fail("a", DeliveryError::Unreachable);
    pair.tell(&[("START", 1, "a"), ("COMPLETE", 1, "a")]).await;
    let failed = pair.forwarding.deliver().await.unwrap();
    assert_eq!((failed.sent, failed.failed), (0, Some(DeliveryError::Unreachable)));
    assert_eq!(pair.forwarding.deliver().await.unwrap(), Forwarded::default(), "it isn't due");
    assert_eq!(pair.waiting().await, (2, 1, 0));
    pair.world.clock.advance(TimeDelta::seconds(1));
    assert!(pair.forwarding.deliver().await.unwrap().failed.is_some());
    pair.world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(pair.forwarding.deliver().await.unwrap(), Forwarded::default(), "each pause is longer");
    pair.world.clock.advance(TimeDelta::hours(1));
    pair.other.fails.lock().unwrap().clear();
    assert_eq!(pair.forwarding.deliver().await.unwrap().sent, 2);
    assert_eq!(pair.other.took(), ["a START", "a COMPLETE"]);
    assert_eq!(pair.waiting().await, (0, 0, 0));
}

#[tokio::test]
async fn an_event_that_is_refused_holds_up_no_other() {
    let pair = Pair::new(100).await;
    pair.other.fail("bad", DeliveryError::Status(422));
    pair.tell(&[("START", 1, "bad"), ("START", 2, "good")]).await;
    let done = pair.forwarding.deliver().await.unwrap();
    assert_eq!((done.sent, done.refused, done.failed), (1, 1, None));
    assert_eq!(pair.waiting().await, (0, 0, 1), "it is counted");
    // A key that isn't taken is no event's fault.
    pair.other.fail("good", DeliveryError::Status(401));
    pair.tell(&[("COMPLETE", 2, "good")]).await;
    assert!(pair.forwarding.deliver().await.unwrap().failed.is_some());
    assert_eq!(pair.waiting().await, (1, 1, 1));
}

#[tokio::test]
async fn of_too_many_the_oldest_go_and_are_counted() {
    let pair = Pair::new(2).await;
    for run in 0..5 {
        pair.tell(&[("START", run, &format!("j{run}"))]).await;
    }
    assert_eq!(pair.waiting().await, (2, 0, 3));
    pair.forwarding.deliver().await.unwrap();
    let mut took = pair.other.took();
    took.sort();
    assert_eq!(took, ["j3 START", "j4 START"]);
}
