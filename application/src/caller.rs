//! Who calls, and in which context: the first argument of every use case.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, Utc};
use gadwall_domain::access::Principal;
use gadwall_domain::audit::{AuditEntry, AuditOutcome, UNKNOWN};
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::idempotency::IdempotentRequest;
use gadwall_domain::ids::RequestId;
use gadwall_domain::names::ProjectId;

use crate::access::Seen;
use crate::error::UseCaseError;

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, where there is one.
    pub address: Option<IpAddr>,
    /// The request.
    pub request_id: RequestId,
}

/// The address under which a client is counted: an IPv6 address stands for its network of 64 bits, as whoever has one of
/// these has all of them.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What a caller's credentials turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Good ones.
    Known(Principal),
    /// A key that opens nothing (any more). Whether that is a 401 or a 403 depends on what is asked for.
    Unknown,
    /// Gadwall itself, which nobody asked. Opens nothing.
    Gadwall,
}

/// A caller with the context of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// The request.
    pub request_id: RequestId,
    /// The client's address, where there is one.
    pub address: Option<IpAddr>,
    /// W3C trace context, as received.
    pub traceparent: Option<String>,
    /// The OpenLineage run that the client named.
    pub run_id: Option<String>,
    /// The client's idempotency key.
    pub idempotency: Option<IdempotentRequest>,
    /// When the request came, if that is known.
    pub began_at: Option<DateTime<Utc>>,
    /// What of access holds for the request, where that was looked at.
    pub seen: Option<Seen>,
}

impl Caller {
    /// A caller with known credentials and nothing else.
    pub fn new(principal: Principal, request_id: RequestId) -> Self {
        Self::of(Identity::Known(principal), request_id)
    }

    /// Gadwall itself, for what nobody asked for.
    pub(crate) fn of_gadwall(request_id: RequestId) -> Self {
        Self::of(Identity::Gadwall, request_id)
    }

    fn of(identity: Identity, request_id: RequestId) -> Self {
        Self {
            identity,
            request_id,
            address: None,
            traceparent: None,
            run_id: None,
            idempotency: None,
            began_at: None,
            seen: None,
        }
    }

    /// The principal, if the credentials were good.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.identity {
            Identity::Known(principal) => Some(principal),
            Identity::Unknown | Identity::Gadwall => None,
        }
    }

    /// Refuses all but an admin.
    pub fn require_admin(&self) -> Result<(), UseCaseError> {
        match self.principal() {
            Some(principal) if principal.is_admin() => Ok(()),
            _ => Err(UseCaseError::Unauthenticated),
        }
    }

    /// Refuses a key that is limited to a bucket: what it asks for is the whole project's.
    pub(crate) fn require_whole_project(&self) -> Result<(), UseCaseError> {
        match self.principal().and_then(Principal::only_bucket) {
            None => Ok(()),
            Some(_) => Err(UseCaseError::Forbidden),
        }
    }

    /// A name for logs and audit entries.
    pub fn label(&self) -> String {
        match &self.identity {
            Identity::Known(principal) => principal.label(),
            Identity::Unknown => UNKNOWN.to_owned(),
            Identity::Gadwall => "gadwall".to_owned(),
        }
    }

    /// The audit entry of what this caller did to something in a project.
    pub(crate) fn entry(
        &self,
        at: DateTime<Utc>,
        operation: &str,
        project: &ProjectId,
        resource: impl Into<String>,
    ) -> AuditEntry {
        AuditEntry {
            at,
            principal: self.label(),
            operation: operation.to_owned(),
            project: Some(project.clone()),
            resource: resource.into(),
            address: self.address,
            outcome: AuditOutcome::Done,
            request_id: self.request_id.clone(),
            snapshot: None,
        }
    }

    /// Where this caller's writes come from.
    pub fn origin(&self) -> WriteOrigin {
        WriteOrigin {
            key_id: self.principal().and_then(Principal::id),
            address: self.address,
            request_id: self.request_id.clone(),
            traceparent: self.traceparent.clone(),
            run_id: self.run_id.clone(),
            idempotency_key: self.idempotency.as_ref().map(|request| request.key.clone()),
            fingerprint: self.idempotency.as_ref().and_then(|request| request.fingerprint.get().map(str::to_owned)),
            began_at: self.began_at,
            files: Vec::new(),
        }
    }
}
