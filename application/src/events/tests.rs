//! Streams over a log in memory and a clock that stands still.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use gadwall_domain::events::Event;
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::BucketName;
use uuid::Uuid;

use super::health::tests::RULES;
use super::*;
use crate::testing::SeqIds;
use crate::testing::builders::{event, noon, project_id};
use crate::world::World;

struct Watched {
    world: World,
    events: Events,
}

impl Watched {
    async fn new(queue: usize) -> Self {
        let world = World::new();
        world.project("p").await;
        world.project("q").await;
        let limits = HubLimits { clients: 4, clients_per_project: 3, queue, health: RULES };
        let settings =
            EventSettings { retention: TimeDelta::days(1), replay: 2, token_lifetime: TimeDelta::minutes(5), limits };
        let (store, clock, ids) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _, SeqIds::default());
        let events = Events::new(store, Arc::clone(&world.access), clock, Arc::new(ids), settings);
        Self { world, events }
    }

    fn viewer(project: Option<&str>) -> Viewer {
        Viewer {
            label: "key:1".to_owned(),
            project: project.map(project_id),
            bucket: None,
            manages: true,
            key: None,
            until: None,
        }
    }

    /// Logs events that are told apart by their subjects.
    async fn log(&self, project: &str, subjects: impl IntoIterator<Item = String>) {
        let now = self.world.clock.now();
        let of = |subject| Event { event_type: "rows.appended", subject, occurred_at: now, ..event(project) };
        let events: Vec<Event> = subjects.into_iter().map(of).collect();
        let mut tx = self.world.store.write().await.unwrap();
        tx.events().append(&events).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn watch(&self, viewer: Viewer, after: Option<u64>) -> EventStream {
        self.events.watch(viewer, watching(after)).await.unwrap()
    }

    fn advance(&self, seconds: i64) {
        self.world.clock.advance(TimeDelta::seconds(seconds));
    }

    fn report(&self) -> Vec<ClientReport> {
        self.events.shared.hub.report(None).0
    }
}

fn watching(after: Option<u64>) -> Watching {
    let interest = Interest::parse("rows.*,job_status").unwrap();
    Watching { interest, after, replay: None, client_id: None, answers: false, follow: true }
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| format!("b.t{number}"))
}

/// What is there now, without waiting.
fn now(stream: &mut EventStream) -> Option<Arc<Frame>> {
    // Tokio has tasks wait that do much in a row.
    tokio::task::unconstrained(stream.next()).now_or_never().flatten()
}

/// All that is there now.
fn drain(stream: &mut EventStream) -> Vec<Arc<Frame>> {
    std::iter::from_fn(|| now(stream)).collect()
}

fn subjects(frames: &[Arc<Frame>]) -> Vec<String> {
    frames.iter().filter_map(|frame| Some(frame.logged.as_ref()?.subject.clone())).collect()
}

fn kinds(frames: &[Arc<Frame>]) -> Vec<&str> {
    frames.iter().map(|frame| frame.kind.as_str()).collect()
}

#[tokio::test]
async fn who_comes_anew_gets_the_last_events_and_then_what_comes() {
    let watched = Watched::new(10).await;
    watched.log("p", numbers(0..3)).await;
    watched.log("q", numbers(90..92)).await;
    let mut stream = watched.watch(Watched::viewer(Some("p")), None).await;
    let first = drain(&mut stream);
    assert_eq!(kinds(&first), ["connected", "rows.appended", "rows.appended"]);
    assert_eq!(first[0].data["client_id"], stream.id());
    assert_eq!(subjects(&first), ["b.t1", "b.t2"]);
    watched.log("q", numbers(92..93)).await;
    watched.log("p", numbers(3..4)).await;
    assert!(drain(&mut stream).is_empty(), "nobody followed the log yet");
    assert_eq!(watched.events.follow().await.unwrap(), 2);
    assert_eq!(subjects(&drain(&mut stream)), ["b.t3"]);
    // Who goes on from what the first word says gets the same again.
    let again = first[0].position;
    let mut stream = watched.watch(Watched::viewer(Some("p")), again).await;
    assert_eq!(subjects(&drain(&mut stream)), ["b.t1", "b.t2", "b.t3"]);
}

