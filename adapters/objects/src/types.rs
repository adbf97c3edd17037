//! Content types that an object's name doesn't tell.
//!
//! Each is a small file of its own in a folder beside the datasets, named after the object *and its version*. It is
//! on disk before the version takes its place, and is never changed: whichever version a crash leaves in place, its
//! type is the one that was told with it. Where there is no such file, the type is guessed by the name; that is also
//! what is done with files that someone else put there. Extended attributes would be simpler, but not every file
//! system has them, and copies and backups lose them silently.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;

use gadwall_domain::dataset::{ContentType, DatasetName, EntityTag, ObjectName};
use sha2::{Digest as _, Sha256};

use crate::TYPES;
use crate::folder::Folder;
use crate::sync::FileSync;

/// The longest type there can be, and then some.
const MAX_BYTES: u64 = 1024;

/// The types of a dataset's objects; none, if all of them are told by their names.
pub(crate) struct Types(Option<Folder>);

/// A file name of hexadecimal digits, however long the object's name is.
fn file_name(object: &ObjectName, etag: &EntityTag) -> String {
    format!("{}.{}", hex::encode(Sha256::digest(object.as_str().as_bytes())), etag.as_str())
}

impl Types {
    /// Those of a dataset in this lake's folder.
    pub(crate) fn open(lake: &Folder, dataset: &DatasetName) -> io::Result<Self> {
        let types = lake.child(TYPES)?;
        Ok(Self(types.map(|types| types.child(&dataset.folded())).transpose()?.flatten()))
    }

    /// The type kept for a version, if one is.
    pub(crate) fn kept(&self, object: &ObjectName, etag: &EntityTag) -> io::Result<Option<ContentType>> {
        let Some(folder) = &self.0 else { return Ok(None) };
        let Some((file, _)) = folder.file(&file_name(object, etag))? else { return Ok(None) };
        let mut text = String::new();
        match file.take(MAX_BYTES).read_to_string(&mut text) {
            Ok(_) => Ok(ContentType::parse(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets the type of a version that is gone. What stays behind harms nobody: no other version has its name.
    pub(crate) fn forget(&self, object: &ObjectName, etag: &EntityTag) {
        if let Some(folder) = &self.0
            && let Err(error) = folder.remove_file(&file_name(object, etag))
        {
            tracing::debug!(error = %error, "an old content type was not removed");
        }
    }

    /// Keeps a version's type, durably, unless its name tells it.
    pub(crate) fn keep(
        lake: &Folder,
        dataset: &DatasetName,
        object: &ObjectName,
        etag: &EntityTag,
        content_type: &ContentType,
        sync: &dyn FileSync,
    ) -> io::Result<()> {
        if *content_type == ContentType::guess(object) {
            return Ok(());
        }
        let types = lake.child_or_new(TYPES)?;
        let folder = types.child_or_new(&dataset.folded())?;
        let name = file_name(object, etag);
        let mut file = folder.new_file(&name)?;
        let written = file.write_all(content_type.as_str().as_bytes()).and_then(|()| sync.sync(file.as_fd()));
        let synced =
            written.and_then(|()| folder.sync(sync)).and_then(|()| types.sync(sync)).and_then(|()| lake.sync(sync));
        if synced.is_err() {
            let _ = folder.remove_file(&name);
        }
        synced
    }

    /// Removes all that is kept for a dataset that is gone.
    pub(crate) fn remove(lake: &Folder, dataset: &DatasetName) -> io::Result<()> {
        let Some(types) = lake.child(TYPES)? else { return Ok(()) };
        let Some(folder) = types.child(&dataset.folded())? else { return Ok(()) };
        let mut left = Vec::new();
        folder.each(|name, _| {
            left.push(name.to_owned());
            std::ops::ControlFlow::Continue(())
        })?;
        for name in left {
            folder.remove_file(&name)?;
        }
        types.remove_folder(&dataset.folded().as_str())?;
        Ok(())
    }
}
