//! Writes that come all at once, replayed on the model in the order in which the lake committed them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gadwall_application::testing::builders::origin;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ports::lake::WriteError;

use crate::driver::{Pair, held};
use crate::steps::Step;

/// Some steps to begin with, then many at once.
pub(crate) async fn at_once(mut pair: Pair, (begin, crowd): (Vec<Step>, Vec<Step>)) {
    for step in &begin {
        pair.step(step).await;
    }
    let start = pair.real.head(pair.lake).await.unwrap();
    let mut known = Vec::new();
    for step in &crowd {
        let mut known_now = pair.prepare(step).await;
        if !step.insists {
            known_now.expected = Expected::ANY;
        }
        known.push(known_now);
    }
    let again = |index: usize| pair.write(&crowd[index], &known[index]);
    let running: Vec<_> = (0..crowd.len())
        .map(|index| {
            let (real, lake, write) = (Arc::clone(&pair.real), pair.lake, again(index));
            tokio::spawn(async move { real.write(lake, write, origin(&index.to_string())).await })
        })
        .collect();
    let mut answers = Vec::new();
    for running in running {
        answers.push(running.await.unwrap());
    }
    for (answer, step) in answers.iter().zip(&crowd) {
        assert!(!matches!(answer, Err(WriteError::Lake(_))), "{step:?}: {answer:?}");
    }
    // The model takes the same writes one by one, in the order that the commits tell.
    let again: BTreeMap<String, _> = (0..crowd.len()).map(|index| (index.to_string(), again(index))).collect();
    let mut again = again;
    let commits = pair.real.commits_after(pair.lake, start, 1000).await.unwrap();
    for commit in &commits {
        for write in &commit.writes {
            let request = write.origin.request_id.as_str();
            let write_again = again.remove(request).unwrap_or_else(|| panic!("{request} was committed twice"));
            let step = &crowd[request.parse::<usize>().unwrap()];
            let expected = pair.model.write(pair.lake, write_again, origin(request)).await;
            let expected =
                expected.unwrap_or_else(|error| panic!("the model refuses {step:?}: {error:?}; {commits:?}"));
            assert_eq!(write.change.counts(), expected.rows, "{step:?} in {}", commit.snapshot);
            let answer = answers[request.parse::<usize>().unwrap()].as_ref();
            let done = answer.unwrap_or_else(|error| panic!("{step:?} was committed and refused: {error:?}"));
            assert_eq!((done.snapshot, done.rows), (commit.snapshot, expected.rows), "{step:?}");
        }
        let found = held(&pair.real, pair.lake, ReadAt::Snapshot(commit.snapshot)).await;
        let expected = held(&pair.model, pair.lake, ReadAt::Head).await;
        // Writes may share a snapshot on one side, so the numbers of versions differ.
        let tables =
            |held: BTreeMap<_, (_, _)>| held.into_iter().map(|(name, (table, _))| (name, table)).collect::<Vec<_>>();
        assert_eq!(tables(found), tables(expected), "in snapshot {}", commit.snapshot);
    }
    for (index, answer) in answers.iter().enumerate() {
        let committed = !again.contains_key(&index.to_string());
        let touched = answer.as_ref().is_ok_and(|done| done.snapshot > start);
        assert!(
            !touched || committed || answer.as_ref().is_ok_and(|done| done.rows.total() == 0),
            "{:?}",
            crowd[index]
        );
    }
}