#[tokio::test]
async fn a_stream_resumes_anywhere_without_gap_or_repeat() {
    let watched = Watched::new(5).await;
    watched.events.follow().await.unwrap();
    watched.log("p", numbers(0..450)).await;
    let mut all = Vec::new();
    let mut after = Some(0);
    // The log grows while it is read, the hub follows at other times, and the client comes again and again.
    for round in 0..60 {
        let mut stream = watched.watch(Watched::viewer(Some("p")), after).await;
        for taken in 0..(round % 13) {
            if taken % 3 == 1 {
                watched.log("p", numbers(450 + round * 13 + taken..451 + round * 13 + taken)).await;
            }
            if taken % 4 == 2 {
                watched.events.follow().await.unwrap();
            }
            let mut found = now(&mut stream);
            if found.is_none() {
                watched.events.follow().await.unwrap();
                found = now(&mut stream);
            }
            let frame = found.unwrap();
            after = frame.position;
            all.push(frame);
        }
    }
    watched.events.follow().await.unwrap();
    let mut stream = watched.watch(Watched::viewer(Some("p")), after).await;
    all.extend(drain(&mut stream));
    let found = subjects(&all);
    let mut tx = watched.world.store.read().await.unwrap();
    let logged = tx.events().read_after(&project_id("p"), 0, 10_000).await.unwrap();
    let logged: Vec<String> =
        logged.into_iter().filter(|event| event.event_type == "rows.appended").map(|event| event.subject).collect();
    assert!(logged.len() > 500);
    assert_eq!(found, logged);
}

#[tokio::test]
async fn a_slow_client_delays_nobody_and_misses_nothing() {
    let watched = Watched::new(5).await;
    let (mut slow, mut quick) = (
        watched.watch(Watched::viewer(Some("p")), Some(0)).await,
        watched.watch(Watched::viewer(Some("p")), Some(0)).await,
    );
    drain(&mut slow);
    drain(&mut quick);
    let mut seen = Vec::new();
    for number in 0..30 {
        watched.log("p", numbers(number..number + 1)).await;
        watched.events.follow().await.unwrap();
        seen.extend(drain(&mut quick));
    }
    assert_eq!(subjects(&seen).len(), 30);
    let report = watched.report();
    let of = |id: &str| report.iter().find(|client| client.id == id).unwrap();
    assert_eq!((of(slow.id()).queued, of(slow.id()).vitals.queue_full), (5, 25));
    assert_eq!((of(quick.id()).queued, of(quick.id()).vitals.queue_full), (0, 0));
    assert_eq!(subjects(&drain(&mut slow)), numbers(0..30).collect::<Vec<_>>());
    watched.log("p", numbers(30..31)).await;
    watched.events.follow().await.unwrap();
    assert_eq!(subjects(&drain(&mut slow)), ["b.t30"], "it is fed again");
}

#[tokio::test]
async fn who_stays_slow_is_told_and_cut() {
    let watched = Watched::new(5).await;
    let mut slow = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
    drain(&mut slow);
    watched.events.tick();
    watched.log("p", numbers(0..20)).await;
    watched.events.follow().await.unwrap();
    watched.advance(59);
    watched.events.tick();
    assert!(watched.report()[0].vitals.dead.is_none(), "it is looked once a minute");
    watched.advance(1);
    watched.events.tick();
    assert_eq!(watched.report()[0].vitals.dead, Some((watched.world.clock.now(), Ailment::QueueFull)));
    let job = || watched.events.announce("job_status", json!({}), &Audience::All);
    assert_eq!(job(), 0, "nothing more is said to it");
    watched.advance(59);
    watched.events.tick();
    assert_eq!(watched.report().len(), 1);
    watched.advance(1);
    watched.events.tick();
    assert!(watched.report().is_empty());
    let last = drain(&mut slow);
    assert_eq!((kinds(&last), &last[0].data["error_type"]), (vec!["error"], &json!("too_slow")));
    assert!(slow.next().await.is_none());
    assert_eq!(watched.events.shared.hub.report(None).2.reasons()["queue_consistently_full"], 1);
    drop(slow);
    let mut again = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
    assert_eq!(subjects(&drain(&mut again)).len(), 20, "nothing is lost to who comes again");
}

