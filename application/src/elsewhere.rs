//! Work that another server is at: asked to stop, and answered for, through what the servers say to each other.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use gadwall_domain::ids::{OperationId, QueryId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::peers::{Ear, MAX_MESSAGE, Peers};
use gadwall_domain::ports::system::IdGenerator;
use gadwall_domain::query_record::QueryRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::events::{Bell, Events};
use crate::operations::Operations;
use crate::queries::RunningQueries;

/// How long it takes at most until a server says that it is at it. Where none does, nobody is.
const FOUND_WITHIN: Duration = Duration::from_secs(2);
/// How long it then has: as long as a script that commits is waited for, and a little.
const STOPPED_WITHIN: Duration = Duration::from_secs(12);
/// What is being stopped for others at once; more wait.
const AT_ONCE: usize = 64;
/// How soon it is listened again after the connection was lost.
const AGAIN: Duration = Duration::from_secs(1);
/// Signs of a statement that a message holds, tried in turn until it fits.
const SIGNS: [usize; 4] = [10_000, 4_000, 1_000, 0];

/// What is to be stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// A query; of this principal, if that is told.
    Query { project: ProjectId, id: QueryId, own: Option<String> },
    /// An operation.
    Operation { project: ProjectId, id: OperationId },
    /// A client of events, of this project if that is told: its stream is ended.
    Client { project: Option<ProjectId>, id: String },
    /// The same, which answered a ping.
    Pong { project: Option<ProjectId>, id: String },
}

/// What a server says to the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Stop {
        ask: Uuid,
        work: Work,
    },
    /// The speaker is at it.
    Found {
        ask: Uuid,
    },
    Done {
        ask: Uuid,
        done: Done,
    },
    /// The log of events has: [`LOG_HAS_GROWN`].
    LogHasGrown,
    /// Somebody says something to those who watch events.
    Say {
        from: Uuid,
        said: Said,
    },
}

/// What somebody says to those who watch events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Whose clients are meant; none for those of all.
    pub(crate) project: Option<ProjectId>,
    pub(crate) kind: String,
    pub(crate) data: Value,
    /// Only these clients.
    pub(crate) clients: Option<Vec<String>>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Whether it was stopped; it may have ended by itself before.
    pub(crate) stopped: bool,
    /// The query as it is now, if it is one.
    pub(crate) query: Option<QueryRecord>,
}

enum Heard {
    Found,
    Done(Box<Done>),
}

/// The other servers.
pub struct Elsewhere {
    peers: Arc<dyn Peers>,
    ids: Arc<dyn IdGenerator>,
    /// Tells this server from the others.
    own: Uuid,
    /// Rings when another server's work is in the log of events.
    bell: Bell,
    /// Those who wait for an answer. Bounded by requests that are served at once, each of which waits its time.
    waiting: Mutex<HashMap<Uuid, mpsc::Sender<Heard>>>,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elsewhere")
    }
}

/// Waits no more when it is dropped.
struct Waiting<'a>(&'a Elsewhere, Uuid);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Elsewhere {
    /// Talks to these servers.
    pub fn new(peers: Arc<dyn Peers>, ids: Arc<dyn IdGenerator>) -> Self {
        let own = ids.next_id();
        Self { peers, ids, own, bell: Bell::default(), waiting: Mutex::default() }
    }

