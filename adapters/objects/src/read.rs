//! What reads objects.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gadwall_domain::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{Content, ContentError, ObjectError, OpenObject};

use crate::Inner;
use crate::error::{failed, fault};
use crate::folder::{Folder, is_file};
use crate::types::Types;
use crate::version::Version;

/// Bytes read at a time.
const CHUNK: u64 = 256 * 1024;
/// How often an object is looked at again because it was replaced just then.
const LOOKS: usize = 16;

/// An object's file, open: it stays readable whatever becomes of its name.
pub(crate) struct OpenFile {
    info: ObjectInfo,
    file: File,
}

impl Inner {
    pub(crate) fn head(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<ObjectInfo, ObjectError> {
        let (folder, types) = self.folder_of(lake, dataset, object)?;
        look(&folder, &types, object).map_err(failed)?.ok_or(ObjectError::NoObject)
    }

    pub(crate) fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<OpenFile, ObjectError> {
        let (folder, types) = self.folder_of(lake, dataset, object)?;
        let open = || -> io::Result<Option<(File, Version)>> {
            let Some((file, stat)) = folder.file(object.split().1)? else { return Ok(None) };
            Ok(Some((file, Version::of(&stat)?)))
        };
        for _ in 0..LOOKS {
            let (file, version) = open().map_err(failed)?.ok_or(ObjectError::NoObject)?;
            if let Some(info) = describe(&folder, &types, object, version).map_err(failed)? {
                return Ok(OpenFile { info, file });
            }
        }
        Err(fault("the object is replaced faster than it can be opened"))
    }

    /// The folder that an object is in, and the types kept for its dataset.
    fn folder_of(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<(Folder, Types), ObjectError> {
        let home = self.dataset(lake, dataset)?;
        let folder = home.descend(object.split().0).map_err(failed)?.ok_or(ObjectError::NoObject)?;
        Ok((folder, self.types(lake, dataset)?))
    }

    pub(crate) fn types(&self, lake: LakeId, dataset: &DatasetName) -> Result<Types, ObjectError> {
        let lake = self.lake(lake)?.ok_or(ObjectError::NoDataset)?;
        Types::open(&lake, dataset).map_err(failed)
    }
}

/// An object of this folder, as it is now.
pub(crate) fn look(folder: &Folder, types: &Types, object: &ObjectName) -> io::Result<Option<ObjectInfo>> {
    for _ in 0..LOOKS {
        let Some(version) = version_of(folder, object)? else { return Ok(None) };
        if let Some(info) = describe(folder, types, object, version)? {
            return Ok(Some(info));
        }
    }
    Err(io::Error::other("the object is replaced faster than it can be looked at"))
}

fn version_of(folder: &Folder, object: &ObjectName) -> io::Result<Option<Version>> {
    folder.stat(object.split().1)?.filter(is_file).map(|stat| Version::of(&stat)).transpose()
}

/// A version with its type. `None` when it isn't in place any more, and its type may be gone with it.
fn describe(folder: &Folder, types: &Types, object: &ObjectName, version: Version) -> io::Result<Option<ObjectInfo>> {
    let content_type = match types.kept(object, &version.etag)? {
        Some(kept) => kept,
        None if version_of(folder, object)?.is_none_or(|current| current.etag != version.etag) => return Ok(None),
        None => ContentType::guess(object),
    };
    let Version { size, etag, modified } = version;
    Ok(Some(ObjectInfo { name: object.clone(), size, content_type, etag, last_modified: modified }))
}

#[async_trait]
impl OpenObject for OpenFile {
    fn info(&self) -> &ObjectInfo {
        &self.info
    }

    async fn read(self: Box<Self>, range: Range<u64>) -> Result<Content, ObjectError> {
        if range.start > range.end || range.end > self.info.size {
            return Err(fault("a range is not within its object"));
        }
        let chunks = futures_util::stream::unfold(Some((Arc::new(self.file), range)), |state| async move {
            let (file, rest) = state.filter(|(_, rest)| rest.start < rest.end)?;
            let (from, to) = (rest.start, rest.end.min(rest.start + CHUNK));
            let reader = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || read_at(&reader, from, to)).await;
            match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(bytes) => Some((Ok(bytes), Some((file, to..rest.end)))),
                Err(error) => Some((Err(ContentError::Fault(Box::new(error))), None)),
            }
        });
        Ok(Box::pin(chunks))
    }
}

/// All bytes of the range. A file that became shorter is a fault: half of it must not look whole.
fn read_at(file: &File, from: u64, to: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_version_that_was_replaced_is_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.csv"), "old").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let types = Types::open(&folder, &DatasetName::parse("d").unwrap()).unwrap();
        let object = ObjectName::parse("a.csv").unwrap();
        let old = version_of(&folder, &object).unwrap().unwrap();
        assert!(describe(&folder, &types, &object, old.clone()).unwrap().is_some());
        std::fs::write(dir.path().join("new"), "another").unwrap();
        std::fs::rename(dir.path().join("new"), dir.path().join("a.csv")).unwrap();
        assert!(describe(&folder, &types, &object, old.clone()).unwrap().is_none());
        std::fs::remove_file(dir.path().join("a.csv")).unwrap();
        assert!(describe(&folder, &types, &object, old).unwrap().is_none());
    }
}
