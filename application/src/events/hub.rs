//! Hands events to all who watch, and waits for none of them.
//!
//! The log is the truth. The hub follows it and feeds each client's queue; who comes late, or takes too little, reads on
//! in the log by itself until it has come as far as the hub is, and is fed again from there. So nothing is missed and
//! nothing comes twice, however slow somebody is.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use gadwall_domain::events::LoggedEvent;
use gadwall_domain::live::Viewer;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::client::{Client, Cut, Next};
use super::error::EventsError;
use super::frame::Frame;
use super::health::{Ailment, HealthRules, Vitals};
use super::interest::Interest;
use super::reports::{ClientReport, Detected};

/// Events that the hub keeps for those who are about to come.
const RECENT: usize = 1_000;

/// How many may watch, and how.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// Clients at once.
    pub clients: usize,
    /// Of them, those of one project.
    pub clients_per_project: usize,
    /// Events that wait for one client.
    pub queue: usize,
    /// When a client counts as dead.
    pub health: HealthRules,
}

/// Whom something is for.
#[derive(Debug, Clone, Default)]
pub enum Audience {
    /// All who watch.
    #[default]
    All,
    /// Those who watch this project, and no other.
    Project(ProjectId),
    /// Those who watch all projects.
    Admins,
}

impl Audience {
    fn has(&self, viewer: &Viewer) -> bool {
        match self {
            Self::All => true,
            Self::Project(project) => viewer.project.as_ref() == Some(project),
            Self::Admins => viewer.project.is_none(),
        }
    }
}

/// Feeds those who watch.
pub(crate) struct Hub {
    limits: HubLimits,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    state: Mutex<State>,
    /// How far the hub is, for those who wait for what comes.
    reached: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    clients: BTreeMap<String, Client>,
    /// How far the log has been handed out; none before it was looked at.
    position: Option<u64>,
    /// The last events, and after which position none is missing among them.
    recent: VecDeque<Arc<Frame>>,
    recent_after: u64,
    checked_at: Option<DateTime<Utc>>,
    /// Whether nobody is let in any more.
    closed: bool,
    detected: Detected,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    pub(super) fn new(limits: HubLimits, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self { limits, clock, ids, state: Mutex::default(), reached: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the log has been handed out; none before the hub has begun.
    pub(super) fn position(&self) -> Option<u64> {
        self.state().position
    }

    /// Tells when the log has grown.
    pub(super) fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// Begins at the log's end, unless it has.
    pub(super) fn begin(&self, last: u64) {
        let mut state = self.state();
        if state.position.is_none() {
            state.position = Some(last);
            state.recent_after = last;
            self.reached.send_replace(last);
        }
    }

    /// Hands out what came after [`Self::position`], in the order of the log.
    pub(super) fn feed(&self, events: Vec<LoggedEvent>) {
        let now = self.clock.now();
        let mut state = self.state();
        for event in events {
            if state.position.is_some_and(|position| event.position <= position) {
                continue;
            }
            state.position = Some(event.position);
            let frame = Frame::logged(event);
            for client in state.clients.values_mut() {
                client.feed(&frame, now);
                if let Some(event) = &frame.logged
                    && ends(&client.viewer, event)
                {
                    client.cut(Cut::Access);
                }
            }
            if state.recent.len() >= RECENT
                && let Some(oldest) = state.recent.pop_front()
            {
                state.recent_after = oldest.position.unwrap_or_default();
            }
            state.recent.push_back(frame);
        }
        let position = state.position.unwrap_or_default();
        drop(state);
        self.reached.send_replace(position);
    }

    /// Says something that nobody keeps to those who want it; answers to how many.
    pub(super) fn say(&self, frame: &Arc<Frame>, to: &Audience, clients: Option<&[String]>) -> usize {
        let now = self.clock.now();
        let mut state = self.state();
        let mut heard = 0;
        for (id, client) in &mut state.clients {
            let meant = to.has(&client.viewer)
                && clients.is_none_or(|ids| ids.contains(id))
                && client.interest.has(&frame.kind)
                && client.vitals.dead.is_none();
            heard += usize::from(meant && client.give(frame, now));
        }
        heard
    }

    /// Those who watch, by project; admins who watch all are of none.
    pub(super) fn counts(&self) -> BTreeMap<Option<ProjectId>, usize> {
        let mut counts = BTreeMap::new();
        for client in self.state().clients.values() {
            *counts.entry(client.viewer.project.clone()).or_default() += 1;
        }
        counts
    }

    /// Lets somebody in.
    pub(super) fn enter(
        &self,
        id: Option<String>,
        viewer: Viewer,
        interest: Interest,
        takes_part: bool,
    ) -> Result<(String, Arc<Notify>), EventsError> {
        let vitals = Vitals::new(self.clock.now(), takes_part);
        let mut state = self.state();
        let id = id.unwrap_or_else(|| self.ids.next_id().to_string());
        if state.clients.contains_key(&id) {
            return Err(EventsError::ClientExists(id));
        }
        let of_project = state.clients.values().filter(|client| client.viewer.project == viewer.project).count();
        let too_many = viewer.project.is_some() && of_project >= self.limits.clients_per_project;
        if state.closed || too_many || state.clients.len() >= self.limits.clients {
            return Err(EventsError::TooMany);
        }
        let client = Client::new(viewer, interest, vitals, self.limits.queue);
        let wake = Arc::clone(&client.wake);
        state.clients.insert(id.clone(), client);
        Ok((id, wake))
    }

    /// Lets a client be fed that has all up to a position; `false` if it must read on in the log first.
    pub(super) fn join(&self, id: &str, cursor: u64) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let State { clients, recent, recent_after, position, .. } = &mut *state;
        if position.is_none() || cursor < *recent_after {
            return false;
        }
        let later = recent.iter().filter(|frame| frame.position.is_some_and(|position| position > cursor));
        clients.get_mut(id).is_some_and(|client| client.join(cursor, later, now))
    }

    /// What is next for a client; none if it isn't known any more.
    pub(super) fn next(&self, id: &str) -> Option<Next> {
        let now = self.clock.now();
        self.state().clients.get_mut(id).map(|client| client.next(now))
    }

    /// What comes right behind that, of what is there already: at most so many.
    pub(super) fn more(&self, id: &str, most: usize) -> Vec<Arc<Frame>> {
        self.state().clients.get_mut(id).map(|client| client.more(most)).unwrap_or_default()
    }

    /// How many watch.
    pub(super) fn clients(&self) -> usize {
        self.state().clients.len()
    }

    /// A client that reads in the log took something.
    pub(super) fn took(&self, id: &str) {
        let now = self.clock.now();
        if let Some(client) = self.state().clients.get_mut(id) {
            client.vitals.taken(now);
            client.vitals.given_at = now;
        }
    }

    /// A client takes what it gets elsewhere.
    pub(super) fn lives(&self, id: &str) {
        let now = self.clock.now();
        if let Some(client) = self.state().clients.get_mut(id) {
            client.vitals.taken(now);
        }
    }

    /// A client is gone. One that was, with something still waiting for it, could not be written to.
    pub(super) fn leave(&self, id: &str) {
        let mut state = self.state();
        if let Some(client) = state.clients.remove(id)
            && client.is_open()
            && client.queued() > 0
        {
            state.detected.note(client.viewer.project, Ailment::WriteErrors);
        }
    }

    /// What is done each second: words to who got none for a while, and an end to who is dead.
    pub(super) fn tick(&self) {
        let now = self.clock.now();
        let rules = self.limits.health;
        let mut state = self.state();
        let State { clients, checked_at, detected, .. } = &mut *state;
        let check = now - *checked_at.get_or_insert(now) >= rules.check;
        if check {
            *checked_at = Some(now);
        }
        for (id, client) in clients.iter_mut() {
            if client.viewer.until.is_some_and(|until| until <= now) {
                client.cut(Cut::Access);
                continue;
            }
            client.speak(id, now, &rules, || self.ids.next_id());
            match (client.vitals.dead, client.vitals.ailment(now, &rules)) {
                // Who recovers in time is well again.
                (Some(_), None) => client.vitals.dead = None,
                (Some((since, why)), Some(_)) if now - since >= rules.grace => client.cut(Cut::Dead(why)),
                (None, Some(why)) if check => {
                    client.vitals.dead = Some((now, why));
                    detected.note(client.viewer.project.clone(), why);
                }
                _ => {}
            }
        }
    }

    /// A client's answer to a ping. `false` if nobody of that id watches the project.
    pub(super) fn pong(&self, project: Option<&ProjectId>, id: &str) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let client = state.clients.get_mut(id).filter(|client| client.is_of(project));
        client.map(|client| client.vitals.pong(now)).is_some()
    }