#[tokio::test]
async fn who_catches_up_in_time_is_well_again() {
    let watched = Watched::new(5).await;
    let mut slow = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
    drain(&mut slow);
    watched.events.tick();
    watched.log("p", numbers(0..20)).await;
    watched.events.follow().await.unwrap();
    watched.advance(60);
    watched.events.tick();
    assert!(watched.report()[0].vitals.dead.is_some());
    assert_eq!(subjects(&drain(&mut slow)).len(), 20);
    watched.advance(60);
    watched.events.tick();
    assert!(watched.report()[0].vitals.dead.is_none());
    assert_eq!(watched.events.announce("job_status", json!({}), &Audience::All), 1);
}

#[tokio::test]
async fn words_come_after_silence_and_pongs_count() {
    let watched = Watched::new(10).await;
    let mut stream = watched.watch(Watched::viewer(Some("p")), None).await;
    drain(&mut stream);
    let mut words = Vec::new();
    for _ in 0..4 {
        watched.advance(30);
        watched.events.tick();
        words.extend(drain(&mut stream));
    }
    assert_eq!(kinds(&words), ["heartbeat", "ping", "heartbeat", "ping"]);
    assert!(words.iter().all(|word| word.position.is_none() && word.data["client_id"] == stream.id()));
    let ours = Watched::viewer(Some("p"));
    watched.events.pong(&ours, stream.id()).await.unwrap();
    let vitals = watched.report().remove(0).vitals;
    assert_eq!((vitals.pings, vitals.missed_pings, vitals.takes_part), (2, 0, true));
    let theirs = watched.events.pong(&Watched::viewer(Some("q")), stream.id()).await;
    assert!(matches!(theirs, Err(UseCaseError::Events(EventsError::NoClient(_)))), "{theirs:?}");
}

#[tokio::test]
async fn dead_clients_can_be_removed_at_once_by_those_whose_they_are() {
    let watched = Watched::new(10).await;
    let (_, owner) = watched.world.project("r").await;
    let mut stream = watched.watch(Watched::viewer(Some("p")), None).await;
    watched.events.tick();
    watched.advance(120);
    watched.events.tick();
    assert_eq!(watched.report()[0].vitals.dead.map(|(_, why)| why), Some(Ailment::Timeout));
    let admin = watched.world.admin();
    assert_eq!(watched.events.clean_up_zombies(&owner, Some(&project_id("r"))).await.unwrap(), (0, 0));
    let (clients, _, detected) = watched.events.report(&owner, Some(&project_id("r"))).await.unwrap();
    assert!(clients.is_empty() && detected.reasons().is_empty(), "others' clients are none of their business");
    assert_eq!(watched.events.clean_up_zombies(&admin, None).await.unwrap(), (1, 1));
    assert_eq!(watched.events.shared.hub.report(None).2.last_cleanup(), Some(watched.world.clock.now()));
    assert_eq!(kinds(&drain(&mut stream)).last(), Some(&"error"));
    let gone = watched.events.disconnect(&admin, None, stream.id()).await;
    assert!(matches!(gone, Err(UseCaseError::Events(EventsError::NoClient(_)))), "{gone:?}");
}

#[tokio::test]
async fn a_client_is_disconnected_by_its_own_project_only() {
    let watched = Watched::new(10).await;
    let (_, owner) = watched.world.project("r").await;
    let mut stream = watched.watch(Watched::viewer(Some("r")), None).await;
    let (_, other) = watched.world.project("s").await;
    assert!(watched.events.disconnect(&other, Some(&project_id("s")), stream.id()).await.is_err());
    watched.events.disconnect(&owner, Some(&project_id("r")), stream.id()).await.unwrap();
    assert_eq!(kinds(&drain(&mut stream)).last(), Some(&"error"));
}

