//! Versions of objects: when a file was put, and its tag.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use gadwall_domain::dataset::EntityTag;
use gadwall_domain::ports::system::Clock;
use rustix::fs::{Stat, fstat};

use crate::sync::FileSync;

/// Gives each file that is put a time that no other one has.
///
/// The system's own times advance in ticks of milliseconds, and numbers of removed files are used again: two
/// versions within a tick could look alike. With times of its own the tag is strong, and nothing has to be kept
/// beside the file to know it.
pub(crate) struct Stamps {
    clock: Arc<dyn Clock>,
    last: AtomicU64,
}

impl Stamps {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: AtomicU64::new(0) }
    }

    /// Marks a finished file as a version of its own and waits until it is on disk.
    pub(crate) fn seal(&self, file: &File, sync: &dyn FileSync) -> io::Result<Version> {
        let now = self.clock.now().timestamp_nanos_opt().and_then(|now| u64::try_from(now).ok()).unwrap_or(0);
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        let stamp = before.map_or(now, |last| now.max(last + 1));
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp))?;
        sync.sync(file.as_fd())?;
        Version::of(&fstat(file)?)
    }
}

/// What a file's inode tells of its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) size: u64,
    pub(crate) etag: EntityTag,
    pub(crate) modified: DateTime<Utc>,
}

impl Version {
    pub(crate) fn of(stat: &Stat) -> io::Result<Self> {
        let odd = || io::Error::other("a file has a size or time out of range");
        let size = u64::try_from(stat.st_size).map_err(|_| odd())?;
        let nanos = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        let modified = DateTime::from_timestamp_nanos(i64::try_from(nanos).map_err(|_| odd())?);
        let etag = EntityTag::parse(&format!("{nanos:x}-{size:x}-{:x}", stat.st_ino)).ok_or_else(odd)?;
        Ok(Self { size, etag, modified })
    }
}
