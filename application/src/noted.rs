//! When keys were last used: noted in memory, written down from time to time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use gadwall_domain::ids::ApiKeyId;

/// Keys noted at once; uses of more are noted after the next round.
const MAX_NOTED: usize = 10_000;

/// Uses that are not written down yet. A crash loses them: no more than an interval's worth.
#[derive(Default)]
pub(crate) struct KeyUses(Mutex<HashMap<ApiKeyId, DateTime<Utc>>>);

impl KeyUses {
    fn noted(&self) -> MutexGuard<'_, HashMap<ApiKeyId, DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a key is used now.
    pub(crate) fn note(&self, key: ApiKeyId, now: DateTime<Utc>) {
        let mut noted = self.noted();
        if noted.len() < MAX_NOTED || noted.contains_key(&key) {
            noted.insert(key, now);
        }
    }

    /// When a key was used since its uses were last written down.
    pub(crate) fn of(&self, key: ApiKeyId) -> Option<DateTime<Utc>> {
        self.noted().get(&key).copied()
    }

    /// All that is noted, which is to be written down or put back.
    pub(crate) fn take(&self) -> Vec<(ApiKeyId, DateTime<Utc>)> {
        std::mem::take(&mut *self.noted()).into_iter().collect()
    }

    /// Notes again what could not be written down, unless there is something newer.
    pub(crate) fn put_back(&self, uses: Vec<(ApiKeyId, DateTime<Utc>)>) {
        let mut noted = self.noted();
        for (key, at) in uses {
            if noted.len() < MAX_NOTED {
                noted.entry(key).or_insert(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::builders::{noon, seconds_past_noon};

    fn key(number: usize) -> ApiKeyId {
        ApiKeyId::new(Uuid::from_u128(number as u128))
    }

    #[test]
    fn there_is_room_for_so_many_keys() {
        let uses = KeyUses::default();
        for number in 0..=MAX_NOTED {
            uses.note(key(number), noon());
        }
        uses.note(key(0), seconds_past_noon(1));
        assert_eq!((uses.of(key(0)), uses.of(key(MAX_NOTED))), (Some(seconds_past_noon(1)), None));
        assert_eq!(uses.take().len(), MAX_NOTED);
        assert_eq!(uses.of(key(0)), None);
    }

    #[test]
    fn what_is_put_back_is_not_newer_than_what_came_meanwhile() {
        let uses = KeyUses::default();
        uses.note(key(1), noon());
        let taken = uses.take();
        uses.note(key(1), seconds_past_noon(1));
        uses.put_back(taken);
        assert_eq!(uses.of(key(1)), Some(seconds_past_noon(1)));
    }
}