    /// The same, which rings that bell when the log of events has grown.
    #[must_use]
    pub fn with_bell(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    /// Has the server stop it that is at it. `None` where none says that it is, or none says what came of it.
    pub(crate) async fn stop(&self, work: Work) -> Result<Option<Done>, StoreError> {
        let ask = self.ids.next_id();
        let (hear, mut heard) = mpsc::channel(4);
        self.lock().insert(ask, hear);
        let _waiting = Waiting(self, ask);
        self.say(&Message::Stop { ask, work }).await?;
        let mut patience = FOUND_WITHIN;
        while let Ok(Some(answer)) = tokio::time::timeout(patience, heard.recv()).await {
            match answer {
                Heard::Found => patience = STOPPED_WITHIN,
                Heard::Done(done) => return Ok(Some(*done)),
            }
        }
        Ok(None)
    }

    /// Has the other servers say it, too. What is too long for that is heard here alone.
    pub(crate) async fn pass_on(&self, said: Said) -> Result<(), StoreError> {
        let message = Message::Say { from: self.own, said };
        let text = serde_json::to_string(&message).map_err(|error| StoreError::Fault(error.into()))?;
        if text.len() > MAX_MESSAGE {
            tracing::debug!(bytes = text.len(), "a broadcast is too long for the other servers");
            return Ok(());
        }
        self.peers.tell(&text).await
    }

    /// Listens, and does what others ask for. Never ends.
    pub async fn serve(&self, queries: &RunningQueries, operations: &Operations, events: &Events) {
        loop {
            if let Err(error) = self.listen(queries, operations, events).await {
                tracing::warn!(error = %error, "what other servers say is not heard");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn listen(
        &self,
        queries: &RunningQueries,
        operations: &Operations,
        events: &Events,
    ) -> Result<(), StoreError> {
        let mut ear: Box<dyn Ear> = self.peers.listen().await?;
        let mut stopping = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = stopping.next() => {}
                message = ear.next(), if stopping.len() < AT_ONCE => {
                    // Another version may say what this one doesn't know.
                    match serde_json::from_str(&message?) {
                        Ok(Message::Stop { ask, work }) => {
                            stopping.push(self.stop_here(ask, work, queries, operations, events));
                        }
                        Ok(Message::Found { ask }) => self.hand_over(ask, Heard::Found),
                        Ok(Message::LogHasGrown) => self.bell.ring(),
                        Ok(Message::Say { from, said }) if from != self.own => events.say_here(&said),
                        Ok(Message::Done { ask, done }) => self.hand_over(ask, Heard::Done(Box::new(done))),
                        // One's own words have been heard here.
                        Ok(Message::Say { .. }) | Err(_) => {}
                    }
                }
            }
        }
    }

    /// Stops it if this server is at it.
    async fn stop_here(
        &self,
        ask: Uuid,
        work: Work,
        queries: &RunningQueries,
        operations: &Operations,
        events: &Events,
    ) {
        let done = match work {
            Work::Query { project, id, own } => {
                let Some(live) = queries.running_of(&project, id, own.as_deref()) else { return };
                self.answer(Message::Found { ask }).await;
                let stopped = queries.stop(&live).await;
                Done { stopped, query: Some(live.record()) }
            }
            Work::Operation { project, id } => {
                let Some(stopped) = operations.stop_here(&project, id).await else { return };
                Done { stopped, query: None }
            }
            Work::Client { project, id } if events.disconnect_here(project.as_ref(), &id) => {
                Done { stopped: true, query: None }
            }
            Work::Pong { project, id } if events.pong_here(project.as_ref(), &id) => {
                Done { stopped: true, query: None }
            }
            Work::Client { .. } | Work::Pong { .. } => return,
        };
        self.answer(Message::Done { ask, done }).await;
    }

    async fn answer(&self, message: Message) {
        if let Err(error) = self.say(&message).await {
            tracing::warn!(error = %error, "another server was not told what came of its question");
        }
    }

    async fn say(&self, message: &Message) -> Result<(), StoreError> {
        let text = fitting(message).map_err(|error| StoreError::Fault(error.into()))?;
        self.peers.tell(&text).await
    }

    fn hand_over(&self, ask: Uuid, heard: Heard) {
        if let Some(waiting) = self.lock().get(&ask) {
            // Who waits no more is told nothing.
            let _ = waiting.try_send(heard);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, mpsc::Sender<Heard>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message as text, with as much of a query's statement as there is room for.
fn fitting(message: &Message) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(message)?;
    for signs in SIGNS {
        let Message::Done { ask, done: Done { stopped, query: Some(query) } } = message else { break };
        if text.len() <= MAX_MESSAGE {
            break;
        }
        let query = QueryRecord { sql: query.sql.chars().take(signs).collect(), profile: None, ..query.clone() };
        text =
            serde_json::to_string(&Message::Done { ask: *ask, done: Done { stopped: *stopped, query: Some(query) } })?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeqIds;
    use gadwall_domain::ports::peers::LOG_HAS_GROWN;

    use async_trait::async_trait;
    use gadwall_domain::ids::RequestId;
    use gadwall_domain::query_record::QueryState;
    use tokio::sync::broadcast;

    /// Servers of one process.
    struct Room(broadcast::Sender<String>);

    struct Seat(broadcast::Receiver<String>);

    #[async_trait]
    impl Peers for Room {
        async fn tell(&self, message: &str) -> Result<(), StoreError> {
            assert!(message.len() <= MAX_MESSAGE, "{}", message.len());
            self.0.send(message.to_owned()).map(drop).map_err(|error| StoreError::Unavailable(error.into()))
        }

        async fn listen(&self) -> Result<Box<dyn Ear>, StoreError> {
            Ok(Box::new(Seat(self.0.subscribe())))
        }
    }

    #[async_trait]
    impl Ear for Seat {
        async fn next(&mut self) -> Result<String, StoreError> {
            self.0.recv().await.map_err(|error| StoreError::Unavailable(error.into()))
        }
    }

    fn record(sql: String) -> QueryRecord {
        let ids = SeqIds::default();
        QueryRecord {
            id: QueryId::new(ids.next_id()),
            project: ProjectId::parse("p").unwrap(),
            principal: "admin".to_owned(),
            sql,
            request_id: RequestId::minted(ids.next_id()),
            started_at: crate::testing::builders::noon(),
            finished_at: None,
            state: QueryState::Running,
            rows: 0,
            error_code: None,
            profile: None,
            progress: None,
        }
    }

    #[test]
    fn what_is_told_of_the_log_is_understood() {
        assert!(matches!(serde_json::from_str(LOG_HAS_GROWN), Ok(Message::LogHasGrown)));
    }

    #[tokio::test]
    async fn nobody_who_is_at_it_is_told_in_time() {
        let room = Room(broadcast::channel(16).0);
        let _other = room.listen().await.unwrap();
        let elsewhere = Elsewhere::new(Arc::new(room), Arc::new(SeqIds::default()));
        let query = record(String::new());
        let work = Work::Query { project: query.project, id: query.id, own: None };
        assert!(elsewhere.stop(work).await.unwrap().is_none());
        assert!(elsewhere.lock().is_empty());
    }

    #[tokio::test]
    async fn a_statement_of_any_length_fits_into_an_answer() {
        for sql in ["x".repeat(10_000), "\u{1}".repeat(10_000), "\u{1f600}".repeat(10_000), "SELECT 1".to_owned()] {
            let done = Done { stopped: true, query: Some(record(sql.clone())) };
            let text = fitting(&Message::Done { ask: Uuid::nil(), done }).unwrap();
            assert!(text.len() <= MAX_MESSAGE);
            let Ok(Message::Done { done, .. }) = serde_json::from_str(&text) else { panic!("{text}") };
            assert!(sql.starts_with(&done.query.unwrap().sql));
        }
    }
}
