//! What [`Turns`](gadwall_domain::ports::turns::Turns) promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gadwall_domain::dataset::DatasetName;
use gadwall_domain::ports::turns::Turns;

use crate::testing::builders::lake;

/// Makes a test of each promise for an adapter: two handles of the same turns.
#[macro_export]
macro_rules! turns_contract {
    ($fresh:expr) => {
        $crate::contract_tests!(
            $crate::testing::contract::turns,
            $fresh,
            [one_at_a_time_is_at_it, a_turn_is_over_when_it_is_dropped]
        );
    };
}

/// Two handles, as two servers have them.
pub type Two = [Arc<dyn Turns>; 2];

fn dataset(name: &str) -> DatasetName {
    DatasetName::parse(name).unwrap()
}

/// However they write the name.
pub async fn one_at_a_time_is_at_it(turns: Two) {
    let (inside, most, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::default());
    let mut tasks = Vec::new();
    for number in 0..12 {
        let (turns, name) = (Arc::clone(&turns[number % 2]), ["Data", "data"][number / 2 % 2]);
        let (inside, most, done): (_, _, Arc<AtomicUsize>) =
            (Arc::clone(&inside), Arc::clone(&most), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let mut turn = turns.take(lake(1), &dataset(name)).await.unwrap();
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            turn.still().await.unwrap();
            inside.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((done.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (12, 1));
}

/// Also the turn of one who gave up in the middle.
pub async fn a_turn_is_over_when_it_is_dropped(turns: Two) {
    for number in 0..6 {
        let name = dataset("d");
        let turn = turns[number % 2].take(lake(2), &name).await.unwrap();
        let waiting = tokio::spawn({
            let (turns, name) = (Arc::clone(&turns[(number + 1) % 2]), name.clone());
            async move { drop(turns.take(lake(2), &name).await.unwrap()) }
        });
        tokio::task::yield_now().await;
        drop(turn);
        waiting.await.unwrap();
    }
}
