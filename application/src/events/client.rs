//! Somebody who watches: what waits for them, and what the others are told of them.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::live::Viewer;
use gadwall_domain::names::ProjectId;
use serde_json::json;
use tokio::sync::Notify;

use super::frame::Frame;
use super::health::{Ailment, HealthRules, Vitals, Word};
use super::interest::Interest;

/// Why a stream is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// What it came with ended.
    Access,
    /// It counted as dead for too long.
    Dead(Ailment),
    /// Somebody asked for it.
    Asked,
    /// The server stops.
    Stopping,
}

impl Cut {
    /// What the client is told last.
    pub(super) fn frame(self, now: DateTime<Utc>) -> Arc<Frame> {
        match self {
            Self::Access => Frame::error("access_ended", "the key or token of this stream ended", now),
            Self::Dead(Ailment::QueueFull | Ailment::Timeout | Ailment::WriteErrors) => {
                Frame::error("too_slow", "this client takes events too slowly; go on with Last-Event-ID", now)
            }
            Self::Dead(_) => Frame::error("no_pong", "this client doesn't answer pings; go on with Last-Event-ID", now),
            Self::Asked => Frame::error("disconnected", "this client was disconnected", now),
            Self::Stopping => Frame::error("stopping", "this server stops; go on with Last-Event-ID", now),
        }
    }
}

/// Whether a client is fed by the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    /// It reads on in the log by itself.
    Behind,
    /// It gets what comes after this position.
    Live(u64),
    /// Something didn't fit into its queue: once that is empty, it reads on in the log from here.
    Lagging(u64),
}

/// What is next for a client.
#[derive(Debug)]
pub(super) enum Next {
    Frame(Arc<Frame>),
    /// Nothing but what the log has after a position.
    Log(u64),
    Nothing,
    Last(Arc<Frame>),
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) viewer: Viewer,
    pub(super) interest: Interest,
    pub(super) vitals: Vitals,
    pub(super) wake: Arc<Notify>,
    queue: VecDeque<Arc<Frame>>,
    room: usize,
    feed: Feed,
    cut: Option<Cut>,
}

impl Client {
    pub(super) fn new(viewer: Viewer, interest: Interest, vitals: Vitals, room: usize) -> Self {
        Self {
            viewer,
            interest,
            vitals,
            wake: Arc::new(Notify::new()),
            queue: VecDeque::new(),
            room,
            feed: Feed::Behind,
            cut: None,
        }
    }

    /// Whether somebody who looks after this project, or after all, has to do with it.
    pub(super) fn is_of(&self, project: Option<&ProjectId>) -> bool {
        project.is_none_or(|project| self.viewer.project.as_ref() == Some(project))
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.cut.is_none()
    }

    /// Gives it an event of the log, if it is one for it.
    pub(super) fn feed(&mut self, frame: &Arc<Frame>, now: DateTime<Utc>) {
        let (Feed::Live(known), Some(event)) = (self.feed, &frame.logged) else {
            // What doesn't fit now is read later; that it keeps not fitting is noted.
            if matches!(self.feed, Feed::Lagging(_)) && self.wants(frame) {
                self.vitals.found_full();
            }
            return;
        };
        if event.position <= known {
            return;
        }
        if self.wants(frame) && !self.give(frame, now) {
            self.feed = Feed::Lagging(known);
            return;
        }
        self.feed = Feed::Live(event.position);
    }

    fn wants(&self, frame: &Frame) -> bool {
        self.interest.has(&frame.kind) && frame.logged.as_ref().is_none_or(|event| self.viewer.sees(event))
    }

    /// Gives it something, if there is room.
    pub(super) fn give(&mut self, frame: &Arc<Frame>, now: DateTime<Utc>) -> bool {
        if self.cut.is_some() {
            return true;
        }
        if self.queue.len() >= self.room {
            self.vitals.found_full();
            return false;
        }
        self.queue.push_back(Arc::clone(frame));
        self.vitals.given_at = now;
        self.wake.notify_one();
        true
    }

    /// Goes over to be fed from a position on, with what the hub still has of later ones. `false` if that is too much.
    pub(super) fn join<'a>(
        &mut self,
        cursor: u64,
        later: impl Iterator<Item = &'a Arc<Frame>> + Clone,
        now: DateTime<Utc>,
    ) -> bool {
        let wanted = |frame: &&Arc<Frame>| self.wants(frame);
        let count = later.clone().filter(wanted).count();
        if self.queue.len() + count > self.room {
            return false;
        }
        self.feed = Feed::Live(cursor);
        later.for_each(|frame| self.feed(frame, now));
        true
    }

    pub(super) fn next(&mut self, now: DateTime<Utc>) -> Next {
        if let Some(cut) = self.cut {
            return Next::Last(cut.frame(now));
        }
        if let Some(frame) = self.queue.pop_front() {
            self.vitals.taken(now);
            return Next::Frame(frame);
        }
        match self.feed {
            Feed::Lagging(position) => {
                self.feed = Feed::Behind;
                Next::Log(position)
            }
            Feed::Behind | Feed::Live(_) => Next::Nothing,
        }
    }

    /// What comes right behind what was next, of what is there already: at most so many.
    pub(super) fn more(&mut self, most: usize) -> Vec<Arc<Frame>> {
        let count = most.min(self.queue.len());
        self.queue.drain(..count).collect()
    }

    pub(super) fn cut(&mut self, why: Cut) {
        if self.cut.is_none() {
            self.cut = Some(why);
            self.queue.clear();
            self.wake.notify_one();
        }
    }

    /// Sends the word that is due.
    pub(super) fn speak(
        &mut self,
        id: &str,
        now: DateTime<Utc>,
        rules: &HealthRules,
        ping: impl FnOnce() -> uuid::Uuid,
    ) {
        let Some(word) = self.vitals.word(now, rules, ping) else { return };
        let timestamp = seconds(now);
        let frame = match word {
            Word::Heartbeat => Frame::live("heartbeat", now, json!({ "timestamp": timestamp, "client_id": id })),
            Word::Ping(ping) => {
                let data = json!({ "timestamp": timestamp, "ping_id": ping, "expected_pong": true, "client_id": id });
                Frame::live("ping", now, data)
            }
        };
        self.give(&frame, now);
    }
}

/// A time as seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "microseconds of this millennium fit")]
pub fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}
