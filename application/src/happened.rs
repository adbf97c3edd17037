//! What happened to a project as a whole: its events and the audit log tell it together, or neither does.

use chrono::{DateTime, Utc};
use gadwall_domain::events::Event;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::backup::Told;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use serde_json::Value;

use crate::caller::Caller;

/// What happened to a project.
pub(crate) struct Happened<'h> {
    pub(crate) caller: &'h Caller,
    pub(crate) project: &'h ProjectId,
    /// The event's type, and the action of the audit log.
    pub(crate) what: &'static str,
    pub(crate) data: Value,
}

impl Happened<'_> {
    /// As it is told.
    pub(crate) fn told(self, now: DateTime<Utc>) -> Told {
        let entry = self.caller.entry(now, self.what, self.project, "");
        let event = Event {
            project: self.project.clone(),
            event_type: self.what,
            subject: String::new(),
            occurred_at: now,
            request_id: self.caller.request_id.clone(),
            snapshot: None,
            data: self.data,
        };
        Told { event, entry }
    }

    /// Tells it in a unit of work.
    pub(crate) async fn append(self, tx: &mut dyn MetadataTx, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Told { event, entry } = self.told(now);
        tx.events().append(&[event]).await?;
        tx.audit().append(&[entry]).await
    }

    /// Tells it in a unit of work of its own.
    pub(crate) async fn tell(self, store: &dyn MetadataStore, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = store.write().await?;
        self.append(&mut *tx, now).await?;
        tx.commit().await
    }
}