#[tokio::test]
async fn who_was_away_for_too_long_hears_that_something_may_be_missing() {
    let watched = Watched::new(10).await;
    watched.log("p", numbers(0..3)).await;
    watched.advance(100_000);
    watched.log("p", numbers(3..4)).await;
    assert!(watched.events.clean_up().await.unwrap() >= 3);
    let mut stream = watched.watch(Watched::viewer(Some("p")), Some(1)).await;
    let found = drain(&mut stream);
    assert_eq!(kinds(&found), ["connected", "reset", "rows.appended"]);
    assert_eq!(found[1].position, found[0].position);
    let page = watched.events.page(&Watched::viewer(Some("p")), &Interest::ALL, 1, 10).await.unwrap();
    assert_eq!((page.reset, page.events.len()), (found[1].position, 1));
    // From where it was set to, nothing is missing.
    let mut stream = watched.watch(Watched::viewer(Some("p")), found[1].position).await;
    assert_eq!(kinds(&drain(&mut stream)), ["connected", "rows.appended"]);
    let mut ahead = watched.watch(Watched::viewer(Some("p")), Some(1_000_000)).await;
    assert_eq!(kinds(&drain(&mut ahead)), ["connected", "reset"]);
}

#[tokio::test]
async fn what_is_forgotten_while_somebody_reads_is_told_as_well() {
    let watched = Watched::new(2).await;
    let mut stream = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
    drain(&mut stream);
    watched.log("p", numbers(0..5)).await;
    watched.events.follow().await.unwrap();
    // Two fit; the others are to be read in the log, which forgets them before.
    watched.advance(100_000);
    watched.log("p", numbers(5..6)).await;
    watched.events.clean_up().await.unwrap();
    let found = drain(&mut stream);
    assert_eq!(kinds(&found), ["rows.appended", "rows.appended", "reset", "rows.appended"]);
    assert_eq!(subjects(&found), ["b.t0", "b.t1", "b.t5"]);
}

#[tokio::test]
async fn a_stream_ends_with_what_opened_it() {
    let watched = Watched::new(10).await;
    let key = ApiKeyId::new(Uuid::from_u128(7));
    let of_key = Viewer { key: Some(key), ..Watched::viewer(Some("p")) };
    let short = Viewer { until: Some(noon() + TimeDelta::seconds(10)), ..Watched::viewer(Some("q")) };
    let (mut of_key, mut short) = (watched.watch(of_key, None).await, watched.watch(short, None).await);
    drain(&mut of_key);
    drain(&mut short);
    let mut revoked = event("p");
    revoked.event_type = "key.revoked";
    revoked.subject = key.to_string();
    let mut tx = watched.world.store.write().await.unwrap();
    tx.events().append(&[revoked]).await.unwrap();
    tx.commit().await.unwrap();
    watched.events.follow().await.unwrap();
    assert_eq!(drain(&mut of_key)[0].data["error_type"], "access_ended");
    watched.advance(9);
    watched.events.tick();
    assert!(drain(&mut short).is_empty());
    watched.advance(1);
    watched.events.tick();
    assert_eq!(drain(&mut short)[0].data["error_type"], "access_ended");
    watched.events.close();
    assert!(watched.events.watch(Watched::viewer(None), watching(None)).await.is_err(), "the server stops");
}

#[tokio::test]
async fn so_many_watch_and_no_more() {
    let watched = Watched::new(10).await;
    let named = |id: &str| Watching { client_id: Some(id.to_owned()), ..watching(None) };
    let mut streams = Vec::new();
    for id in ["a", "b", "c"] {
        streams.push(watched.events.watch(Watched::viewer(Some("p")), named(id)).await.unwrap());
    }
    let fourth = watched.events.watch(Watched::viewer(Some("p")), named("d")).await;
    assert!(matches!(fourth, Err(UseCaseError::Events(EventsError::TooMany))), "{fourth:?}");
    streams.push(watched.events.watch(Watched::viewer(Some("q")), named("d")).await.unwrap());
    assert!(watched.events.watch(Watched::viewer(None), named("e")).await.is_err());
    drop(streams.remove(0));
    let taken = watched.events.watch(Watched::viewer(None), named("b")).await;
    assert!(matches!(taken, Err(UseCaseError::Events(EventsError::ClientExists(_)))), "{taken:?}");
    assert!(watched.events.watch(Watched::viewer(None), named("a/b")).await.is_err());
    watched.events.watch(Watched::viewer(None), named("a")).await.unwrap();
}

