//! What was refused, on its way into the audit log: requests that are alike become one entry a minute, and all of them
//! together so many, so that nobody can fill the log with what they may not do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use gadwall_domain::access::Principal;
use gadwall_domain::audit::{AuditEntry, AuditOutcome, UNKNOWN};
use gadwall_domain::ids::RequestId;
use gadwall_domain::names::ProjectId;

use crate::caller::{Caller, network_of};
use crate::failures::Window;

/// Entries of callers without credentials that are put together at once; what comes beside these counts as one.
const MAX_STRANGERS: usize = 60;
/// The same for callers with good credentials.
const MAX_KNOWN: usize = 240;
/// Longest resource that is kept, in characters: it is what the caller asked for.
const MAX_RESOURCE: usize = 256;

/// A request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Who asked, by name; none if nobody knows.
    pub principal: Option<String>,
    /// What was refused: `auth` is credentials, `access` is what good credentials don't allow.
    pub operation: &'static str,
    /// What was asked for, by those with good credentials.
    pub resource: String,
    /// The project it concerns.
    pub project: Option<ProjectId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// The code of the problem that was answered.
    pub code: String,
    /// The request.
    pub request_id: RequestId,
}

impl Refused {
    /// Credentials that were missing or no good. Who presents a key that has ended is known by it.
    pub fn credentials(address: Option<IpAddr>, code: &str, request_id: RequestId) -> Self {
        Self {
            principal: None,
            operation: "auth.refused",
            resource: String::new(),
            project: None,
            address,
            code: code.to_owned(),
            request_id,
        }
    }

    /// What a caller with good credentials asked for and may not have. It concerns the project of its key; of what
    /// an admin asked for, the one asked for.
    pub fn access(caller: &Caller, asked: &str, project: Option<ProjectId>, code: &str) -> Self {
        // A token may open several: if not the one asked for, the first of them hears of it.
        let own: Vec<&ProjectId> = caller.principal().into_iter().flat_map(Principal::projects).collect();
        let asked_for = project.as_ref().filter(|project| own.contains(project));
        let own = asked_for.or(own.first().copied()).cloned();
        Self {
            principal: Some(caller.label()),
            operation: "access.refused",
            resource: asked.chars().take(MAX_RESOURCE).collect(),
            project: own.or(project),
            address: caller.address,
            code: code.to_owned(),
            request_id: caller.request_id.clone(),
        }
    }
}

/// What requests that are alike have in common.
type Kind = (Option<String>, Option<IpAddr>, &'static str, String, String);

/// Requests that are alike.
struct Alike {
    first: Refused,
    /// Their minute; it counts those that are in no entry yet.
    unwritten: Window,
    was_written: bool,
}

/// Refused requests that are in no entry yet.
#[derive(Default)]
pub struct Refusals {
    alike: Mutex<BTreeMap<Kind, Alike>>,
    dropped: AtomicU64,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals")
    }
}

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Alike>> {
        self.alike.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused request.
    pub fn note(&self, mut refused: Refused, now: DateTime<Utc>) {
        let mut all = self.lock();
        if !all.contains_key(&kind(&refused)) {
            let is_known = refused.principal.is_some();
            let most = if is_known { MAX_KNOWN } else { MAX_STRANGERS };
            if all.keys().filter(|kind| kind.0.is_some() == is_known).count() >= most {
                // Who it was is lost, how often is not.
                refused = Refused { project: None, ..Refused::credentials(None, &refused.code, refused.request_id) };
            }
        }
        let alike = all.entry(kind(&refused)).or_insert_with(|| Alike {
            first: refused,
            unwritten: Window::begin(now),
            was_written: false,
        });
        alike.unwritten.count = alike.unwritten.count.saturating_add(1);
    }

    /// The entries that are due: of those that are alike the first at once, the others when their minute is over, or when
    /// it is the last time that they are asked for.
    pub(crate) fn take(&self, now: DateTime<Utc>, is_last: bool) -> Vec<AuditEntry> {
        let mut due = Vec::new();
        self.lock().retain(|_, alike| {
            let is_over = is_last || alike.unwritten.left(now).is_none();
            if alike.unwritten.count > 0 && (is_over || !alike.was_written) {
                due.push(entry(alike, if alike.was_written { now } else { alike.unwritten.since }));
                alike.unwritten.count = 0;
                alike.was_written = true;
            }
            !is_over
        });
        due
    }

    /// Counts requests whose entry could not be written.
    pub(crate) fn drop_entries(&self, entries: &[AuditEntry]) {
        let times = entries.iter().map(|entry| match entry.outcome {
            AuditOutcome::Refused { times, .. } => u64::from(times),
            AuditOutcome::Done => 1,
        });
        self.dropped.fetch_add(times.sum(), Ordering::Relaxed);
    }

    /// Refused requests that are in no entry and never will be, since this server started.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn kind(refused: &Refused) -> Kind {
    let Refused { principal, operation, resource, address, code, .. } = refused;
    (principal.clone(), address.map(network_of), operation, resource.clone(), code.clone())
}

