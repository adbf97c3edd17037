//! Who calls, and in which context: the first argument of every use case.

use std::net::{IpAddr, Ipv6Addr};

use gadwall_domain::access::Principal;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::idempotency::IdempotentRequest;
use gadwall_domain::ids::RequestId;

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
}

/// A caller with the context of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// The request.
    pub request_id: RequestId,
    /// W3C trace context, as received.
    pub traceparent: Option<String>,
    /// The OpenLineage run that the client named.
    pub run_id: Option<String>,
    /// The client's idempotency key.
    pub idempotency: Option<IdempotentRequest>,
}

impl Caller {
    /// A caller with known credentials and nothing else.
    pub fn new(principal: Principal, request_id: RequestId) -> Self {
        Self { identity: Identity::Known(principal), request_id, traceparent: None, run_id: None, idempotency: None }
    }

    /// The principal, if the credentials were good.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.identity {
            Identity::Known(principal) => Some(principal),
            Identity::Unknown => None,
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
        self.principal().map_or_else(|| "unknown".to_owned(), Principal::label)
    }

    /// Where this caller's writes come from.
    pub fn origin(&self) -> WriteOrigin {
        WriteOrigin {
            key_id: self.principal().and_then(Principal::id),
            request_id: self.request_id.clone(),
            traceparent: self.traceparent.clone(),
            run_id: self.run_id.clone(),
            idempotency_key: self.idempotency.as_ref().map(|request| request.key.clone()),
            fingerprint: self.idempotency.as_ref().and_then(|request| request.fingerprint.get().map(str::to_owned)),
        }
    }
}
