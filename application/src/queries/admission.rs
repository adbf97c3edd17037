//! Who may run now, and who waits: projects take turns, so that one with many queries doesn't hold up the others.
//!
//! What writes to a project waits for the one writer of its lake, so only one of them takes a place at a time: the
//! others would hold places that queries of all projects wait for. Who has a place needs no second one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gadwall_domain::names::ProjectId;
use gadwall_domain::query::QueryError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::quotas::too_many_at_once;

/// So many at once, so many waiting.
pub(super) struct Admission {
    limits: Limits,
    line: Mutex<Line>,
}

/// How many may run and wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// That run at once.
    pub(super) concurrent: usize,
    /// Of them, those of one project; no limit if 0.
    pub(super) of_project: usize,
    /// That wait.
    pub(super) queued: usize,
}

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It only reads.
    Read,
    /// It writes, in the turn of its lake's writer.
    Write,
}

/// While a place is free, nobody waits who may take it.
struct Line {
    max_of_project: usize,
    free: usize,
    waiting: usize,
    next_number: u64,
    /// Projects with waiting queries; the first one is next.
    projects: VecDeque<OfProject>,
    /// What runs of each project that has something running.
    running: BTreeMap<ProjectId, Taken>,
}

/// The places that a project has.
#[derive(Default, Clone, Copy)]
struct Taken {
    places: usize,
    /// Whether one of them writes.
    writes: bool,
}

struct OfProject {
    project: ProjectId,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    wanted: Use,
    turn: oneshot::Sender<Place>,
}

/// The right to run, given back when dropped.
pub(super) struct Place {
    admission: Arc<Admission>,
    project: ProjectId,
    wanted: Use,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.give_back(&self.project, self.wanted);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// What came of asking for a place.
pub(super) enum Asked {
    /// There was one.
    Place(Place),
    /// All are taken.
    Ticket(Ticket),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

/// A place in the line, left when dropped.
pub(super) struct Ticket {
    admission: Arc<Admission>,
    project: ProjectId,
    number: u64,
    /// A place that nobody took out of here goes back when this is dropped.
    turn: oneshot::Receiver<Place>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.lock().leave(&self.project, self.number);
    }
}

impl Asked {
    /// Waits for its turn, at most so long.
    pub(super) async fn wait(self, longest: Duration) -> Result<Place, QueryError> {
        match self {
            Self::Place(place) => Ok(place),
            // Without a sender it was sent away, for the sake of a project with fewer queries.
            Self::Ticket(mut ticket) => {
                timeout(longest, &mut ticket.turn).await.ok().and_then(Result::ok).ok_or(QueryError::Busy)
            }
        }
    }
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let line = Line {
            max_of_project: limits.of_project,
            free: limits.concurrent.max(1),
            waiting: 0,
            next_number: 0,
            projects: VecDeque::new(),
            running: BTreeMap::new(),
        };
        Arc::new(Self { limits, line: Mutex::new(line) })
    }

    /// Asks for a place for a query of a project. `Busy` when nobody else may wait.
    pub(super) fn ask(self: &Arc<Self>, project: &ProjectId, wanted: Use) -> Result<Asked, QueryError> {
        self.ask_within(project, wanted, 0)
    }

    /// The same for a project of which only so many may run and wait together; any number if 0.
    pub(super) fn ask_within(
        self: &Arc<Self>,
        project: &ProjectId,
        wanted: Use,
        most: u64,
    ) -> Result<Asked, QueryError> {
        let mut line = self.lock();
        let present = line.of_project(project) as u64;
        if most > 0 && present >= most {
            return Err(too_many_at_once(most, present).into());
        }
        if line.may_run(project, wanted) {
            line.take(project, wanted);
            return Ok(Asked::Place(self.place(project.clone(), wanted)));
        }
        if line.waiting >= self.limits.queued && !line.make_room(project) {
            return Err(QueryError::Busy);
        }
        let (number, turn) = line.join(project, wanted);
        drop(line);
        Ok(Asked::Ticket(Ticket { admission: Arc::clone(self), project: project.clone(), number, turn }))
    }

