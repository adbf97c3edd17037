//! Folders by handle. Every step goes from a handle to a name in it and follows no link, so that no path, however
//! it changes meanwhile, leads out of the root.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::sync::FileSync;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
// A pipe that someone put there must not make the open wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// An open folder.
pub(crate) struct Folder(OwnedFd);

/// What "there is nothing of that kind under this name" looks like.
fn absent<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // A link looks like one or the other of the last two.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Folder {
    /// Opens a folder by its path, which must be one's own.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// The folder of that name in it.
    pub(crate) fn child(&self, name: &str) -> io::Result<Option<Self>> {
        Ok(absent(openat(&self.0, name, FOLDER, Mode::empty()))?.map(Self))
    }

    /// The folder at a path of plain names below it; the folder itself for an empty path.
    pub(crate) fn descend(&self, path: &str) -> io::Result<Option<Self>> {
        let mut at = Self(self.0.try_clone()?);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match at.child(name)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Makes a folder; `false` when something of that name is there.
    pub(crate) fn make(&self, name: &str) -> io::Result<bool> {
        match mkdirat(&self.0, name, FOLDER_MODE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder of that name, made if it wasn't there.
    pub(crate) fn child_or_new(&self, name: &str) -> io::Result<Self> {
        self.make(name)?;
        self.child(name)?.ok_or_else(|| Errno::NOTDIR.into())
    }

    /// Opens a file for reading, if there is one of that name.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<(File, Stat)>> {
        let Some(opened) = absent(openat(&self.0, name, READ, Mode::empty()))? else { return Ok(None) };
        let stat = fstat(&opened)?;
        Ok(is_file(&stat).then(|| (File::from(opened), stat)))
    }

    /// Makes a file that wasn't there.
    pub(crate) fn new_file(&self, name: &str) -> io::Result<File> {
        Ok(File::from(openat(&self.0, name, NEW, FILE_MODE)?))
    }

    /// What is under that name, be it a link.
    pub(crate) fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        absent(statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Moves a file to a name in this folder, over the file that has it.
    pub(crate) fn take(&self, file: &Path, name: &str) -> io::Result<()> {
        Ok(renameat(CWD, file, &self.0, name)?)
    }

    /// Removes a file; `false` when there is none.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<bool> {
        Ok(absent(unlinkat(&self.0, name, AtFlags::empty()))?.is_some())
    }

    /// Removes a folder; `false` when it isn't empty or isn't there.
    pub(crate) fn remove_folder(&self, name: &(impl rustix::path::Arg + Copy)) -> io::Result<bool> {
        match unlinkat(&self.0, *name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until its entries are on disk.
    pub(crate) fn sync(&self, sync: &dyn FileSync) -> io::Result<()> {
        sync.sync(self.0.as_fd())
    }

    /// Shows each entry, in no order, until told to stop. Names that are not text are left out: no object has one.
    pub(crate) fn each(&self, mut show: impl FnMut(&str, FileType) -> ControlFlow<()>) -> io::Result<()> {
        self.each_raw(|name, kind| match name.to_str() {
            Ok(name) => show(name, kind),
            Err(_) => ControlFlow::Continue(()),
        })
    }

    fn each_raw(&self, mut show: impl FnMut(&CStr, FileType) -> ControlFlow<()>) -> io::Result<()> {
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let Some(stat) = absent(statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))? else { continue };
                kind = FileType::from_raw_mode(stat.st_mode);
            }
            if show(name, kind).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Removes the folder of that name if there are at most folders in it: what a crash or a failed put leaves.
    /// `false` when anything else is there. Holds three folders open at most, however deep they go.
    pub(crate) fn remove_bare(&self, name: &str) -> io::Result<bool> {
        loop {
            let Some(mut at) = self.child(name)? else { return Ok(true) };
            let mut above = None;
            loop {
                let mut first = None;
                at.each_raw(|name, kind| {
                    first = Some((name.to_owned(), kind));
                    ControlFlow::Break(())
                })?;
                match first {
                    None => break,
                    Some((name, FileType::Directory)) => {
                        let Some(next) = absent(openat(&at.0, &name, FOLDER, Mode::empty()))? else { return Ok(false) };
                        above = Some((at, name));
                        at = Self(next);
                    }
                    Some(_) => return Ok(false),
                }
            }
            let removed = match &above {
                None => return self.remove_folder(&name),
                Some((folder, name)) => folder.remove_folder(&name.as_c_str())?,
            };
            if !removed {
                return Ok(false);
            }
        }
    }
}

pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(crate) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Bytes of all files below a folder, as far as they can be seen.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
