//! The servers that share the metadata, as they talk to each other.

use async_trait::async_trait;

use crate::ports::metadata::StoreError;

/// What all servers hear when the log of events has grown: told with the commit, by whoever appends.
pub const LOG_HAS_GROWN: &str = "\"log_has_grown\"";
/// Most bytes of a message.
pub const MAX_MESSAGE: usize = 7_500;

/// Says things to all servers that share the metadata, this one among them. Nothing is kept: who doesn't listen, or
/// lost the connection, misses it.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Says something to all.
    async fn tell(&self, message: &str) -> Result<(), StoreError>;

    /// Hears what is said from now on.
    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError>;
}

/// Hears what servers say. After an error, listen anew.
#[async_trait]
pub trait Ear: Send {
    /// The next message.
    async fn next(&mut self) -> Result<String, StoreError>;
}
