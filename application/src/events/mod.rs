//! Events: read from the log, and watched as they happen.

mod announcing;
mod client;
mod cloud;
mod error;
mod frame;
mod health;
mod hub;
mod interest;
mod reports;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::{Principal, Scope, Standing};
use gadwall_domain::events::LoggedEvent;
use gadwall_domain::live::{EventToken, Viewer};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::access::{Access, digest};
use crate::caller::Caller;
use crate::elsewhere::{Elsewhere, Said, Work};
use crate::error::UseCaseError;

pub use announcing::{AnnouncingMetadata, Bell};
pub use client::seconds;
pub use cloud::cloud_event;
pub use error::EventsError;
pub use frame::{Form, Frame};
pub use health::{Ailment, HealthRules, Vitals};
pub use hub::{Audience, HubLimits};
pub use interest::{Interest, SPOKEN, TYPE_PREFIX};
pub use reports::{ClientReport, Detected};
pub use stream::EventStream;

use hub::Hub;

/// Longest page of the log.
pub const MAX_EVENTS_LISTED: u32 = 1_000;
/// Events in which it is looked for those that are sent again to who comes anew.
const LOOKED_BACK: u32 = 1_000;
/// Events that the hub reads at once.
const FOLLOWED_AT_ONCE: u32 = 500;
/// Pages that the hub reads before others get their turn.
const FOLLOWED_IN_A_ROW: usize = 20;
/// Events forgotten in one transaction: others wait for it.
const FORGOTTEN_AT_ONCE: u32 = 5_000;
/// Transactions in which events are forgotten, in one round.
const FORGETTING_ROUNDS: u32 = 20;
/// How long the log is let be for each who watches, and at most.
const FOR_EACH_CLIENT: Duration = Duration::from_micros(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Longest id that a client chooses for itself.
const MAX_CLIENT_ID: usize = 100;

/// How events are kept and watched.
#[derive(Debug, Clone, Copy)]
pub struct EventSettings {
    /// How long the log keeps them.
    pub retention: TimeDelta,
    /// How many are sent again to who comes anew.
    pub replay: usize,
    /// How long a token opens streams.
    pub token_lifetime: TimeDelta,
    /// Limits of streams.
    pub limits: HubLimits,
}

/// What the streams share with the use cases.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn MetadataStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Hub,
}

impl Shared {
    /// Tells a client that something may be missing up to a position.
    fn reset(&self, client: &str, requested: Option<u64>, position: u64) -> Arc<Frame> {
        let data = json!({ "requested": requested, "position": position, "client_id": client });
        Frame::mark("reset", self.clock.now(), data, position)
    }
}

/// The use cases of events.
pub struct Events {
    shared: Arc<Shared>,
    access: Arc<Access>,
    ids: Arc<dyn IdGenerator>,
    settings: EventSettings,
    /// The other servers, if there may be some.
    elsewhere: Option<Arc<Elsewhere>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// How somebody wants to watch.
#[derive(Debug, Clone)]
pub struct Watching {
    /// The events they want.
    pub interest: Interest,
    /// The last position they have; without it they come anew.
    pub after: Option<u64>,
    /// How many of the last events they get when they come anew; as configured without.
    pub replay: Option<usize>,
    /// Their own name for themselves.
    pub client_id: Option<String>,
    /// Whether they answer pings.
    pub answers: bool,
    /// Whether the stream goes on once they have all that there is.
    pub follow: bool,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<LoggedEvent>,
    /// From where to go on.
    pub next_after: u64,
    /// Whether there is more right now.
    pub more: bool,
    /// The last position that is forgotten, if that is later than the one asked for: something may be missing.
    pub reset: Option<u64>,
}

impl Events {
    /// Works on this store.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        settings: EventSettings,
    ) -> Self {
        let hub = Hub::new(settings.limits, Arc::clone(&clock), Arc::clone(&ids));
        Self { shared: Arc::new(Shared { store, clock, hub }), access, ids, settings, elsewhere: None }
    }