    /// Ends a client's stream. `false` if nobody of that id watches the project.
    pub(super) fn disconnect(&self, project: Option<&ProjectId>, id: &str) -> bool {
        let mut state = self.state();
        let client = state.clients.get_mut(id).filter(|client| client.is_of(project) && client.is_open());
        client.map(|client| client.cut(Cut::Asked)).is_some()
    }

    /// Ends all streams, and opens no other.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.clients.values_mut().for_each(|client| client.cut(Cut::Stopping));
    }

    /// Ends the streams of those who count as dead; answers how many there were, and how many were ended.
    pub(super) fn clean_up(&self, project: Option<&ProjectId>) -> (usize, usize) {
        let now = self.clock.now();
        let mut state = self.state();
        let dead = |client: &&mut Client| client.is_of(project) && client.is_open() && client.vitals.dead.is_some();
        let mut ended = 0;
        for client in state.clients.values_mut().filter(dead) {
            if let Some((_, why)) = client.vitals.dead {
                client.cut(Cut::Dead(why));
                ended += 1;
            }
        }
        state.detected.cleaned(project.cloned(), now);
        (ended, ended)
    }

    /// What is known of the clients of a project, or of all; how many events the hub keeps for them; and who was found dead.
    pub(super) fn report(&self, project: Option<&ProjectId>) -> (Vec<ClientReport>, usize, Detected) {
        let state = self.state();
        let of_project = state.clients.iter().filter(|(_, client)| client.is_of(project) && client.is_open());
        let clients = of_project.map(|(id, client)| ClientReport {
            id: id.clone(),
            project: client.viewer.project.clone(),
            interest: client.interest.names(),
            queued: client.queued(),
            vitals: client.vitals.clone(),
        });
        let kept = state.recent.iter().filter(|frame| {
            frame.logged.as_ref().is_some_and(|event| project.is_none_or(|project| event.project == *project))
        });
        (clients.collect(), kept.count(), state.detected.of(project))
    }

    /// A word for those who want such.
    pub(super) fn frame(&self, kind: &str, data: Value) -> Arc<Frame> {
        Frame::live(kind, self.clock.now(), data)
    }
}

/// Whether an event ends what a viewer came with.
fn ends(viewer: &Viewer, event: &LoggedEvent) -> bool {
    match event.event_type.as_str() {
        "project.deleted" => viewer.project.as_ref() == Some(&event.project),
        "key.revoked" | "key.rotated" => viewer.key.is_some_and(|key| key.to_string() == event.subject),
        _ => false,
    }
}
