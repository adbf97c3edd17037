//! Transactions that stay open between two queries of a lake that stands still: to begin one, DuckLake asks its catalog for what is
//! the same as before.
//!
//! They end before anything happens that they would see wrongly or be in the way of: a change of the catalog, or that the lake is
//! detached. And where anything happens they are never old, as what others drop in the same instance is kept for whoever may still
//! see it.

use std::time::{Duration, Instant};

use duckdb::Connection;
use gadwall_domain::ids::LakeId;

/// Transactions that are kept at most, of all lakes.
const MAX_READERS: usize = 8;
/// How long after it began one is used again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// A connection in a transaction that only reads.
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    pub(crate) reads: Reads,
    /// Whether it measures what statements take.
    pub(crate) profiled: bool,
}

/// What a transaction reads, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    pub(crate) lake: LakeId,
    /// The lake's turn in which it began.
    pub(crate) turn: u64,
    pub(crate) since: Instant,
}

impl Reads {
    pub(crate) fn is_old(&self) -> bool {
        self.since.elapsed() >= MAX_AGE
    }
}

/// Those that nobody uses at the moment, in the order in which they came back.
#[derive(Default)]
pub(crate) struct Readers(Vec<Reader>);

impl Readers {
    /// One that reads this lake as it is in this turn.
    pub(crate) fn take(&mut self, lake: LakeId, turn: u64) -> Option<Reader> {
        let fits = |reader: &Reader| reader.reads.lake == lake && reader.reads.turn == turn && !reader.reads.is_old();
        let last = self.0.iter().rposition(fits)?;
        Some(self.0.remove(last))
    }

    /// Keeps one; answers the one that it takes the place of.
    pub(crate) fn put(&mut self, reader: Reader) -> Option<Reader> {
        let full = self.0.len() >= MAX_READERS;
        let gone = full.then(|| self.0.remove(0));
        self.0.push(reader);
        gone
    }

    /// Those of a lake, which are to end.
    pub(crate) fn of(&mut self, lake: LakeId) -> Vec<Reader> {
        self.0.extract_if(.., |reader| reader.reads.lake == lake).collect()
    }

    /// Those that are to end because of their age.
    pub(crate) fn old(&mut self) -> Vec<Reader> {
        self.0.extract_if(.., |reader| reader.reads.is_old()).collect()
    }

    /// All of them.
    pub(crate) fn all(&mut self) -> Vec<Reader> {
        std::mem::take(&mut self.0)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use gadwall_application::testing::builders::lake;

    use super::*;

    fn reader(number: u128, turn: u64, since: Instant) -> Reader {
        let connection = Connection::open_in_memory().unwrap();
        Reader { connection, reads: Reads { lake: lake(number), turn, since }, profiled: false }
    }

    #[test]
    fn one_is_used_again_for_the_same_lake_in_the_same_turn() {
        let (mut readers, now) = (Readers::default(), Instant::now());
        for (of, turn) in [(1, 2), (1, 4), (2, 4)] {
            assert!(readers.put(reader(of, turn, now)).is_none());
        }
        assert!(readers.take(lake(2), 2).is_none() && readers.take(lake(3), 4).is_none());
        let taken = readers.take(lake(1), 4).unwrap();
        assert_eq!((taken.reads.lake, taken.reads.turn), (lake(1), 4));
        assert!(readers.take(lake(1), 4).is_none(), "it is in use");
        assert_eq!((readers.of(lake(1)).len(), readers.len()), (1, 1));
    }

    #[test]
    fn old_ones_end() {
        let (mut readers, now) = (Readers::default(), Instant::now());
        drop(readers.put(reader(1, 2, now.checked_sub(MAX_AGE).unwrap())));
        drop(readers.put(reader(1, 2, now)));
        assert_eq!(readers.take(lake(1), 2).map(|taken| taken.reads.since), Some(now));
        assert!(readers.take(lake(1), 2).is_none());
        assert_eq!((readers.old().len(), readers.len()), (1, 0));
    }

    #[test]
    fn of_too_many_the_oldest_ends() {
        let (mut readers, now) = (Readers::default(), Instant::now());
        let gone: Vec<u64> =
            (0..10).filter_map(|turn| readers.put(reader(1, turn, now))).map(|gone| gone.reads.turn).collect();
        assert_eq!((gone, readers.all().len(), readers.len()), (vec![0, 1], MAX_READERS, 0));
    }
}
