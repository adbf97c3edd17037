//! How much room the results of each lake take.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of each lake's results, by the name of its folder. One number for each project that has any.
#[derive(Default)]
pub(crate) struct Room(Mutex<HashMap<String, u64>>);

impl Room {
    /// Takes room for more bytes; `false` when there is not enough.
    pub(crate) fn take(&self, folder: &str, more: u64, limit: u64) -> bool {
        let mut used = self.lock();
        let now = used.entry(folder.to_owned()).or_default();
        let fits = now.saturating_add(more) <= limit;
        *now += if fits { more } else { 0 };
        fits
    }

    pub(crate) fn give_back(&self, folder: &str, bytes: u64) {
        let mut used = self.lock();
        if let Some(now) = used.get_mut(folder) {
            *now = now.saturating_sub(bytes);
            if *now == 0 {
                used.remove(folder);
            }
        }
    }

    /// Gives all back that a lake has.
    pub(crate) fn clear(&self, folder: &str) {
        self.lock().remove(folder);
    }

    /// Bytes that a lake's results take.
    pub(crate) fn of(&self, folder: &str) -> u64 {
        self.lock().get(folder).copied().unwrap_or_default()
    }

    /// Takes these numbers for what all lakes have.
    pub(crate) fn count_again(&self, used: HashMap<String, u64>) {
        *self.lock() = used;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
