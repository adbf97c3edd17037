//! What a power loss leaves: only what was forced to disk, at every moment of a put.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gadwall_application::testing::builders::{dataset, lake, object};
use gadwall_application::testing::{FixedClock, SeqIds};
use gadwall_domain::dataset::{ContentType, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{Content, ObjectStorage as _, PutOptions};
use gadwall_objects::{FileSync, LocalObjects};

/// What is on disk, by inode: a file's bytes, or a folder's entries.
#[derive(Debug, Clone)]
enum OnDisk {
    File(Vec<u8>),
    Folder(BTreeMap<String, u64>),
}

type Disk = BTreeMap<u64, OnDisk>;

/// Remembers what was forced to disk, and a copy of the disk as it was after each time.
#[derive(Default, Clone)]
struct Recorder(Arc<Mutex<(Disk, Vec<Disk>)>>);

impl FileSync for Recorder {
    fn sync(&self, open: BorrowedFd<'_>) -> io::Result<()> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
        let meta = File::from(open.try_clone_to_owned()?).metadata()?;
        let content = if meta.is_dir() {
            let entry = |entry: io::Result<fs::DirEntry>| {
                let entry = entry?;
                Ok((entry.file_name().into_string().unwrap(), entry.metadata()?.ino()))
            };
            OnDisk::Folder(fs::read_dir(&path)?.map(entry).collect::<io::Result<_>>()?)
        } else {
            OnDisk::File(fs::read(&path)?)
        };
        let mut state = self.0.lock().unwrap();
        state.0.insert(meta.ino(), content);
        let copy = state.0.clone();
        state.1.push(copy);
        Ok(())
    }
}

/// The file at a path of a disk, if the loss left it.
fn survivor(disk: &Disk, root: u64, path: &str) -> Option<Vec<u8>> {
    let mut at = disk.get(&root)?;
    for name in path.split('/') {
        let OnDisk::Folder(entries) = at else { return None };
        at = disk.get(entries.get(name)?)?;
    }
    match at {
        OnDisk::File(bytes) => Some(bytes.clone()),
        OnDisk::Folder(_) => None,
    }
}

/// The types that the loss left for a dataset's objects.
fn surviving_types(disk: &Disk, root: u64, lake: &str) -> Vec<String> {
    let entries = |at: u64| match disk.get(&at) {
        Some(OnDisk::Folder(entries)) => entries.clone(),
        _ => BTreeMap::new(),
    };
    let mut at = Some(root);
    for name in [lake, ".types", "d"] {
        at = at.and_then(|at| entries(at).get(name).copied());
    }
    let files = at.map(entries).unwrap_or_default();
    files
        .values()
        .filter_map(|file| disk.get(file))
        .map(|file| match file {
            OnDisk::File(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            OnDisk::Folder(_) => String::new(),
        })
        .collect()
}

fn content(text: &'static str) -> Content {
    Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]))
}

fn typed(text: &str) -> PutOptions {
    PutOptions { content_type: Some(ContentType::parse(text).unwrap()), ..PutOptions::default() }
}

fn open(root: &Path) -> (LocalObjects, Recorder) {
    let recorder = Recorder::default();
    let (clock, ids) = (Arc::new(FixedClock::default()), Arc::new(SeqIds::default()));
    let store = LocalObjects::open_with(root, clock, ids, Box::new(recorder.clone())).unwrap();
    (store, recorder)
}

const LAKE: fn() -> LakeId = || lake(1);

#[tokio::test]
async fn an_answered_put_survives_and_an_unanswered_one_is_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::metadata(dir.path()).unwrap().ino();
    let (store, recorder) = open(dir.path());
    let folder = LAKE().uuid().simple().to_string();
    let path = format!("{folder}/d/a/b/c.csv");
    store.create_dataset(LAKE(), &dataset("d")).await.unwrap();
    let mut versions = Vec::new();
    for (bytes, told) in [("first", "x/first"), ("second", "x/second"), ("third", "x/third")] {
        versions.push((bytes.as_bytes().to_vec(), told.to_owned()));
        let before = recorder.0.lock().unwrap().1.len();
        store.put(LAKE(), &dataset("d"), &object("a/b/c.csv"), content(bytes), typed(told)).await.unwrap();
        let (now, moments) = recorder.0.lock().unwrap().clone();
        assert_eq!(survivor(&now, root, &path).unwrap(), bytes.as_bytes());
        for disk in &moments[before..] {
            let left = survivor(disk, root, &path);
            let Some(left) = left else {
                assert_eq!(versions.len(), 1);
                continue;
            };
            let (_, told) = versions.iter().rev().take(2).find(|(bytes, _)| *bytes == left).unwrap();
            assert!(surviving_types(disk, root, &folder).contains(told), "{told} was not on disk with its object");
        }
    }
}

#[tokio::test]
async fn deletions_and_removals_survive() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::metadata(dir.path()).unwrap().ino();
    let (store, recorder) = open(dir.path());
    let folder = LAKE().uuid().simple().to_string();
    let left = |path: &str| survivor(&recorder.0.lock().unwrap().0, root, &format!("{folder}/d/{path}")).is_some();
    store.create_dataset(LAKE(), &dataset("d")).await.unwrap();
    for name in ["a/b", "a/c/d", "e"] {
        store.put(LAKE(), &dataset("d"), &object(name), content("x"), PutOptions::default()).await.unwrap();
        assert!(left(name), "{name}");
    }
    for name in ["a/c/d", "a/b"] {
        store.delete(LAKE(), &dataset("d"), &object(name), &Precondition::default()).await.unwrap();
        assert!(!left(name), "{name}");
    }
    store.remove_all(LAKE()).await.unwrap();
    assert!(!left("e"));
}
