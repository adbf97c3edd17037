//! Profiles of tables that haven't changed since.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use gadwall_domain::history::TableVersion;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::TableProfile;
use gadwall_domain::table::TableRef;

/// Most columns of all profiles that are kept: each takes a few hundred bytes.
const MAX_COLUMNS: usize = 20_000;

/// What a profile is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) lake: LakeId,
    pub(crate) table: TableRef,
    pub(crate) version: TableVersion,
}

/// Profiles that were computed.
#[derive(Default)]
pub(crate) struct Profiles(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    profiles: HashMap<Key, TableProfile>,
    /// Oldest first.
    order: VecDeque<Key>,
    columns: usize,
}

impl Profiles {
    /// The profile, if it is there.
    pub(crate) fn get(&self, key: &Key) -> Option<TableProfile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).profiles.get(key).cloned()
    }

    /// Keeps a profile; the oldest ones make room.
    pub(crate) fn keep(&self, key: Key, profile: TableProfile) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.columns += profile.columns.len();
        if let Some(old) = kept.profiles.insert(key.clone(), profile) {
            kept.columns -= old.columns.len();
        } else {
            kept.order.push_back(key);
        }
        while kept.columns > MAX_COLUMNS {
            let Some(oldest) = kept.order.pop_front() else { break };
            if let Some(gone) = kept.profiles.remove(&oldest) {
                kept.columns -= gone.columns.len();
            }
        }
    }
}