fn entry(alike: &Alike, at: DateTime<Utc>) -> AuditEntry {
    let first = alike.first.clone();
    AuditEntry {
        at,
        principal: first.principal.unwrap_or_else(|| UNKNOWN.to_owned()),
        operation: first.operation.to_owned(),
        project: first.project,
        resource: first.resource,
        address: first.address,
        outcome: AuditOutcome::Refused { code: first.code, times: alike.unwritten.count },
        request_id: first.request_id,
        snapshot: None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::builders::{noon, request, seconds_past_noon};

    fn stranger(number: u32) -> Refused {
        Refused::credentials(Some(Ipv4Addr::from_bits(number).into()), "unauthorized", request("r1"))
    }

    fn times(entries: &[AuditEntry]) -> Vec<u32> {
        let times = |entry: &AuditEntry| match entry.outcome {
            AuditOutcome::Refused { times, .. } => times,
            AuditOutcome::Done => 0,
        };
        entries.iter().map(times).collect()
    }

    #[test]
    fn the_first_is_written_at_once_and_those_like_it_after_a_minute() {
        let refusals = Refusals::default();
        refusals.note(stranger(1), noon());
        assert_eq!(times(&refusals.take(noon(), false)), [1]);
        for second in 1..30 {
            refusals.note(stranger(1), seconds_past_noon(second));
            assert!(refusals.take(seconds_past_noon(second), false).is_empty());
        }
        assert_eq!(times(&refusals.take(seconds_past_noon(60), false)), [29]);
        assert!(refusals.lock().is_empty(), "the next one is the first again");
        refusals.note(stranger(1), seconds_past_noon(61));
        refusals.note(stranger(1), seconds_past_noon(61));
        assert_eq!(times(&refusals.take(seconds_past_noon(61), true)), [2]);
    }

    #[test]
    fn however_many_there_are_they_become_few_entries_and_none_is_lost() {
        let refusals = Refusals::default();
        for number in 0..10_000 {
            refusals.note(stranger(number), noon());
        }
        let known = Refused { principal: Some("key:1".to_owned()), ..stranger(1) };
        refusals.note(known, noon());
        let entries = refusals.take(noon(), false);
        assert_eq!(entries.len(), MAX_STRANGERS + 2, "one for all others, and one for who is known");
        assert_eq!(times(&entries).iter().sum::<u32>(), 10_001);
        assert_eq!(entries.iter().filter(|entry| entry.address.is_none()).count(), 1);
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let refusals = Refusals::default();
        for address in ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"] {
            let address = address.parse().ok();
            refusals.note(Refused::credentials(address, "unauthorized", request("r1")), noon());
        }
        assert_eq!(times(&refusals.take(noon(), false)), [2, 1]);
    }
}
