//! Where backups are kept: in a folder, or below a prefix of a bucket.

mod bucket;
mod folder;

pub use bucket::S3Backups;
pub use folder::LocalBackups;

use gadwall_domain::ports::backup::TargetError;
use gadwall_domain::ports::objects::ObjectError;

/// What the ports of datasets say, said of a target.
fn target(error: ObjectError) -> TargetError {
    match error {
        ObjectError::Content(error) => TargetError::Content(error),
        ObjectError::StorageFull(fault) => TargetError::Full(fault),
        ObjectError::Unavailable(fault) | ObjectError::ReadOnly(fault) => TargetError::Unavailable(fault),
        ObjectError::Fault(fault) => TargetError::Fault(fault),
        other => TargetError::Fault(Box::new(other)),
    }
}
