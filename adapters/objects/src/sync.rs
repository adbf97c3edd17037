//! Makes files last. A trait, so that a test can tell what a power loss would leave.

use std::io;
use std::os::fd::BorrowedFd;

/// Forces a file or folder to disk.
pub trait FileSync: Send + Sync {
    /// Returns once the file's bytes, or the folder's entries, are on disk.
    fn sync(&self, open: BorrowedFd<'_>) -> io::Result<()>;
}

/// Uses `fsync`.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fsync;

impl FileSync for Fsync {
    fn sync(&self, open: BorrowedFd<'_>) -> io::Result<()> {
        Ok(rustix::fs::fsync(open)?)
    }
}
