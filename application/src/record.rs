//! What happened to a project, told to those who watch and to those who audit.

use chrono::{DateTime, Utc};
use gadwall_domain::events::ProjectFact;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataTx, StoreError};
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;

/// Under this name an event keeps which repeatable request it came from.
pub(crate) const MARK: &str = "request_digest";

/// Tells a repeatable request from all others, and nothing else about it.
pub(crate) fn mark(caller: &Caller) -> Option<String> {
    let request = caller.idempotency.as_ref()?;
    let whole = format!("{}\n{}", request.fingerprint.get()?, request.key);
    Some(hex::encode(Sha256::digest(whole)))
}

/// Appends events and audit entries for what a caller did.
pub(crate) async fn record(
    tx: &mut dyn MetadataTx,
    caller: &Caller,
    project: &ProjectId,
    now: DateTime<Utc>,
    facts: &[ProjectFact],
) -> Result<(), StoreError> {
    let mut events: Vec<_> =
        facts.iter().map(|fact| fact.event(project.clone(), now, caller.request_id.clone())).collect();
    if let Some(mark) = mark(caller) {
        for event in &mut events {
            event.data[MARK] = mark.clone().into();
        }
    }
    let entries: Vec<_> =
        events.iter().map(|event| caller.entry(now, event.event_type, project, event.subject.as_str())).collect();
    tx.events().append(&events).await?;
    tx.audit().append(&entries).await
}
