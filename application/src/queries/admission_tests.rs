//! Turns of projects.

use super::*;
use crate::testing::builders::project_id;

const LONG: Duration = Duration::from_mins(1);

fn admission(concurrent: usize, queued: usize) -> Arc<Admission> {
    Admission::new(Limits { concurrent, of_project: 0, queued })
}

fn place(asked: Result<Asked, QueryError>) -> Place {
    match asked {
        Ok(Asked::Place(place)) => place,
        _ => panic!("there is a place"),
    }
}

#[tokio::test]
async fn one_query_does_not_wait_for_a_hundred_of_another_project() {
    let admission = admission(2, 200);
    let (many, one) = (project_id("many"), project_id("one"));
    let running = [place(admission.ask(&many, Use::Read)), place(admission.ask(&many, Use::Read))];
    let mut turns = tokio::task::JoinSet::new();
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let ask = |project: &ProjectId| (admission.ask(project, Use::Read).unwrap(), project.to_string(), told.clone());
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
    let admission = admission(1, 5);
    let project = project_id("p");
    let running = place(admission.ask(&project, Use::Read));
    let waited = admission.ask(&project, Use::Read).unwrap().wait(Duration::from_millis(20)).await;
    assert_eq!(waited.err(), Some(QueryError::Busy));
    assert_eq!(admission.free_and_waiting(), (0, 0));
    drop(running);
    assert_eq!(admission.free_and_waiting(), (1, 0));
}

#[tokio::test]
async fn a_place_offered_to_who_has_just_left_goes_to_the_next() {
    let admission = admission(1, 5);
    let project = project_id("p");
    let running = place(admission.ask(&project, Use::Read));
    let gone = admission.ask(&project, Use::Read).unwrap();
    let next = admission.ask(&project, Use::Read).unwrap();
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
    let admission = admission(1, 3);
    let (many, one) = (project_id("many"), project_id("one"));
    let running = place(admission.ask(&many, Use::Read));
    let mut asked: Vec<_> = (0..3).map(|_| admission.ask(&many, Use::Read).unwrap()).collect();
    assert_eq!(admission.ask(&many, Use::Read).err(), Some(QueryError::Busy));
    let other = admission.ask(&one, Use::Read).unwrap();
    let sent_away = asked.pop().unwrap();
    assert_eq!(sent_away.wait(LONG).await.err(), Some(QueryError::Busy));
    assert_eq!(admission.free_and_waiting(), (0, 3));
    assert_eq!(admission.ask(&one, Use::Read).err(), Some(QueryError::Busy), "two to one is fair enough");
    drop(running);
    drop(asked.remove(0).wait(LONG).await.unwrap());
    drop(other.wait(LONG).await.unwrap());
}

#[tokio::test]
async fn projects_take_turns() {
    let admission = admission(1, 10);
    let running = place(admission.ask(&project_id("a"), Use::Read));
    let mut asked: Vec<(&str, Asked)> = Vec::new();
    for project in ["a", "a", "b", "b", "c"] {
        asked.push((project, admission.ask(&project_id(project), Use::Read).unwrap()));
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

#[tokio::test]
async fn a_project_with_a_limit_leaves_places_to_others() {
    let admission = Admission::new(Limits { concurrent: 3, of_project: 2, queued: 10 });
    let (many, one) = (project_id("many"), project_id("one"));
    let running = [place(admission.ask(&many, Use::Read)), place(admission.ask(&many, Use::Read))];
    let waiting: Vec<_> = (0..2).map(|_| admission.ask(&many, Use::Read).unwrap()).collect();
    assert_eq!(admission.free_and_waiting(), (1, 2));
    let other = place(admission.ask(&one, Use::Read));
    let next = admission.ask(&one, Use::Read).unwrap();
    assert_eq!(admission.free_and_waiting(), (0, 3));
    drop(other);
    let other = next.wait(LONG).await.unwrap();
    assert_eq!(admission.free_and_waiting(), (0, 2), "who came before may not run more");
    drop(running);
    let mut waiting = waiting.into_iter();
    let first = waiting.next().unwrap().wait(LONG).await.unwrap();
    let second = waiting.next().unwrap().wait(LONG).await.unwrap();
    drop((first, second, other));
    assert_eq!(admission.free_and_waiting(), (3, 0));
}

#[tokio::test]
async fn of_those_that_write_to_a_project_one_has_a_place() {
    let admission = admission(4, 10);
    let (p, q) = (project_id("p"), project_id("q"));
    let writer = place(admission.ask(&p, Use::Write));
    let waiting = [admission.ask(&p, Use::Write).unwrap(), admission.ask(&p, Use::Write).unwrap()];
    // Neither its own queries nor what writes elsewhere wait behind them.
    let others = [place(admission.ask(&p, Use::Read)), place(admission.ask(&q, Use::Write))];
    assert_eq!(admission.free_and_waiting(), (1, 2));
    drop(others);
    assert_eq!(admission.free_and_waiting(), (3, 2));
    drop(writer);
    let [second, third] = waiting;
    let second = second.wait(LONG).await.unwrap();
    assert_eq!(admission.free_and_waiting(), (3, 1));
    drop(second);
    drop(third.wait(LONG).await.unwrap());
    assert_eq!(admission.free_and_waiting(), (4, 0));
}
