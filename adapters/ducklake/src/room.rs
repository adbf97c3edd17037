//! Room on the disk. The last of it is left to what must still work when rows have none: the catalogs' logs, the metadata
//! store, and the deletion of what takes the room.

use std::io;
use std::path::Path;

use gadwall_domain::ports::lake::{LakeError, LakeWrite};
use gadwall_domain::ports::system::STORAGE_RESERVE;

use crate::error::io_error;

/// Fails when storage is about to be full. Blocks.
pub(crate) fn require(folder: &Path) -> Result<(), LakeError> {
    match rustix::fs::statvfs(folder) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < STORAGE_RESERVE => {
            Err(io_error(io::Error::from(io::ErrorKind::StorageFull)))
        }
        // Where the system doesn't tell, the write itself does.
        _ => Ok(()),
    }
}

/// Whether a write makes room rather than taking it, or is needed to make some.
pub(crate) fn frees(write: &LakeWrite) -> bool {
    matches!(write, LakeWrite::DropBucket { .. } | LakeWrite::DropTable { .. } | LakeWrite::Delete { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_where_nothing_is_known_of_it() {
        assert!(require(Path::new("/there/is/no/such/folder")).is_ok());
        assert!(require(&std::env::temp_dir()).is_ok());
    }
}
