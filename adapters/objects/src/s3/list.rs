//! Listings: keys from the server's listing, and of each what only a look at it tells.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::dataset::{DatasetName, ObjectInfo, ObjectName};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{MAX_OBJECTS_LISTED, ObjectError, ObjectQuery};
use object_store::ObjectMeta;

use super::Inner;
use super::error::failed;
use super::version::Version;

/// Objects that are looked at at once.
const LOOKS: usize = 16;

/// A version that was looked at, and the server's own signs of it.
#[derive(Clone)]
pub(super) struct Seen {
    their_tag: Option<String>,
    modified: i64,
    version: Version,
}

type Keys = BTreeMap<ObjectName, ObjectMeta>;

impl Inner {
    pub(super) async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.require(lake, dataset).await?;
        let limit = query.limit.min(MAX_OBJECTS_LISTED) as usize;
        let home = self.store.keys.home(lake, dataset);
        let (mut found, mut after) = (Vec::new(), query.after.clone());
        while found.len() < limit {
            let keys = self.keys(&home, &query.prefix, after, limit - found.len()).await?;
            let last = found.len() + keys.len() < limit;
            after = keys.keys().next_back().cloned();
            let looks = futures_util::stream::iter(keys).map(|(name, meta)| self.look_at(name, meta));
            let looked: Vec<_> = looks.buffered(LOOKS).try_collect().await?;
            // Those that were deleted meanwhile make room for more.
            found.extend(looked.into_iter().flatten());
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// The first so many keys in the order of their bytes.
    async fn keys(
        &self,
        home: &str,
        prefix: &str,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Result<Keys, ObjectError> {
        let mut keys = Keys::new();
        let whole = format!("{home}{prefix}");
        // A key that can't be one is asked for by nobody, and some servers mind.
        if prefix.chars().any(char::is_control) {
            return Ok(keys);
        }
        let ordered = self.store.ordered;
        let offset = after.as_ref().filter(|_| ordered).map(|after| format!("{home}{after}"));
        let mut token = None;
        loop {
            let page = self.store.page(&whole, offset.as_deref(), token).await.map_err(|error| failed(&error))?;
            for meta in page.objects {
                let name = meta.location.as_ref().strip_prefix(home).and_then(|name| ObjectName::parse(name).ok());
                let Some(name) = name.filter(|name| name.as_str().starts_with(prefix)) else { continue };
                if after.as_ref().is_none_or(|after| name > *after) {
                    keys.insert(name, meta);
                }
                if keys.len() > limit {
                    keys.pop_last();
                }
            }
            token = page.next;
            if token.is_none() || (ordered && keys.len() >= limit) {
                return Ok(keys);
            }
        }
    }

    /// What a listing leaves out, from a look at the object unless it was looked at before; `None` when it is gone.
    async fn look_at(&self, name: ObjectName, meta: ObjectMeta) -> Result<Option<ObjectInfo>, ObjectError> {
        let key = meta.location.as_ref();
        let modified = meta.last_modified.timestamp_millis();
        if let Some(seen) = self.seen.get(key)
            && seen.their_tag == meta.e_tag
            && seen.modified == modified
        {
            return Ok(Some(seen.version.info(name, meta.size)));
        }
        let Some(now) = self.store.head(&meta.location).await.map_err(|error| failed(&error))? else { return Ok(None) };
        let version = Version::of(&name, &now.meta, &now.attributes)?;
        if now.meta.e_tag == meta.e_tag && now.meta.size == meta.size {
            let seen = Seen { their_tag: meta.e_tag, modified, version: version.clone() };
            self.seen.insert(key.to_owned(), seen);
        }
        Ok(Some(version.info(name, now.meta.size)))
    }
}
