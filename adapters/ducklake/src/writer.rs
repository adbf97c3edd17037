//! The writer of a lake: alone, in order. What waits when its turn comes goes into one commit.
//!
//! Writes queue up behind a bounded channel. What is costly and can be done beforehand (decoding, staging and checking
//! many rows) is done before a write gets here; the few rows of many requests are staged and checked here in one go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};

use crate::area::Area;
use crate::catalogs::Catalogs;
use crate::cloud::{CatalogServer, Turn};
use crate::commit::{Commit, Load};
use crate::engine::Engine;
use crate::error::{fault, same_again};

/// A writer that has nothing to do for so long goes away; the next write starts another.
const IDLE: Duration = Duration::from_mins(1);

/// A write that is ready to be committed.
pub(crate) enum Ready {
    /// Something that has commits of its own, or only looks at what one would do.
    Alone(Work),
    /// Rows, and where they come from.
    Load(Box<Load>, WriteOrigin),
}

/// What is done in the writer's turn, with nobody beside it.
pub(crate) type Work = Box<dyn FnOnce(&Commit<'_>) -> Result<Committed, WriteError> + Send>;

/// Requests that go into one commit at most.
const GROUP: usize = 256;

/// Rows of requests that go into one commit.
#[derive(Default)]
struct Group {
    loads: Vec<Load>,
    origins: Vec<WriteOrigin>,
    answers: Vec<Answer>,
    asked: Vec<Span>,
}

type Answer = oneshot::Sender<Result<Committed, WriteError>>;

struct Job {
    write: Ready,
    answer: Answer,
    /// Where it was asked for.
    asked: Span,
    /// Its time in the queue: over when this is dropped.
    waits: Span,
}

/// The writers of all lakes.
pub(crate) struct Writers {
    shared: Arc<Shared>,
    queue: usize,
    open: Arc<Mutex<HashMap<LakeId, mpsc::Sender<Job>>>>,
}

pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) area: Arc<dyn Area>,
    /// Keeps writers of other processes out, where there may be any.
    pub(crate) turns: Option<Arc<CatalogServer>>,
}

impl Writers {
    pub(crate) fn new(shared: Arc<Shared>, queue: usize) -> Self {
        Self { shared, queue: queue.max(1), open: Arc::default() }
    }

    /// Writes that wait for their turn.
    pub(crate) fn queued(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().map(|queue| queue.max_capacity() - queue.capacity()).sum()
    }

    /// How many may wait for one lake.
    pub(crate) fn limit(&self) -> usize {
        self.queue
    }

    /// Queues a write and waits until it is durable or refused.
    pub(crate) async fn submit(&self, lake: LakeId, write: Ready) -> Result<Committed, WriteError> {
        let (answer, answered) = oneshot::channel();
        let (asked, waits) = (Span::current(), tracing::info_span!("write.queue"));
        self.enqueue(lake, Job { write, answer, asked, waits })?;
        answered.await.unwrap_or_else(|_| Err(fault("the writer stopped before it answered").into()))
    }

    fn enqueue(&self, lake: LakeId, job: Job) -> Result<(), LakeError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = open.get(&lake) else {
            return self.start(&mut open, lake, job);
        };
        match queue.try_send(job) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(LakeError::Busy),
            Err(mpsc::error::TrySendError::Closed(job)) => self.start(&mut open, lake, job),
        }
    }

    fn start(&self, open: &mut HashMap<LakeId, mpsc::Sender<Job>>, lake: LakeId, job: Job) -> Result<(), LakeError> {
        let (queue, jobs) = mpsc::channel(self.queue);
        queue.try_send(job).map_err(|_| LakeError::Busy)?;
        open.insert(lake, queue);
        // Weak, so that the writers end with the lakes they belong to.
        tokio::spawn(work(Arc::clone(&self.shared), lake, jobs, Arc::downgrade(&self.open)));
        Ok(())
    }
}

