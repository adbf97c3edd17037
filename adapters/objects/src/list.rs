//! Listings: by the bytes of whole names, page by page, in memory that doesn't grow with the dataset.

use std::collections::BinaryHeap;
use std::io;
use std::ops::ControlFlow;

use gadwall_domain::dataset::{DatasetName, MAX_OBJECT_NAME, ObjectInfo, ObjectName};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{MAX_OBJECTS_LISTED, ObjectError, ObjectQuery};
use rustix::fs::FileType;

use crate::Inner;
use crate::error::failed;
use crate::folder::Folder;
use crate::read::look;
use crate::types::Types;

/// Entries of one folder kept in memory at a time.
const BATCH: usize = 4_096;

impl Inner {
    pub(crate) fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        let home = self.dataset(lake, dataset)?;
        let types = self.types(lake, dataset)?;
        let limit = query.limit.min(MAX_OBJECTS_LISTED) as usize;
        let mut listing = Listing { home, types, query, limit, found: Vec::new() };
        listing.walk("").map_err(failed)?;
        Ok(listing.found)
    }
}

struct Listing<'a> {
    home: Folder,
    types: Types,
    query: &'a ObjectQuery,
    limit: usize,
    found: Vec<ObjectInfo>,
}

impl Listing<'_> {
    fn full(&self) -> bool {
        self.found.len() >= self.limit
    }

    /// Adds the objects of a folder (its path ends in a slash, or is empty) and of those in it.
    ///
    /// A folder counts as its name with a slash: then the order within each folder makes the order of all.
    fn walk(&mut self, path: &str) -> io::Result<()> {
        let Some(window) = Window::of(self.query, path) else { return Ok(()) };
        let mut cursor: Option<String> = None;
        while !self.full() {
            let batch = self.batch(path, &window, cursor.as_deref())?;
            let last = batch.len() < BATCH;
            // Open while files follow each other, and not while another folder is: however deep they go, few are.
            let mut here = None;
            for key in &batch {
                if self.full() {
                    return Ok(());
                }
                let full = format!("{path}{key}");
                if key.ends_with('/') {
                    here = None;
                    self.walk(&full)?;
                    continue;
                }
                let folder = match here.take() {
                    Some(folder) => folder,
                    None => match self.home.descend(path)? {
                        Some(folder) => folder,
                        None => return Ok(()),
                    },
                };
                self.add(&folder, &full)?;
                here = Some(folder);
            }
            if last {
                return Ok(());
            }
            cursor = batch.into_iter().next_back();
        }
        Ok(())
    }

    /// The first entries of a folder after a cursor that may have to do with the query, in order.
    fn batch(&self, path: &str, window: &Window<'_>, cursor: Option<&str>) -> io::Result<Vec<String>> {
        let Some(folder) = self.home.descend(path)? else { return Ok(Vec::new()) };
        let mut first: BinaryHeap<String> = BinaryHeap::new();
        let mut offer = |key: &str| {
            let after = cursor.is_none_or(|cursor| key > cursor);
            let early = first.len() < BATCH || first.peek().is_some_and(|last| key < last.as_str());
            if after && early && window.shows(key) && path.len() + key.len() <= MAX_OBJECT_NAME {
                first.push(key.to_owned());
                if first.len() > BATCH {
                    first.pop();
                }
            }
        };
        folder.each(|name, kind| {
            match kind {
                FileType::RegularFile => offer(name),
                FileType::Directory => offer(&format!("{name}/")),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(first.into_sorted_vec())
    }

    fn add(&mut self, folder: &Folder, full: &str) -> io::Result<()> {
        // What can't be asked for by its name is not an object.
        let Ok(object) = ObjectName::parse(full) else { return Ok(()) };
        self.found.extend(look(folder, &self.types, &object)?);
        Ok(())
    }
}

/// What a query wants of one folder: the rest of the prefix and of the cursor, within it.
struct Window<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
}

impl<'a> Window<'a> {
    /// `None` when it wants nothing of it.
    fn of(query: &'a ObjectQuery, path: &str) -> Option<Self> {
        let prefix = match query.prefix.strip_prefix(path) {
            Some(rest) => rest,
            None if path.starts_with(&query.prefix) => "",
            None => return None,
        };
        let after = match query.after.as_ref().map(ObjectName::as_str) {
            None => None,
            Some(after) => match after.strip_prefix(path) {
                Some(rest) => Some(rest),
                None if path > after => None,
                None => return None,
            },
        };
        Some(Self { prefix, after })
    }

    /// Whether a file, or something in a folder (its key ends in a slash), may be wanted.
    fn shows(&self, key: &str) -> bool {
        let folder = key.ends_with('/');
        (key.starts_with(self.prefix) || (folder && self.prefix.starts_with(key)))
            && self.after.is_none_or(|after| key > after || (folder && after.starts_with(key)))
    }
}
