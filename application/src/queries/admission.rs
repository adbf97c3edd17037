//! Who may run now, and who waits: projects take turns, so that one with many queries doesn't hold up the others.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gadwall_domain::names::ProjectId;
use gadwall_domain::query::QueryError;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// So many at once, so many waiting.
pub(super) struct Admission {
    max_queued: usize,
    line: Mutex<Line>,
}

/// While a place is free, nobody waits.
struct Line {
    free: usize,
    waiting: usize,
    next_number: u64,
    /// Projects with waiting queries; the first one is next.
    projects: VecDeque<OfProject>,
}

struct OfProject {
    project: ProjectId,
    waiting: VecDeque<(u64, oneshot::Sender<Place>)>,
}

/// The right to run, given back when dropped.
pub(super) struct Place(Arc<Admission>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
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
    pub(super) fn new(max_concurrent: usize, max_queued: usize) -> Arc<Self> {
        let line = Line { free: max_concurrent.max(1), waiting: 0, next_number: 0, projects: VecDeque::new() };
        Arc::new(Self { max_queued, line: Mutex::new(line) })
    }

    /// Asks for a place for a query of a project. `Busy` when nobody else may wait.
    pub(super) fn ask(self: &Arc<Self>, project: &ProjectId) -> Result<Asked, QueryError> {
        let mut line = self.lock();
        if line.free > 0 {
            line.free -= 1;
            return Ok(Asked::Place(Place(Arc::clone(self))));
        }
        if line.waiting >= self.max_queued && !line.make_room(project) {
            return Err(QueryError::Busy);
        }
        let (number, turn) = line.join(project);
        drop(line);
        Ok(Asked::Ticket(Ticket { admission: Arc::clone(self), project: project.clone(), number, turn }))
    }

    /// How many run and how many wait.
    #[cfg(test)]
    pub(super) fn free_and_waiting(&self) -> (usize, usize) {
        let line = self.lock();
        (line.free, line.waiting)
    }

    fn give_back(self: &Arc<Self>) {
        let next = {
            let mut line = self.lock();
            let next = line.next();
            line.free += usize::from(next.is_none());
            next
        };
        // Who has just left doesn't take it; then it is dropped, and the next one's turn comes.
        if let Some(next) = next {
            drop(next.send(Place(Arc::clone(self))));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn join(&mut self, project: &ProjectId) -> (u64, oneshot::Receiver<Place>) {
        let (sender, turn) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        if let Some(own) = self.projects.iter_mut().find(|own| own.project == *project) {
            own.waiting.push_back((number, sender));
        } else {
            self.projects
                .push_back(OfProject { project: project.clone(), waiting: VecDeque::from([(number, sender)]) });
        }
        (number, turn)
    }

    /// The next one: the first of the project whose turn it is. That project's turn comes again after all others'.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let mut own = self.projects.pop_front()?;
        let (_, sender) = own.waiting.pop_front()?;
        self.waiting -= 1;
        if !own.waiting.is_empty() {
            self.projects.push_back(own);
        }
        Some(sender)
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
        waiting.retain(|(waiter, _)| *waiter != number);
        self.waiting -= before - waiting.len();
        if waiting.is_empty() {
            self.projects.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::project_id;

    const LONG: Duration = Duration::from_mins(1);

    fn place(asked: Result<Asked, QueryError>) -> Place {
        match asked {
            Ok(Asked::Place(place)) => place,
            _ => panic!("there is a place"),
        }
    }

    #[tokio::test]
    async fn one_query_does_not_wait_for_a_hundred_of_another_project() {
        let admission = Admission::new(2, 200);
        let (many, one) = (project_id("many"), project_id("one"));
        let running = [place(admission.ask(&many)), place(admission.ask(&many))];
        let mut turns = tokio::task::JoinSet::new();
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        let ask = |project: &ProjectId| (admission.ask(project).unwrap(), project.to_string(), told.clone());
        let mut asked: Vec<_> = (0..100).map(|_| ask(&many)).collect();
        asked.push(ask(&one));
        for (asked, project, told) in asked {
            turns.spawn(async move {
                let place = asked.wait(LONG).await.unwrap();
                told.send(project).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
                drop(place);
            });
        }
        assert_eq!(admission.free_and_waiting(), (0, 101));
        drop(running);
        turns.join_all().await;
        let mut served = Vec::new();
        while let Ok(project) = order.try_recv() {
            served.push(project);
        }
        assert_eq!(served.len(), 101);
        assert!(served.iter().position(|project| project == "one").unwrap() <= 2, "{served:?}");
        assert_eq!(admission.free_and_waiting(), (2, 0));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_turned_away_and_leaves_the_line() {
        let admission = Admission::new(1, 5);
        let project = project_id("p");
        let running = place(admission.ask(&project));
        let waited = admission.ask(&project).unwrap().wait(Duration::from_millis(20)).await;
        assert_eq!(waited.err(), Some(QueryError::Busy));
        assert_eq!(admission.free_and_waiting(), (0, 0));
        drop(running);
        assert_eq!(admission.free_and_waiting(), (1, 0));
    }

    #[tokio::test]
    async fn a_place_offered_to_who_has_just_left_goes_to_the_next() {
        let admission = Admission::new(1, 5);
        let project = project_id("p");
        let running = place(admission.ask(&project));
        let gone = admission.ask(&project).unwrap();
        let next = admission.ask(&project).unwrap();
        drop(running);
        assert_eq!(admission.free_and_waiting(), (0, 1), "the place lies with the first, who doesn't take it");
        drop(gone);
        let taken = next.wait(LONG).await.unwrap();
        assert_eq!(admission.free_and_waiting(), (0, 0));
        drop(taken);
        assert_eq!(admission.free_and_waiting(), (1, 0));
    }

    #[tokio::test]
    async fn a_full_line_makes_room_for_a_project_that_has_fewer() {
        let admission = Admission::new(1, 3);
        let (many, one) = (project_id("many"), project_id("one"));
        let running = place(admission.ask(&many));
        let mut asked: Vec<_> = (0..3).map(|_| admission.ask(&many).unwrap()).collect();
        assert_eq!(admission.ask(&many).err(), Some(QueryError::Busy));
        let other = admission.ask(&one).unwrap();
        let sent_away = asked.pop().unwrap();
        assert_eq!(sent_away.wait(LONG).await.err(), Some(QueryError::Busy));
        assert_eq!(admission.free_and_waiting(), (0, 3));
        assert_eq!(admission.ask(&one).err(), Some(QueryError::Busy), "two to one is fair enough");
        drop(running);
        drop(asked.remove(0).wait(LONG).await.unwrap());
        drop(other.wait(LONG).await.unwrap());
    }

    #[tokio::test]
    async fn projects_take_turns() {
        let admission = Admission::new(1, 10);
        let running = place(admission.ask(&project_id("a")));
        let mut asked: Vec<(&str, Asked)> = Vec::new();
        for project in ["a", "a", "b", "b", "c"] {
            asked.push((project, admission.ask(&project_id(project)).unwrap()));
        }
        drop(running);
        let mut order = Vec::new();
        while !asked.is_empty() {
            let index = asked.iter_mut().position(|(_, asked)| match asked {
                Asked::Ticket(ticket) => ticket.turn.try_recv().is_ok(),
                Asked::Place(_) => false,
            });
            order.push(asked.remove(index.unwrap()).0);
        }
        assert_eq!(order, ["a", "b", "c", "a", "b"]);
    }
}