async fn work(
    shared: Arc<Shared>,
    lake: LakeId,
    mut jobs: mpsc::Receiver<Job>,
    open: Weak<Mutex<HashMap<LakeId, mpsc::Sender<Job>>>>,
) {
    let mut waiting = None;
    loop {
        let next = match waiting.take() {
            Some(job) => Ok(Some(job)),
            None => tokio::time::timeout(IDLE, jobs.recv()).await,
        };
        match next {
            Ok(Some(job)) => waiting = commit_next(&shared, lake, job, &mut jobs).await,
            Ok(None) => return,
            Err(_) => {
                let Some(open) = open.upgrade() else { return };
                // Under the lock nobody can queue a job between the look and the removal.
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                if jobs.is_empty() {
                    open.remove(&lake);
                    return;
                }
            }
        }
    }
}

/// Commits a job, and with rows those that wait behind it; answers a job that was taken but not committed.
async fn commit_next(shared: &Arc<Shared>, lake: LakeId, job: Job, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
    let mut group = Group::default();
    let mut next = Some(job);
    while let Some(Job { write, answer, asked, waits }) = next.take() {
        if answer.is_closed() {
            // Its client went away before its turn: nothing was promised.
        } else {
            match write {
                Ready::Load(load, origin) => {
                    // What looks at the rows that are there goes by itself, after those before it.
                    let sociable = load.is_sociable();
                    if !sociable && !group.loads.is_empty() {
                        commit_loads(shared, lake, group).await;
                        return Some(Job { write: Ready::Load(load, origin), answer, asked, waits });
                    }
                    group.loads.push(*load);
                    group.origins.push(origin);
                    group.answers.push(answer);
                    group.asked.push(asked);
                    if !sociable {
                        break;
                    }
                }
                Ready::Alone(work) if group.loads.is_empty() => {
                    drop(waits);
                    do_alone(shared, lake, work, answer, &asked).await;
                    return None;
                }
                Ready::Alone(_) => {
                    commit_loads(shared, lake, group).await;
                    return Some(Job { write, answer, asked, waits });
                }
            }
        }
        if group.loads.len() < GROUP {
            next = jobs.try_recv().ok();
        }
    }
    if !group.loads.is_empty() {
        commit_loads(shared, lake, group).await;
    }
    None
}

/// Does work when no writer of another process does any.
async fn in_turn<T: Send + 'static>(
    shared: &Arc<Shared>,
    lake: LakeId,
    work: impl FnOnce(&Commit<'_>) -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    let turn = match &shared.turns {
        Some(turns) => Some(turns.turn(lake).await?),
        None => None,
    };
    let (worker, head) = (Arc::clone(shared), turn.as_ref().and_then(Turn::head));
    let done = shared.engine.run_exclusive(move |connection| {
        let lease = worker.catalogs.lease(connection, lake)?;
        if let Some(head) = head {
            lease.known.stands_at(head);
        }
        work(&Commit::new(&worker, connection, lake, &lease.known))
    });
    let done = done.await;
    if let Some(turn) = turn {
        turn.end().await;
    }
    done
}

/// What is committed for these: a part of the first one's trace, and told to follow from the others.
fn committing(asked: &[Span]) -> Span {
    let writes = asked.len();
    let Some((first, others)) = asked.split_first() else { return Span::none() };
    // Made inside of it, since only there it is seen whether that is in a trace.
    let span = first.in_scope(|| tracing::info_span!("commit", writes));
    for other in others {
        span.follows_from(other);
    }
    span
}

async fn do_alone(shared: &Arc<Shared>, lake: LakeId, work: Work, answer: Answer, asked: &Span) {
    let span = committing(std::slice::from_ref(asked));
    let done = in_turn(shared, lake, move |commit| Ok(work(commit))).instrument(span);
    let result = done.await.unwrap_or_else(|error| Err(error.into()));
    // The client may be gone by now; the write stands all the same.
    let _ = answer.send(result);
}

async fn commit_loads(shared: &Arc<Shared>, lake: LakeId, group: Group) {
    let Group { loads, origins, answers, asked } = group;
    let span = committing(&asked);
    let area = Arc::clone(&shared.area);
    let done = in_turn(shared, lake, move |commit| {
        area.require_room()?;
        Ok(commit.loads(&loads, &origins))
    });
    let done = done.instrument(span);
    match done.await {
        Ok(results) => answers.into_iter().zip(results).for_each(|(answer, result)| drop(answer.send(result))),
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(same_again(&error).into()));
            }
        }
    }
}
