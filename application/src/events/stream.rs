//! One client's stream: what the log has, then what comes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::live::Viewer;
use gadwall_domain::ports::metadata::StoreError;
use tokio::sync::Notify;

use super::Shared;
use super::client::Next;
use super::frame::Frame;
use super::interest::Interest;

/// Events read from the log at once.
const PAGE: u32 = 200;

/// A client's stream. Who drops it leaves.
pub struct EventStream {
    pub(super) shared: Arc<Shared>,
    pub(super) id: String,
    pub(super) viewer: Viewer,
    pub(super) interest: Interest,
    pub(super) wake: Arc<Notify>,
    /// What comes before all else: the client's id, and what it missed for good.
    pub(super) first: VecDeque<Arc<Frame>>,
    /// What was read of the log and not taken yet.
    pub(super) page: VecDeque<Arc<Frame>>,
    /// Up to where the log was read; none while the hub feeds it.
    pub(super) cursor: Option<u64>,
    /// Whether it goes on once it has all that there is.
    pub(super) follow: bool,
    pub(super) ended: bool,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EventStream {
    /// The client's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is next; waits for it. None once the stream has ended.
    pub async fn next(&mut self) -> Option<Arc<Frame>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(frame) = self.first.pop_front() {
                return Some(frame);
            }
            match self.shared.hub.next(&self.id) {
                Some(Next::Frame(frame)) => return Some(frame),
                Some(Next::Last(frame)) => {
                    self.ended = true;
                    return Some(frame);
                }
                Some(Next::Log(position)) => {
                    self.cursor = Some(position);
                    continue;
                }
                Some(Next::Nothing) => {}
                None => return None,
            }
            if let Some(frame) = self.page.pop_front() {
                self.shared.hub.took(&self.id);
                return Some(frame);
            }
            let Some(cursor) = self.cursor else {
                self.wake.notified().await;
                continue;
            };
            if self.follow && self.shared.hub.join(&self.id, cursor) {
                self.cursor = None;
                continue;
            }
            if let Err(error) = self.read_on(cursor).await {
                tracing::warn!(error = %error, "the log of events can't be read; a stream is ended");
                self.ended = true;
                let message = "the log of events can't be read now; go on with Last-Event-ID";
                return Some(Frame::error("unavailable", message, self.shared.clock.now()));
            }
        }
    }

    /// What comes right behind what was next, of what is there already: at most so many. Who writes them together has less
    /// to do than with each alone.
    pub fn more(&mut self, most: usize) -> Vec<Arc<Frame>> {
        if self.ended {
            return Vec::new();
        }
        let mut more: Vec<_> = self.first.drain(..most.min(self.first.len())).collect();
        more.extend(self.shared.hub.more(&self.id, most - more.len()));
        more.extend(self.page.drain(..(most - more.len()).min(self.page.len())));
        more
    }

    /// Passes over events that are there, for who needs to know only that something happened. Answers the last word of a
    /// stream that was ended.
    pub fn pass_over(&mut self) -> Option<Arc<Frame>> {
        self.first.clear();
        self.page.clear();
        loop {
            match self.shared.hub.next(&self.id)? {
                Next::Frame(_) => {}
                Next::Last(frame) => {
                    self.ended = true;
                    return Some(frame);
                }
                Next::Log(position) => self.cursor = Some(position),
                Next::Nothing => break,
            }
        }
        if self.cursor.is_some()
            && let Some(position) = self.shared.hub.position()
            && self.shared.hub.join(&self.id, position)
        {
            self.cursor = None;
        }
        self.shared.hub.lives(&self.id);
        None
    }

    /// Reads a page of the log.
    async fn read_on(&mut self, cursor: u64) -> Result<(), StoreError> {
        // What the hub has handed out by now is in the log by now.
        let reached = self.shared.hub.position().unwrap_or_default();
        let mut tx = self.shared.store.read().await?;
        let found = match &self.viewer.project {
            Some(project) => tx.events().read_after(project, cursor, PAGE).await?,
            None => tx.events().read_all_after(cursor, PAGE).await?,
        };
        let forgotten = tx.events().extent(self.viewer.project.as_ref()).await?.forgotten;
        drop(tx);
        if forgotten > cursor {
            self.first.push_back(self.shared.reset(&self.id, Some(cursor), forgotten));
        }
        let is_end = found.len() < PAGE as usize;
        let last = found.last().map_or(cursor, |event| event.position);
        self.cursor = Some(if is_end { last.max(reached) } else { last });
        let wanted = found.into_iter().filter(|event| self.interest.has(&event.event_type) && self.viewer.sees(event));
        self.page = wanted.map(Frame::logged).collect();
        if is_end && !self.follow && self.page.is_empty() {
            self.ended = true;
        }
        Ok(())
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.shared.hub.leave(&self.id);
    }
}