#[tokio::test]
async fn a_frame_is_written_once_for_all() {
    let watched = Watched::new(10).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
        drain(&mut stream);
        streams.push(stream);
    }
    watched.log("p", numbers(0..1)).await;
    watched.events.follow().await.unwrap();
    let written = std::cell::Cell::new(0);
    for stream in &mut streams {
        let frame = drain(stream).remove(0);
        frame.form(Form::Plain, |_| {
            written.set(written.get() + 1);
            "x".into()
        });
    }
    assert_eq!(written.get(), 1);
}

#[tokio::test]
async fn words_reach_those_who_are_meant() {
    let watched = Watched::new(10).await;
    let (_, owner) = watched.world.project("r").await;
    let mut ours = watched.watch(Watched::viewer(Some("r")), None).await;
    let mut theirs = watched.watch(Watched::viewer(Some("q")), None).await;
    let mut admins = watched.watch(Watched::viewer(None), None).await;
    drain(&mut ours);
    drain(&mut theirs);
    drain(&mut admins);
    let say = async |project: Option<&str>, kind: &str, clients: Option<Vec<String>>| {
        let project = project.map(project_id);
        let caller = if project.is_some() { &owner } else { &watched.world.admin() };
        watched.events.broadcast(caller, project.as_ref(), kind, json!({ "x": 1 }), clients).await
    };
    say(Some("r"), "job_status", None).await.unwrap();
    assert_eq!(drain(&mut ours)[0].data, json!({ "x": 1 }));
    assert!(drain(&mut theirs).is_empty() && drain(&mut admins).is_empty());
    say(None, "job_status", None).await.unwrap();
    assert_eq!([drain(&mut ours).len(), drain(&mut theirs).len(), drain(&mut admins).len()], [1, 1, 1]);
    say(None, "job_status", Some(vec![theirs.id().to_owned()])).await.unwrap();
    assert_eq!([drain(&mut ours).len(), drain(&mut theirs).len(), drain(&mut admins).len()], [0, 1, 0]);
    say(None, "system_metric", None).await.unwrap();
    assert!(drain(&mut ours).is_empty(), "they don't want such");
    assert!(matches!(say(None, "table.created", None).await, Err(UseCaseError::Events(EventsError::NotSpoken(_)))));
    assert!(say(Some("q"), "job_status", None).await.is_err(), "another project's");
}

#[tokio::test]
async fn a_token_shows_what_its_maker_sees_for_a_while() {
    let watched = Watched::new(10).await;
    let (_, owner) = watched.world.project("r").await;
    let viewer = watched.events.viewer(&owner, Some(&project_id("r"))).await.unwrap();
    assert!(viewer.manages && viewer.key.is_some());
    let (text, until) = watched.events.make_token(viewer.clone()).await.unwrap();
    assert_eq!(until, watched.world.clock.now() + TimeDelta::minutes(5));
    assert_eq!(watched.events.open_token(&text).await.unwrap(), viewer);
    assert!(watched.events.open_token("evt_0").await.is_err());
    watched.advance(300);
    assert!(watched.events.open_token(&text).await.is_err());
    let bucket = Some(BucketName::parse("b").unwrap());
    let (text, _) = watched.events.make_token(Viewer { bucket, ..viewer.clone() }).await.unwrap();
    let mut tx = watched.world.store.write().await.unwrap();
    tx.keys().revoke_all(&project_id("r"), noon()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(watched.events.open_token(&text).await.is_err(), "its maker's key is revoked");
}

#[tokio::test]
async fn who_waits_is_woken() {
    let watched = Watched::new(10).await;
    let mut stream = watched.watch(Watched::viewer(Some("p")), Some(0)).await;
    drain(&mut stream);
    let next = async { tokio::time::timeout(Duration::from_secs(1), stream.next()).await.unwrap().unwrap() };
    let grow = async {
        tokio::task::yield_now().await;
        watched.log("p", numbers(0..1)).await;
        watched.events.follow().await.unwrap();
    };
    let (frame, ()) = tokio::join!(next, grow);
    assert_eq!(frame.logged.as_ref().unwrap().subject, "b.t0");
}
