//! Where files are written before they take their place: on the same file system, out of everyone's sight.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use gadwall_domain::ports::objects::{Content, ObjectError};
use gadwall_domain::ports::system::IdGenerator;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::error::failed;

/// Bytes gathered before they are written.
const BUFFER: usize = 512 * 1024;

/// The folder of what is on its way in, or out.
pub(crate) struct Incoming {
    folder: PathBuf,
    ids: Arc<dyn IdGenerator>,
}

/// A file that isn't in its place yet. Removed when dropped before it is.
pub(crate) struct Staged {
    unplaced: Unplaced,
    pub(crate) file: File,
}

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        &self.unplaced.0
    }
}

/// A path that is removed, unless the file has moved on by then.
struct Unplaced(PathBuf);

impl Drop for Unplaced {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, "an unfinished file was not removed");
        }
    }
}

impl Incoming {
    /// Opens the folder in this root and empties it.
    pub(crate) fn open(root: &Path, ids: Arc<dyn IdGenerator>) -> io::Result<Self> {
        let folder = root.join(".incoming");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder, ids })
    }

    /// Makes the folder again if someone removed it while the service runs.
    pub(crate) fn ensure(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    fn next(&self) -> PathBuf {
        self.folder.join(self.ids.next_id().simple().to_string())
    }

    /// Writes content to a file; none of it stays when it breaks off or nobody waits for it any more.
    pub(crate) async fn receive(&self, mut content: Content) -> Result<Staged, ObjectError> {
        let path = self.next();
        let unplaced = Unplaced(path.clone());
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&path).await.map_err(failed)?;
        let mut writer = BufWriter::with_capacity(BUFFER, file);
        while let Some(chunk) = content.next().await {
            writer.write_all(&chunk?).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        let file = writer.into_inner().into_std().await;
        Ok(Staged { unplaced, file })
    }

    /// Takes a local file over: by a rename, or by a copy from another file system. Blocks.
    pub(crate) fn take(&self, from: &Path) -> io::Result<Staged> {
        // Not through a link, and nothing but a file.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(CWD, from, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("only a file can be taken over"));
        }
        let path = self.next();
        match fs::rename(from, &path) {
            Ok(()) => Ok(Staged { unplaced: Unplaced(path), file }),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut staged = Staged { file: File::create_new(&path)?, unplaced: Unplaced(path) };
                io::copy(&mut file, &mut staged.file)?;
                fs::remove_file(from)?;
                Ok(staged)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a folder out of everyone's sight, if it is there; what nobody removes there goes at the next start.
    pub(crate) fn hide(&self, folder: &Path) -> io::Result<Option<PathBuf>> {
        self.ensure()?;
        let hidden = self.next();
        match fs::rename(folder, &hidden) {
            Ok(()) => Ok(Some(hidden)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