    /// The same, where other servers have clients, too.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Option<Arc<Elsewhere>>) -> Self {
        Self { elsewhere, ..self }
    }

    /// What a caller may see: of a project, or, for an admin, of all.
    pub async fn viewer(&self, caller: &Caller, project: Option<&ProjectId>) -> Result<Viewer, UseCaseError> {
        let label = caller.label();
        let Some(project) = project else {
            caller.require_admin()?;
            let until = ends_with(caller.principal());
            return Ok(Viewer { label, project: None, bucket: None, manages: true, key: None, until });
        };
        let project = self.access.open(caller, project, Scope::Read).await?.id;
        let principal = caller.principal().ok_or(UseCaseError::Forbidden)?;
        let (key, until) = match principal {
            Principal::Key { id, .. } => {
                let found = self.shared.store.read().await?.keys().find(&project, *id).await?;
                (Some(*id), found.and_then(|key| key.expires_at))
            }
            other => (None, ends_with(Some(other))),
        };
        let bucket = principal.only_bucket().cloned();
        let manages = bucket.is_none() && principal.may(&project, Scope::Manage);
        Ok(Viewer { label, project: Some(project), bucket, manages, key, until })
    }

    /// A page of a project's events after a position.
    pub async fn page(
        &self,
        viewer: &Viewer,
        interest: &Interest,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, UseCaseError> {
        let mut tx = self.shared.store.read().await?;
        let extent = tx.events().extent(viewer.project.as_ref()).await?;
        let reset = (after < extent.forgotten).then_some(extent.forgotten);
        let from = if after > extent.last { extent.last } else { after };
        let found = match &viewer.project {
            Some(project) => tx.events().read_after(project, from, limit).await?,
            None => tx.events().read_all_after(from, limit).await?,
        };
        let more = found.len() == limit as usize;
        let last = found.last().map_or(from, |event| event.position);
        // What others did in between need not be passed over again.
        let next_after = if more { last } else { last.max(extent.last) };
        let seen = found.into_iter().filter(|event| viewer.sees(event) && interest.has(&event.event_type));
        Ok(EventPage { events: seen.collect(), next_after, more, reset })
    }

    /// Opens a stream.
    pub async fn watch(&self, viewer: Viewer, watching: Watching) -> Result<EventStream, UseCaseError> {
        let Watching { interest, after, replay, client_id, answers, follow } = watching;
        if self.shared.hub.position().is_none() {
            self.follow().await?;
        }
        let client_id = client_id.map(|id| own_id(&id)).transpose()?;
        let (id, wake) = self.shared.hub.enter(client_id, viewer.clone(), interest.clone(), answers)?;
        let mut stream = EventStream {
            shared: Arc::clone(&self.shared),
            id,
            viewer,
            interest,
            wake,
            first: VecDeque::new(),
            page: VecDeque::new(),
            cursor: None,
            follow,
            ended: false,
        };
        self.place(&mut stream, after, replay.unwrap_or(self.settings.replay)).await?;
        Ok(stream)
    }

    /// Finds where a stream begins.
    async fn place(&self, stream: &mut EventStream, after: Option<u64>, replay: usize) -> Result<(), UseCaseError> {
        let mut tx = self.shared.store.read().await?;
        let project = stream.viewer.project.as_ref();
        let extent = tx.events().extent(project).await?;
        let now = self.shared.clock.now();
        let mut lost = None;
        let (begin, cursor) = match after {
            Some(after) => {
                // Too old; or of another log, or of one that was set back.
                let begin = if after > extent.last { extent.last } else { after.max(extent.forgotten) };
                lost = (begin != after).then_some(begin);
                (begin, begin)
            }
            None if replay == 0 => (extent.last, extent.last),
            None => {
                let newest = tx.events().newest(project, LOOKED_BACK).await?;
                let wanted = |event: &LoggedEvent| stream.interest.has(&event.event_type) && stream.viewer.sees(event);
                let mut again: Vec<_> = newest.into_iter().filter(wanted).collect();
                again.drain(..again.len().saturating_sub(replay));
                let begin = again.first().map_or(extent.last, |event| event.position - 1);
                stream.page = again.into_iter().map(Frame::logged).collect();
                (begin, extent.last)
            }
        };
        stream.cursor = Some(cursor);
        let hello = json!({ "client_id": stream.id, "position": begin, "subscriptions": stream.interest.names() });
        stream.first.push_back(Frame::mark("connected", now, hello, begin));
        if let Some(lost) = lost {
            stream.first.push_back(self.shared.reset(&stream.id, after, lost));
        }
        Ok(())
    }

    /// Makes a token that opens streams for a short time; answers its text and its end.
    pub async fn make_token(&self, viewer: Viewer) -> Result<(String, DateTime<Utc>), UseCaseError> {
        let now = self.shared.clock.now();
        let longest = now + self.settings.token_lifetime;
        let expires_at = viewer.until.map_or(longest, |until| until.min(longest));
        let text = format!("evt_{}{}", hex::encode(self.ids.secret()), hex::encode(self.ids.secret()));
        let mut tx = self.shared.store.write().await?;
        tx.event_tokens().insert(&EventToken { digest: digest(&text), viewer, expires_at }).await?;
        tx.commit().await?;
        Ok((text, expires_at))
    }

    /// What a token shows, as long as the key it was made with is good.
    pub async fn open_token(&self, text: &str) -> Result<Viewer, UseCaseError> {
        let now = self.shared.clock.now();
        let mut tx = self.shared.store.read().await?;
        let found = tx.event_tokens().find(&digest(text), now).await?;
        let viewer = found.ok_or(UseCaseError::Unauthenticated)?.viewer;
        if let (Some(project), Some(key)) = (&viewer.project, viewer.key) {
            let key = tx.keys().find(project, key).await?;
            if !key.is_some_and(|key| key.standing_at(now) == Standing::Usable) {
                return Err(UseCaseError::Unauthenticated);
            }
        }
        drop(tx);
        if let Some(project) = &viewer.project {
            self.access.require_in_use(project).await?;
        }
        Ok(viewer)
    }

    /// Reads what the log has beyond what was handed out, and hands it out; answers how many events.
    pub async fn follow(&self) -> Result<usize, UseCaseError> {
        let hub = &self.shared.hub;
        let Some(mut position) = hub.position() else {
            let extent = self.shared.store.read().await?.events().extent(None).await?;
            hub.begin(extent.last);
            return Ok(0);
        };
        let mut all = 0;
        for _ in 0..FOLLOWED_IN_A_ROW {
            let found = self.shared.store.read().await?.events().read_all_after(position, FOLLOWED_AT_ONCE).await?;
            let Some(last) = found.last() else { break };
            position = last.position;
            let count = found.len();
            all += count;
            hub.feed(found);
            if count < FOLLOWED_AT_ONCE as usize {
                break;
            }
        }
        Ok(all)
    }

    /// How long to let the log be before it is looked at again. To hand something out to many takes a while, whether it is
    /// one event or ten: those that come within that time go out together.
    pub fn pause(&self) -> Duration {
        let clients = u32::try_from(self.shared.hub.clients()).unwrap_or(u32::MAX);
        FOR_EACH_CLIENT.saturating_mul(clients).min(LONGEST_PAUSE)
    }

    /// What is done each second: words to who got none for a while, and an end to who is dead.
    pub fn tick(&self) {
        self.shared.hub.tick();
    }

    /// Ends all streams, as the server stops.
    pub fn close(&self) {
        self.shared.hub.close();
    }

    /// Tells when the log has grown, and how far.
    pub fn reached(&self) -> watch::Receiver<u64> {
        self.shared.hub.reached()
    }

    /// Says something that nobody keeps; answers to how many. The way for whoever has figures to tell.
    pub fn announce(&self, kind: &str, data: Value, to: &Audience) -> usize {
        self.shared.hub.say(&self.shared.hub.frame(kind, data), to, None)
    }

    /// The projects that are watched; none stands for those who watch all.
    pub fn watched(&self) -> Vec<Option<ProjectId>> {
        self.shared.hub.counts().into_keys().collect()
    }

    /// Tells how many watch: each project of itself, and admins of all.
    pub fn announce_clients(&self) {
        let counts = self.shared.hub.counts();
        let all: usize = counts.values().sum();
        for (project, count) in counts {
            let metadata = json!({ "project_id": project });
            let (to, count) = project.map_or((Audience::Admins, all), |project| (Audience::Project(project), count));
            let data = json!({ "metric_type": "connected_clients", "value": count, "metadata": metadata });
            self.announce("system_metric", data, &to);
        }
    }

    /// A caller's word to those who watch its project; answers the word's id.
    pub async fn broadcast(
        &self,
        caller: &Caller,
        project: Option<&ProjectId>,
        kind: &str,
        data: Value,
        clients: Option<Vec<String>>,
    ) -> Result<String, UseCaseError> {
        let project = self.look_after(caller, project, Scope::Write).await?;
        if !SPOKEN.contains(&kind) {
            return Err(EventsError::NotSpoken(kind.chars().take(100).collect()).into());
        }
        let id = self.ids.next_id().to_string();
        let said = Said { project, kind: kind.to_owned(), data, clients };
        self.say_here(&said);
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.pass_on(said).await?;
        }
        Ok(id)
    }

    /// Says it to this server's clients.
    pub(crate) fn say_here(&self, said: &Said) {
        let to = said.project.clone().map_or(Audience::All, Audience::Project);
        let frame = self.shared.hub.frame(&said.kind, said.data.clone());
        self.shared.hub.say(&frame, &to, said.clients.as_deref());
    }

    pub(crate) fn disconnect_here(&self, project: Option<&ProjectId>, id: &str) -> bool {
        self.shared.hub.disconnect(project, id)
    }

    pub(crate) fn pong_here(&self, project: Option<&ProjectId>, id: &str) -> bool {
        self.shared.hub.pong(project, id)
    }

    /// Has the server do it whose client it is.
    async fn do_elsewhere(&self, id: &str, work: Work) -> Result<(), UseCaseError> {
        let done = match &self.elsewhere {
            Some(elsewhere) => elsewhere.stop(work).await?,
            None => None,
        };
        if done.is_some_and(|done| done.stopped) { Ok(()) } else { Err(EventsError::NoClient(id.to_owned()).into()) }
    }

    /// What is known of those who watch.
    pub async fn report(
        &self,
        caller: &Caller,
        project: Option<&ProjectId>,
    ) -> Result<(Vec<ClientReport>, usize, Detected), UseCaseError> {
        let project = self.look_after(caller, project, Scope::Read).await?;
        Ok(self.shared.hub.report(project.as_ref()))
    }

    /// Ends a client's stream.
    pub async fn disconnect(&self, caller: &Caller, project: Option<&ProjectId>, id: &str) -> Result<(), UseCaseError> {
        let project = self.look_after(caller, project, Scope::Manage).await?;
        if self.disconnect_here(project.as_ref(), id) {
            return Ok(());
        }
        self.do_elsewhere(id, Work::Client { project, id: id.to_owned() }).await
    }

    /// Takes a client's answer to a ping.
    pub async fn pong(&self, viewer: &Viewer, id: &str) -> Result<(), UseCaseError> {
        if self.pong_here(viewer.project.as_ref(), id) {
            return Ok(());
        }
        self.do_elsewhere(id, Work::Pong { project: viewer.project.clone(), id: id.to_owned() }).await
    }

    /// Ends the streams of those who count as dead; answers how many there were, and how many were ended.
    pub async fn clean_up_zombies(
        &self,
        caller: &Caller,
        project: Option<&ProjectId>,
    ) -> Result<(usize, usize), UseCaseError> {
        let project = self.look_after(caller, project, Scope::Manage).await?;
        Ok(self.shared.hub.clean_up(project.as_ref()))
    }

    /// Whose streams a caller looks after: those of a project, or, for an admin, all.
    async fn look_after(
        &self,
        caller: &Caller,
        project: Option<&ProjectId>,
        scope: Scope,
    ) -> Result<Option<ProjectId>, UseCaseError> {
        let Some(project) = project else {
            caller.require_admin()?;
            return Ok(None);
        };
        let project = self.access.open(caller, project, scope).await?;
        caller.require_whole_project()?;
        Ok(Some(project.id))
    }

    /// Forgets old events and tokens; answers how many events. A round has its end: what is left waits for the next one.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        let now = self.shared.clock.now();
        let mut all = 0;
        for _ in 0..FORGETTING_ROUNDS {
            let mut tx = self.shared.store.write().await?;
            let forgotten = tx.events().forget_before(now - self.settings.retention, FORGOTTEN_AT_ONCE).await?;
            tx.event_tokens().forget_ended(now).await?;
            tx.commit().await?;
            all += forgotten;
            if forgotten < u64::from(FORGOTTEN_AT_ONCE) {
                break;
            }
        }
        Ok(all)
    }
}

/// When a principal's credentials end, as far as they say so themselves.
fn ends_with(principal: Option<&Principal>) -> Option<DateTime<Utc>> {
    match principal {
        Some(Principal::Token(access)) => Some(access.expires_at),
        _ => None,
    }
}

/// The id that a client chose for itself.
fn own_id(text: &str) -> Result<String, UseCaseError> {
    let fits = (1..=MAX_CLIENT_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    let wanted = || format!("client_id has 1 to {MAX_CLIENT_ID} letters, digits and signs, and no /");
    if fits { Ok(text.to_owned()) } else { Err(UseCaseError::Invalid(wanted())) }
}
