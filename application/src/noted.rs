//! What happens too often to be written down each time: noted in memory, written down from time to time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

/// Things noted at once; more of them are noted after the next round.
const MAX_NOTED: usize = 10_000;

/// What two notes of the same thing make.
pub(crate) trait Merge {
    /// Adds the other one.
    fn merge(&mut self, other: Self);
}

/// Of two times the later one.
impl Merge for DateTime<Utc> {
    fn merge(&mut self, other: Self) {
        *self = (*self).max(other);
    }
}

/// Notes that are not written down yet. A crash loses them: no more than an interval's worth.
pub(crate) struct Noted<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Noted<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Merge + Clone> Noted<K, V> {
    fn noted(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what is noted of a thing.
    pub(crate) fn note(&self, of: K, note: V) {
        self.put_back(vec![(of, note)]);
    }

    /// What is noted of a thing since notes were last written down.
    pub(crate) fn of(&self, of: &K) -> Option<V> {
        self.noted().get(of).cloned()
    }

    /// All notes.
    pub(crate) fn all(&self) -> Vec<(K, V)> {
        self.noted().iter().map(|(of, note)| (of.clone(), note.clone())).collect()
    }

    /// All notes, which are to be written down or put back.
    pub(crate) fn take(&self) -> Vec<(K, V)> {
        std::mem::take(&mut *self.noted()).into_iter().collect()
    }

    /// Notes again what could not be written down.
    pub(crate) fn put_back(&self, notes: Vec<(K, V)>) {
        let mut all = self.noted();
        for (of, note) in notes {
            if let Some(known) = all.get_mut(&of) {
                known.merge(note);
            } else if all.len() < MAX_NOTED {
                all.insert(of, note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gadwall_domain::ids::ApiKeyId;
    use uuid::Uuid;

    use super::*;
    use crate::testing::builders::{noon, seconds_past_noon};

    type KeyUses = Noted<ApiKeyId, DateTime<Utc>>;

    fn key(number: usize) -> ApiKeyId {
        ApiKeyId::new(Uuid::from_u128(number as u128))
    }

    #[test]
    fn there_is_room_for_so_many() {
        let uses = KeyUses::default();
        for number in 0..=MAX_NOTED {
            uses.note(key(number), noon());
        }
        uses.note(key(0), seconds_past_noon(1));
        assert_eq!((uses.of(&key(0)), uses.of(&key(MAX_NOTED))), (Some(seconds_past_noon(1)), None));
        assert_eq!(uses.take().len(), MAX_NOTED);
        assert_eq!(uses.of(&key(0)), None);
    }

    #[test]
    fn what_is_put_back_is_not_newer_than_what_came_meanwhile() {
        let uses = KeyUses::default();
        uses.note(key(1), noon());
        let taken = uses.take();
        uses.note(key(1), seconds_past_noon(1));
        uses.put_back(taken);
        assert_eq!(uses.of(&key(1)), Some(seconds_past_noon(1)));
    }
}
