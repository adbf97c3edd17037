//! Where the fetched services lie, also for a user who can't reach the repository.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Who servers run as that refuse to run as root: `nobody`.
pub(crate) const UNPRIVILEGED: u32 = 65_534;

/// The folder of a service that `make setup-test` fetched.
pub fn service(name: &str) -> Result<PathBuf> {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services");
    let folder = services.join(name);
    ensure!(folder.join(MARK).is_file(), "there is no {name} server for this test: run `make setup-test` first");
    Ok(folder.canonicalize()?)
}

/// Holds the sum of the package that the folder was taken out of.
const MARK: &str = ".package.sha256";

/// Who a server runs as: this process's user, or an unprivileged one instead of root.
pub(crate) fn runs_as() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(UNPRIVILEGED)
}

/// A folder for what is prepared once and used by all tests of this machine and user: named after the package, in the
/// temporary folder, where the user that the server runs as can reach it.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let sum = fs::read_to_string(service(name)?.join(MARK))?;
    let user = runs_as().unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let folder = std::env::temp_dir().join(format!("gadwall-test-{name}-{user}-{}", &sum[..16]));
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).context("no cache folder");
        }
        _ => {}
    }
    let found = fs::symlink_metadata(&folder)?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    ensure!(ours, "{} belongs to somebody else", folder.display());
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Makes a folder of the cache, once: whoever comes second uses what the first made.
pub(crate) fn once(wanted: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if wanted.is_dir() {
        return Ok(());
    }
    let parent = wanted.parent().context("a folder of the cache")?;
    let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(parent)?;
    own(fresh.path())?;
    let inside = fresh.path().join("made");
    make(&inside)?;
    match fs::rename(&inside, wanted) {
        Err(_) if wanted.is_dir() => Ok(()),
        done => done.context("can't put a folder into the cache"),
    }
}

/// Gives a file or folder to the user that the server runs as.
pub(crate) fn own(path: &Path) -> Result<()> {
    if let Some(user) = runs_as() {
        std::os::unix::fs::chown(path, Some(user), Some(user))?;
    }
    Ok(())
}

/// A new folder for data that need not last, given to the user that the server runs as: in memory where there is plenty,
/// as making a thousand small files on a busy disk takes seconds.
pub(crate) fn scratch() -> Result<TempDir> {
    const PLENTY: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |memory| memory.f_bavail * memory.f_frsize);
    let parent = if free > PLENTY { memory.to_owned() } else { std::env::temp_dir() };
    new_in(&parent)
}

/// A new folder on the disk, given to the user that the server runs as.
pub(crate) fn on_disk() -> Result<TempDir> {
    new_in(&std::env::temp_dir())
}

fn new_in(parent: &Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("gadwall-test-").tempdir_in(parent)?;
    own(folder.path())?;
    Ok(folder)
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-Rp").arg(from).arg(to).status().context("no `cp`")?;
    ensure!(done.success(), "can't copy {}", from.display());
    Ok(())
}

/// A variable of the environment that is set.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says where servers are")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
