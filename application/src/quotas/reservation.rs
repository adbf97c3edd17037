//! Room that a write has while it is on its way.

use std::sync::Arc;

use gadwall_domain::names::ProjectId;
use gadwall_domain::quota::{QuotaExceeded, QuotaKind};

use super::Quotas;

/// Room that was taken. Dropped before the write is done, it is given back.
pub(crate) struct Reservation(Option<Taken>);

struct Taken {
    of: Arc<Quotas>,
    key: (ProjectId, QuotaKind),
    limit: u64,
    amount: u64,
}

impl Reservation {
    /// Of what has no limit.
    pub(super) fn unlimited() -> Self {
        Self(None)
    }

    pub(super) fn new(of: &Arc<Quotas>, key: (ProjectId, QuotaKind), limit: u64, amount: u64) -> Self {
        Self(Some(Taken { of: Arc::clone(of), key, limit, amount }))
    }

    /// Makes sure that there is room for so much in all.
    pub(crate) fn reach(&mut self, amount: u64) -> Result<(), QuotaExceeded> {
        let Some(taken) = &mut self.0 else { return Ok(()) };
        if let Some(more) = amount.checked_sub(taken.amount).filter(|more| *more > 0) {
            taken.of.take(&taken.key, taken.limit, more)?;
            taken.amount = amount;
        }
        Ok(())
    }

    /// The write is done, and brought what was reserved and so much beside it.
    pub(crate) fn keep_with(self, more: u64) {
        let amount = self.0.as_ref().map_or(0, |taken| taken.amount);
        self.keep_as(amount.saturating_add(more));
    }

    /// The write is done, and brought so much.
    pub(crate) fn keep_as(mut self, arrived: u64) {
        if let Some(taken) = self.0.take() {
            taken.settle(arrived);
        }
    }
}

impl Taken {
    fn settle(&self, arrived: u64) {
        let (project, kind) = &self.key;
        self.of.lock().account(project, *kind).settle(self.amount, arrived);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.settle(0);
        }
    }
}
