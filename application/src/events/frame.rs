//! What is sent to those who watch: a logged event, or a word of the moment that nobody keeps.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use gadwall_domain::events::LoggedEvent;
use serde_json::{Value, json};

/// The forms in which a frame can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// That of `/events/…`.
    Plain,
    /// `CloudEvents`.
    Cloud,
}

/// Something for those who watch. Written once for each form, whoever gets it.
pub struct Frame {
    /// What kind of event it is.
    pub kind: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Its payload.
    pub data: Value,
    /// Where it resumes; none for what isn't logged.
    pub position: Option<u64>,
    /// The event of the log, if it is one.
    pub logged: Option<LoggedEvent>,
    forms: [OnceLock<Bytes>; 2],
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("kind", &self.kind).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Frame {
    /// An event of the log.
    pub(crate) fn logged(event: LoggedEvent) -> Arc<Self> {
        let (at, position) = (event.occurred_at, Some(event.position));
        let (kind, data) = (event.event_type.clone(), payload(&event));
        Arc::new(Self { kind, at, data, position, logged: Some(event), forms: Default::default() })
    }

    /// A word of the moment.
    pub(crate) fn live(kind: &str, at: DateTime<Utc>, data: Value) -> Arc<Self> {
        Arc::new(Self { kind: kind.to_owned(), at, data, position: None, logged: None, forms: Default::default() })
    }

    /// A word about the stream itself, from which on it resumes.
    pub(crate) fn mark(kind: &str, at: DateTime<Utc>, data: Value, position: u64) -> Arc<Self> {
        let position = Some(position);
        Arc::new(Self { kind: kind.to_owned(), at, data, position, logged: None, forms: Default::default() })
    }

    /// What is told last to somebody whose stream ends.
    pub(crate) fn error(code: &str, message: &str, at: DateTime<Utc>) -> Arc<Self> {
        Self::live("error", at, json!({ "error_type": code, "message": message, "details": {} }))
    }

    /// The frame in a form; written by whoever needs it first.
    pub fn form(&self, form: Form, write: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.forms[form as usize].get_or_init(|| write(self)).clone()
    }
}

/// An event's particulars. Those of jobs and lineage are what their subject says; the others tell what they are of, too.
fn payload(event: &LoggedEvent) -> Value {
    if !event.event_type.contains('.') {
        return event.data.clone();
    }
    let mut data = json!({
        "project_id": event.project,
        "subject": event.subject,
        "request_id": event.request_id,
        "snapshot_id": event.snapshot,
    });
    if let (Some(known), Value::Object(own)) = (data.as_object_mut(), &event.data) {
        for (name, value) in own.iter().filter(|(name, _)| *name != crate::record::MARK) {
            known.insert(name.clone(), value.clone());
        }
    }
    data
}
