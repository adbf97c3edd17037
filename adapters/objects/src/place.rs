//! What changes the tree: datasets made and removed, objects put in place and deleted.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gadwall_domain::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{ObjectError, PutOptions, Stored};
use gadwall_domain::ports::system::STORAGE_RESERVE;

use crate::error::failed;
use crate::folder::{Folder, bytes_below, is_file, is_folder};
use crate::incoming::Staged;
use crate::types::Types;
use crate::version::Version;
use crate::{Inner, lake_name};

/// Turns at changing a dataset's tree, a bounded number of them. Held for a few calls of the system, not for syncs.
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    fn take(&self, lake: LakeId, dataset: &DatasetName) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((lake, dataset));
        let index = usize::try_from(hash % self.0.len() as u64).unwrap_or_default();
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let _turn = self.turns.take(lake, dataset);
        let root = self.root()?;
        let make = || -> io::Result<bool> {
            let lake = root.child_or_new(&lake_name(lake))?;
            let made = lake.make(&dataset.folded())?;
            lake.sync(&*self.sync)?;
            root.sync(&*self.sync)?;
            Ok(made)
        };
        if make().map_err(failed)? { Ok(()) } else { Err(ObjectError::DatasetExists) }
    }

    pub(crate) fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let _turn = self.turns.take(lake, dataset);
        self.dataset(lake, dataset)?;
        let lake = self.lake(lake)?.ok_or(ObjectError::NoDataset)?;
        if !lake.remove_bare(&dataset.folded()).map_err(failed)? {
            return Err(ObjectError::DatasetNotEmpty);
        }
        Types::remove(&lake, dataset).and_then(|()| lake.sync(&*self.sync)).map_err(failed)
    }

    pub(crate) fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError> {
        let root = self.root()?;
        let hidden = self.incoming.hide(&self.root.join(lake_name(lake))).map_err(failed)?;
        let Some(hidden) = hidden else { return Ok(0) };
        let bytes = bytes_below(&hidden);
        root.sync(&*self.sync).and_then(|()| std::fs::remove_dir_all(hidden)).map_err(failed)?;
        Ok(bytes)
    }

    /// Whether an object could be put now.
    pub(crate) fn check(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        let current = current(&self.dataset(lake, dataset)?, object).map_err(failed)?;
        self.incoming.ensure().map_err(failed)?;
        self.require_room()?;
        if precondition.holds(current.as_ref().map(|version| &version.etag)) {
            Ok(())
        } else {
            Err(ObjectError::PreconditionFailed)
        }
    }

    /// Fails when storage is about to be full: the last room is for what makes some.
    fn require_room(&self) -> Result<(), ObjectError> {
        match rustix::fs::statvfs(&self.root) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < STORAGE_RESERVE => {
                Err(failed(io::ErrorKind::StorageFull.into()))
            }
            // Where the system doesn't tell, the write itself does.
            _ => Ok(()),
        }
    }

    /// Puts a finished file in its place, durably.
    pub(crate) fn place(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        staged: &Staged,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        let version = self.stamps.seal(&staged.file, &*self.sync).map_err(failed)?;
        let content_type = options.content_type.unwrap_or_else(|| ContentType::guess(object));
        let lake_folder = self.lake(lake)?.ok_or(ObjectError::NoDataset)?;
        Types::keep(&lake_folder, dataset, object, &version.etag, &content_type, &*self.sync).map_err(failed)?;

        let types = Types::open(&lake_folder, dataset).map_err(failed)?;
        let before = match self.swap(lake, dataset, object, staged, &options.precondition) {
            Ok(before) => before,
            Err(error) => {
                types.forget(object, &version.etag);
                return Err(error);
            }
        };
        self.sync_path(lake, dataset, object)?;
        if let Some(before) = &before {
            types.forget(object, &before.etag);
        }
        let Version { size, etag, modified } = version;
        let info = ObjectInfo { name: object.clone(), size, content_type, etag, last_modified: modified };
        Ok(Stored { info, replaced: before.is_some() })
    }

    /// Renames a file to its place if the precondition holds there; answers the version that was there.
    fn swap(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        staged: &Staged,
        precondition: &Precondition,
    ) -> Result<Option<Version>, ObjectError> {
        let _turn = self.turns.take(lake, dataset);
        let home = self.dataset(lake, dataset)?;
        let before = current(&home, object).map_err(failed)?;
        if !precondition.holds(before.as_ref().map(|version| &version.etag)) {
            return Err(ObjectError::PreconditionFailed);
        }
        let (path, name) = object.split();
        let folder = make_path(home, path)?;
        let in_the_way = folder.stat(name).map_err(failed)?.is_some_and(|stat| is_folder(&stat));
        if in_the_way && !folder.remove_bare(name).map_err(failed)? {
            return Err(ObjectError::NameClash);
        }
        folder.take(staged.path(), name).map_err(failed)?;
        Ok(before)
    }

    pub(crate) fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        let gone = {
            let _turn = self.turns.take(lake, dataset);
            let home = self.dataset(lake, dataset)?;
            let current = current(&home, object).map_err(failed)?;
            if !precondition.holds(current.as_ref().map(|version| &version.etag)) {
                return Err(ObjectError::PreconditionFailed);
            }
            if current.is_some() {
                unlink(&home, object).map_err(failed)?;
            }
            current
        };
        let Some(version) = gone else { return Ok(()) };
        self.sync_path(lake, dataset, object)?;
        if let Some(lake) = self.lake(lake)? {
            Types::open(&lake, dataset).map_err(failed)?.forget(object, &version.etag);
        }
        Ok(())
    }

    /// Syncs every folder from the dataset's to the object's. All of them: one that was there may have been made
    /// by someone who has not synced it yet. One that is gone again was removed by someone who syncs that.
    fn sync_path(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<(), ObjectError> {
        let mut at = match self.dataset(lake, dataset) {
            Err(ObjectError::NoDataset) => return Ok(()),
            home => home?,
        };
        at.sync(&*self.sync).map_err(failed)?;
        let (path, _) = object.split();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(next) = at.child(name).map_err(failed)? else { break };
            next.sync(&*self.sync).map_err(failed)?;
            at = next;
        }
        Ok(())
    }
}

/// The version that is in place.
fn current(home: &Folder, object: &ObjectName) -> io::Result<Option<Version>> {
    let (path, name) = object.split();
    let Some(folder) = home.descend(path)? else { return Ok(None) };
    folder.stat(name)?.filter(is_file).map(|stat| Version::of(&stat)).transpose()
}

/// Goes down a path, making the folders that are missing.
fn make_path(home: Folder, path: &str) -> Result<Folder, ObjectError> {
    let mut at = home;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = match at.child(name).map_err(failed)? {
            Some(next) => next,
            None if at.stat(name).map_err(failed)?.is_some() => return Err(ObjectError::NameClash),
            None => at.child_or_new(name).map_err(failed)?,
        };
    }
    Ok(at)
}

/// Removes an object and the folders that are empty without it.
fn unlink(home: &Folder, object: &ObjectName) -> io::Result<()> {
    let (mut path, name) = object.split();
    let Some(folder) = home.descend(path)? else { return Ok(()) };
    folder.remove_file(name)?;
    while !path.is_empty() {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = home.descend(above)? else { break };
        if !folder.remove_folder(&name)? {
            break;
        }
        path = above;
    }
    Ok(())
}
