//! What the file system says, told as the port's errors.

use std::fmt;
use std::io;
use std::path::PathBuf;

use gadwall_domain::ports::objects::ObjectError;

/// Why the folder of the datasets can't be used.
#[derive(Debug)]
pub struct OpenError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the folder {} can't be used", self.path.display())
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The only place where the system's errors get their meaning.
pub(crate) fn failed(error: io::Error) -> ObjectError {
    match error.kind() {
        // Too large is what a file becomes that meets the limit of a process or of its file system.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ObjectError::StorageFull(Box::new(error))
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => ObjectError::ReadOnly(Box::new(error)),
        _ => fault(error),
    }
}

pub(crate) fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ObjectError {
    ObjectError::Fault(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        assert!(matches!(failed(full), ObjectError::StorageFull(_)));
        for errno in [rustix::io::Errno::DQUOT, rustix::io::Errno::FBIG] {
            assert!(matches!(failed(errno.into()), ObjectError::StorageFull(_)), "{errno:?}");
        }
        for errno in [rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS] {
            assert!(matches!(failed(errno.into()), ObjectError::ReadOnly(_)), "{errno:?}");
        }
        let broken = io::Error::from(rustix::io::Errno::IO);
        assert!(matches!(failed(broken), ObjectError::Fault(_)));
    }
}
