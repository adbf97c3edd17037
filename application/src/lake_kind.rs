//! What a lake's failures mean to who asked.

use gadwall_domain::error::ErrorKind;
use gadwall_domain::ports::lake::LakeError;

/// What kind of failure it is.
pub(crate) fn lake_kind(error: &LakeError) -> ErrorKind {
    match error {
        LakeError::Busy
        | LakeError::Contended
        | LakeError::Unavailable(_)
        | LakeError::ReadOnly(_)
        | LakeError::Damaged(_)
        | LakeError::NoLake => ErrorKind::Unavailable,
        LakeError::StorageFull(_) => ErrorKind::StorageFull,
        LakeError::Fault(_) => ErrorKind::Internal,
    }
}
