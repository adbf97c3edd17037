//! Tokens that were found good lately.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::{KeyDigest, TokenAccess};

/// Tokens that are remembered; with more, all are checked again.
const MAX_ENTRIES: usize = 4_096;
/// How long one is: so late is noticed that its issuer gave up the key that signed it.
const KEPT: TimeDelta = TimeDelta::seconds(30);

/// Good tokens by their digest. Bad ones are never kept, so that guessing fills nothing.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<HashMap<KeyDigest, Entry>>);

struct Entry {
    access: TokenAccess,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl TokenCache {
    fn entries(&self) -> MutexGuard<'_, HashMap<KeyDigest, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, digest: &KeyDigest, now: DateTime<Utc>) -> Option<TokenAccess> {
        let entries = self.entries();
        // A clock that was put back must not keep one for longer.
        entries.get(digest).filter(|entry| entry.since <= now && now < entry.until).map(|entry| entry.access.clone())
    }

    /// Keeps a token for a while, but not beyond its end.
    pub(super) fn keep(&self, digest: KeyDigest, access: &TokenAccess, now: DateTime<Utc>) {
        let until = access.expires_at.min(now + KEPT);
        if until <= now {
            return;
        }
        let mut entries = self.entries();
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(digest, Entry { access: access.clone(), since: now, until });
    }
}
