//! Lives of server processes. Several servers may share one metadata store.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A life of a server process, as the others know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its id: another one each time the process starts.
    pub id: Uuid,
    /// When it was first seen.
    pub started_at: DateTime<Utc>,
    /// When it last said that it is alive.
    pub last_seen: DateTime<Utc>,
}
