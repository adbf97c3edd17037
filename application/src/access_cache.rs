//! Keys, projects and links that were looked up lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gadwall_domain::access::{ApiKey, KeyDigest};
use gadwall_domain::names::ProjectId;
use gadwall_domain::project::Project;
use gadwall_domain::sharing::KnownLink;

/// Entries of each kind; with more, all are looked up again.
const MAX_ENTRIES: usize = 4096;

/// What holds for one version of the store's projects, keys and links (`MetadataStore::access_version`). What isn't there is
/// never kept, so that guessing keys fills nothing.
#[derive(Default)]
pub(crate) struct AccessCache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    version: u64,
    keys: HashMap<KeyDigest, ApiKey>,
    projects: HashMap<ProjectId, Project>,
    links: HashMap<ProjectId, Arc<[KnownLink]>>,
}

impl AccessCache {
    /// The entries, if they are of this version. An older version than theirs gets nothing.
    fn of(&self, version: u64) -> Option<MutexGuard<'_, Inner>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.version < version {
            *inner = Inner { version, ..Inner::default() };
        }
        (inner.version == version).then_some(inner)
    }

    pub(crate) fn key(&self, version: u64, digest: &KeyDigest) -> Option<ApiKey> {
        self.of(version)?.keys.get(digest).cloned()
    }

    pub(crate) fn project(&self, version: u64, id: &ProjectId) -> Option<Project> {
        self.of(version)?.projects.get(id).cloned()
    }

    pub(crate) fn links(&self, version: u64, project: &ProjectId) -> Option<Arc<[KnownLink]>> {
        self.of(version)?.links.get(project).cloned()
    }

    /// Keeps the links of a project that is there, read after a look at the version.
    pub(crate) fn keep_links(&self, version: u64, project: &ProjectId, links: &Arc<[KnownLink]>) {
        if let Some(mut inner) = self.of(version) {
            if inner.links.len() >= MAX_ENTRIES {
                inner.links.clear();
            }
            inner.links.insert(project.clone(), Arc::clone(links));
        }
    }

    /// Keeps a key, found by this digest, that was read after a look at the version.
    pub(crate) fn keep_key(&self, version: u64, digest: KeyDigest, key: ApiKey) {
        if let Some(mut inner) = self.of(version) {
            if inner.keys.len() >= MAX_ENTRIES {
                inner.keys.clear();
            }
            inner.keys.insert(digest, key);
        }
    }

    /// Keeps a project that was read after a look at the version.
    pub(crate) fn keep_project(&self, version: u64, project: Project) {
        if let Some(mut inner) = self.of(version) {
            if inner.projects.len() >= MAX_ENTRIES {
                inner.projects.clear();
            }
            inner.projects.insert(project.id.clone(), project);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::digest;
    use crate::testing::builders::api_key;

    #[test]
    fn what_was_read_of_an_older_version_is_never_given_out() {
        let cache = AccessCache::default();
        let wanted = digest("k");
        cache.keep_key(3, wanted, api_key("p", "k"));
        assert!(cache.key(3, &wanted).is_some());
        assert!(cache.key(4, &wanted).is_none());
        // Someone who read before the change comes late.
        cache.keep_key(3, wanted, api_key("p", "k"));
        assert!(cache.key(4, &wanted).is_none() && cache.key(3, &wanted).is_none());
    }
}
