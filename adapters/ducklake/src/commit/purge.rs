use super::Commit;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Purge, PurgeError, PurgeReport, WriteError};
impl Commit<'_> {
    pub(crate) fn purge(&self, _: &Purge, _: &[SnapshotId], _: WriteOrigin) -> Result<PurgeReport, PurgeError> {
        Err(WriteError::from(crate::error::fault("not supported yet")).into())
    }
}