    /// How many run and how many wait.
    #[cfg(test)]
    pub(super) fn free_and_waiting(&self) -> (usize, usize) {
        let line = self.lock();
        (line.free, line.waiting)
    }

    fn place(self: &Arc<Self>, project: ProjectId, wanted: Use) -> Place {
        Place { admission: Arc::clone(self), project, wanted }
    }

    fn give_back(self: &Arc<Self>, project: &ProjectId, wanted: Use) {
        let next = {
            let mut line = self.lock();
            line.leave_place(project, wanted);
            line.next()
        };
        // Who has just left doesn't take it; then it is dropped, and the next one's turn comes.
        if let Some((project, waiter)) = next {
            drop(waiter.turn.send(self.place(project, waiter.wanted)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// How many of a project run and wait.
    fn of_project(&self, project: &ProjectId) -> usize {
        let running = self.running.get(project).map_or(0, |taken| taken.places);
        let waiting = self.projects.iter().find(|own| own.project == *project).map_or(0, |own| own.waiting.len());
        running + waiting
    }

    fn may_run(&self, project: &ProjectId, wanted: Use) -> bool {
        let taken = self.running.get(project).copied().unwrap_or_default();
        self.free > 0
            && (self.max_of_project == 0 || taken.places < self.max_of_project)
            && !(taken.writes && wanted == Use::Write)
    }

    fn take(&mut self, project: &ProjectId, wanted: Use) {
        self.free -= 1;
        let taken = self.running.entry(project.clone()).or_default();
        taken.places += 1;
        taken.writes |= wanted == Use::Write;
    }

    fn leave_place(&mut self, project: &ProjectId, wanted: Use) {
        self.free += 1;
        let Some(taken) = self.running.get_mut(project) else { return };
        taken.places -= 1;
        taken.writes &= wanted != Use::Write;
        if taken.places == 0 {
            self.running.remove(project);
        }
    }

    fn join(&mut self, project: &ProjectId, wanted: Use) -> (u64, oneshot::Receiver<Place>) {
        let (sender, turn) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        let waiter = Waiter { number, wanted, turn: sender };
        if let Some(own) = self.projects.iter_mut().find(|own| own.project == *project) {
            own.waiting.push_back(waiter);
        } else {
            self.projects.push_back(OfProject { project: project.clone(), waiting: VecDeque::from([waiter]) });
        }
        (number, turn)
    }

    /// The next one, which has its place then: the first that may run of the first project that has one. That
    /// project's turn comes again after all others'. Projects that may not run more keep theirs.
    fn next(&mut self) -> Option<(ProjectId, Waiter)> {
        let (index, place) = self.projects.iter().enumerate().find_map(|(index, own)| {
            let place = own.waiting.iter().position(|waiter| self.may_run(&own.project, waiter.wanted))?;
            Some((index, place))
        })?;
        let mut own = self.projects.remove(index)?;
        let waiter = own.waiting.remove(place)?;
        self.waiting -= 1;
        self.take(&own.project, waiter.wanted);
        let project = own.project.clone();
        if !own.waiting.is_empty() {
            self.projects.push_back(own);
        }
        Some((project, waiter))
    }

    /// Sends away the newest query of the project with the most, if `project` has fewer also with one more.
    fn make_room(&mut self, project: &ProjectId) -> bool {
        let own = self.projects.iter().find(|own| own.project == *project).map_or(0, |own| own.waiting.len());
        let most = self.projects.iter_mut().max_by_key(|other| other.waiting.len());
        let sent_away = most.filter(|other| other.waiting.len() > own + 1).and_then(|other| other.waiting.pop_back());
        self.waiting -= usize::from(sent_away.is_some());
        sent_away.is_some()
    }

    /// Takes one out that doesn't wait any more. Its turn may have come already.
    fn leave(&mut self, project: &ProjectId, number: u64) {
        let Some(index) = self.projects.iter().position(|own| own.project == *project) else { return };
        let waiting = &mut self.projects[index].waiting;
        let before = waiting.len();
        waiting.retain(|waiter| waiter.number != number);
        self.waiting -= before - waiting.len();
        if waiting.is_empty() {
            self.projects.remove(index);
        }
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
