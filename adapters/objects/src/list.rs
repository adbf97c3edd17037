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
        let mut cursor: Option<String> = None;
        while !self.full() {
            let batch = self.batch(path, cursor.as_deref())?;
            let last = batch.len() < BATCH;
            for key in &batch {
                if self.full() {
                    return Ok(());
                }
                let full = format!("{path}{key}");
                if key.ends_with('/') {
                    self.walk(&full)?;
                } else {
                    self.add(path, &full)?;
                }
            }
            if last {
                return Ok(());
            }
            cursor = batch.into_iter().next_back();
        }
        Ok(())
    }

    /// The first entries of a folder after a cursor that may have to do with the query, in order.
    fn batch(&self, path: &str, cursor: Option<&str>) -> io::Result<Vec<String>> {
        // Opened by its path each time: one handle at a time, however deep the folders go.
        let Some(folder) = self.home.descend(path)? else { return Ok(Vec::new()) };
        let mut first = BinaryHeap::new();
        folder.each(|name, kind| {
            let key = match kind {
                FileType::RegularFile => name.to_owned(),
                FileType::Directory => format!("{name}/"),
                _ => return ControlFlow::Continue(()),
            };
            let after = cursor.is_none_or(|cursor| key.as_str() > cursor);
            let early = first.len() < BATCH || first.peek().is_some_and(|last| key < *last);
            if after && early && self.concerns(&format!("{path}{key}")) {
                first.push(key);
                if first.len() > BATCH {
                    first.pop();
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(first.into_sorted_vec())
    }

    /// Whether an object, or something in a folder, may be in the listing.
    fn concerns(&self, full: &str) -> bool {
        let folder = full.ends_with('/');
        let prefix = self.query.prefix.as_str();
        let of_prefix = full.starts_with(prefix) || (folder && prefix.starts_with(full));
        let after = self.query.after.as_ref().is_none_or(|after| {
            let after = after.as_str();
            full > after || (folder && after.starts_with(full))
        });
        of_prefix && after && full.len() <= MAX_OBJECT_NAME
    }

    fn add(&mut self, path: &str, full: &str) -> io::Result<()> {
        // What can't be asked for by its name is not an object.
        let Ok(object) = ObjectName::parse(full) else { return Ok(()) };
        let Some(folder) = self.home.descend(path)? else { return Ok(()) };
        self.found.extend(look(&folder, &self.types, &object)?);
        Ok(())
    }
}
