//! Which keys things have in the bucket.
//!
//! - `{prefix}/{lake}/datasets/{dataset}/{object}`: an object, under its own name, so that the engine can read it.
//! - `{prefix}/{lake}/.datasets/{dataset}`: says that the dataset is there, also when it has no object.
//! - `{prefix}/.results/{lake}/…`: results of queries.
//! - `{prefix}/.probe/…`: what is written to see whether that can be done.

use gadwall_domain::dataset::{DatasetName, ObjectName};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::ObjectError;
use object_store::path::Path;

use crate::error::fault;
use crate::lake_name;

/// Longest key, in bytes.
pub(super) const MAX_KEY: usize = 1024;

/// Keys below the prefix of a store.
#[derive(Debug, Clone)]
pub(super) struct Keys(String);

impl Keys {
    /// Keys that begin so; slashes at either end of it don't count.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        Self(if prefix.is_empty() { String::new() } else { format!("{prefix}/") })
    }

    /// The beginning of every dataset's marker in a lake.
    pub(super) fn markers(&self, lake: LakeId) -> String {
        format!("{}{}/.datasets/", self.0, lake_name(lake))
    }

    pub(super) fn marker(&self, lake: LakeId, dataset: &DatasetName) -> Result<Path, ObjectError> {
        key(&(self.markers(lake) + &dataset.folded()))
    }

    /// The beginning of all objects in a lake.
    pub(super) fn objects(&self, lake: LakeId) -> String {
        format!("{}{}/datasets/", self.0, lake_name(lake))
    }

    /// The beginning of a dataset's objects.
    pub(super) fn home(&self, lake: LakeId, dataset: &DatasetName) -> String {
        format!("{}{}/", self.objects(lake), dataset.folded())
    }

    pub(super) fn object(&self, lake: LakeId, dataset: &DatasetName, name: &ObjectName) -> Result<Path, ObjectError> {
        key(&(self.home(lake, dataset) + name.as_str()))
    }

    /// The beginning of all results.
    pub(super) fn results(&self) -> String {
        format!("{}.results/", self.0)
    }

    /// The beginning of a lake's results.
    pub(super) fn results_of(&self, lake: LakeId) -> String {
        format!("{}{}/", self.results(), lake_name(lake))
    }

    /// The beginning of one probe's objects.
    pub(super) fn probe(&self, id: &str) -> String {
        format!("{}.probe/{id}/", self.0)
    }
}

/// Whether a key is longer than there can be: nothing is under it.
pub(super) fn too_long(key: &Path) -> bool {
    key.as_ref().len() > MAX_KEY
}

/// A key as it is, with nothing of it written differently.
pub(super) fn key(text: &str) -> Result<Path, ObjectError> {
    Path::parse(text).map_err(|_| fault("a key that the store can't have"))
}
