//! Requests that are safe to repeat: the client names a request, and it is carried out once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A request's name, chosen by its client, with what tells whether a repetition is really the same request.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    /// The client's key: 1–255 printable ASCII characters. Unique for a caller.
    pub key: String,
    /// Tells the request from others; known once its body has been read.
    pub fingerprint: Fingerprint,
}

impl PartialEq for IdempotentRequest {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for IdempotentRequest {}

/// A SHA-256 digest of a request's method, path, query, content type and body, in hexadecimal. It is there when the
/// body has been read to its end.
#[derive(Clone, Default)]
pub struct Fingerprint(Arc<OnceLock<String>>);

impl Fingerprint {
    /// One whose body is still to be read.
    pub fn pending() -> Self {
        Self::default()
    }

    /// Sets it, once. Setting it again changes nothing.
    pub fn settle(&self, digest: String) {
        let _ = self.0.set(digest);
    }

    /// The digest, if the body has been read.
    pub fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:?})", self.get())
    }
}

/// What is kept of a request that its client may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asked: the label of a principal. Keys of different callers have nothing to do with each other.
    pub caller: String,
    /// The client's key.
    pub key: String,
    /// The life of the process that carries it out, or did.
    pub instance: Uuid,
    /// When it was first asked.
    pub created_at: DateTime<Utc>,
    /// How far it is.
    pub state: IdempotencyState,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyState {
    /// It is being carried out (or its process died over it).
    Running,
    /// It was answered.
    Answered {
        /// The request's fingerprint.
        fingerprint: String,
        /// The answer.
        answer: StoredAnswer,
    },
}

/// An answer, as it is given again. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP-like status: three digits.
    pub status: u16,
    /// Headers that belong to it, as name and value.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}
