//! Results that may be asked for again, as they were sent.
//!
//! Exact: a result is kept under everything that it depends on, the snapshot among it, so that it can't be stale. Who
//! asks was authorised before, and what they may see is part of the key, too.

use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::query::{Linked, Parameters, ReadScope};
use gadwall_domain::table::TableRef;
use poem::Body;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::statistics::Statistics;

/// Largest result that is kept.
const MAX_ENTRY: usize = 256 * 1024;
/// What an entry takes beside its bytes, about.
const OVERHEAD: u64 = 256;
/// A result's usual size: for a first guess at how many there will be.
const USUAL: u64 = 4096;

/// What a result depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Of a query by its text: the same text means the same in the same scope and snapshot.
    pub(crate) fn new(
        scope: &ReadScope,
        snapshot: SnapshotId,
        sql: &str,
        parameters: &Parameters,
        default_bucket: &str,
        form: &str,
    ) -> Self {
        let mut hash = Sha256::new();
        let bucket = scope.only_bucket.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = match parameters {
            Parameters::None => String::new(),
            Parameters::Positional(values) => serde_json::json!(values).to_string(),
            Parameters::Named(values) => serde_json::json!(values).to_string(),
        };
        let (lake, snapshot) = (scope.lake.uuid(), snapshot.get().to_be_bytes());
        let links = linked(scope);
        let parts: [&[u8]; 8] = [
            lake.as_bytes(),
            &snapshot,
            bucket.as_bytes(),
            sql.as_bytes(),
            values.as_bytes(),
            default_bucket.as_bytes(),
            form.as_bytes(),
            links.as_bytes(),
        ];
        for part in parts {
            // With its length, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The strong validator of the result.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", hex::encode(&self.0[..16]))
    }
}

/// What is read of other projects, and in which versions. A link that ended shows nothing, so it counts, too.
fn linked(scope: &ReadScope) -> String {
    let link = |link: &Linked| match &link.source {
        None => format!("{}\n", link.name.folded()),
        Some(source) => {
            let (lake, bucket) = (source.lake.uuid(), source.bucket.folded());
            format!("{} {lake} {bucket} {} {}\n", link.name.folded(), source.at, source.pinned)
        }
    };
    scope.links.iter().map(link).collect()
}

/// A result as it was sent; a JSON document without its end, which tells what differs from one time to the next.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) body: Bytes,
    pub(crate) about: About,
}

/// What is known of a result beside its rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) snapshot: SnapshotId,
    /// What it read through links.
    pub(crate) linked: Arc<[TableRef]>,
    /// Of the query that it was made for.
    pub(crate) statistics: Statistics,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Kept> for Weight {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        kept.body.len() as u64 + OVERHEAD
    }
}

/// The results of late, up to so many bytes.
pub(crate) struct ResultCache {
    kept: Option<Cache<Key, Kept, Weight>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How the cache does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CacheFigures {
    /// Results that were there.
    pub(crate) hits: u64,
    /// Results that were not.
    pub(crate) misses: u64,
    /// Results that are kept.
    pub(crate) entries: u64,
    /// What they take, in bytes.
    pub(crate) bytes: u64,
}

impl ResultCache {
    /// Keeps up to so many bytes; nothing with 0.
    pub(crate) fn new(bytes: u64) -> Self {
        let guess = usize::try_from(bytes / USUAL).unwrap_or(usize::MAX).max(16);
        let kept = (bytes > 0).then(|| Cache::with_weighter(guess, bytes, Weight));
        Self { kept, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// How it does.
    pub(crate) fn figures(&self) -> CacheFigures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheFigures {
            hits: count(&self.hits),
            misses: count(&self.misses),
            entries: self.kept.as_ref().map_or(0, |kept| kept.len() as u64),
            bytes: self.kept.as_ref().map_or(0, Cache::weight),
        }
    }

    /// Lets all results go; answers how many.
    pub(crate) fn clear(&self) -> usize {
        let Some(kept) = &self.kept else { return 0 };
        let dropped = kept.len();
        kept.clear();
        dropped
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        let found = self.kept.as_ref()?.get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Passes a result on, and keeps it if it is small and comes to a good end.
    pub(crate) fn keep(self: &Arc<Self>, key: Key, about: About, body: Body) -> Body {
        if self.kept.is_none() {
            return body;
        }
        let begun = Some((body.into_bytes_stream(), Some(Vec::new()), Arc::clone(self)));
        let passed = futures_util::stream::unfold(begun, move |state| {
            let about = about.clone();
            async move {
                let (mut chunks, mut gathered, cache) = state?;
                match chunks.next().await {
                    Some(Ok(chunk)) => {
                        gathered = gathered.filter(|so_far: &Vec<u8>| so_far.len() + chunk.len() <= MAX_ENTRY);
                        if let Some(so_far) = &mut gathered {
                            so_far.extend_from_slice(&chunk);
                        }
                        Some((Ok(chunk), Some((chunks, gathered, cache))))
                    }
                    Some(Err(error)) => Some((Err(error), None)),
                    None => {
                        if let (Some(whole), Some(entries)) = (gathered, &cache.kept) {
                            entries.insert(key, Kept { body: whole.into(), about });
                        }
                        None
                    }
                }
            }
        });
        Body::from_bytes_stream(passed)
    }
}

#[cfg(test)]
mod tests {
    use gadwall_domain::history::ReadAt;
    use gadwall_domain::ids::LakeId;
    use gadwall_domain::names::BucketName;
    use gadwall_domain::query::LinkedSource;

    use super::*;

    fn scope(lake: u128, bucket: Option<&str>) -> ReadScope {
        let only_bucket = bucket.map(|name| BucketName::parse(name).unwrap());
        ReadScope { only_bucket, ..ReadScope::of(LakeId::new(uuid::Uuid::from_u128(lake)), ReadAt::Head) }
    }

    fn key(scope: &ReadScope, snapshot: i64, sql: &str, parameters: &Parameters, form: &str) -> Key {
        Key::new(scope, SnapshotId::new(snapshot).unwrap(), sql, parameters, "main", form)
    }

    #[test]
    fn whatever_a_result_depends_on_is_in_its_key() {
        let none = Parameters::None;
        let named = Parameters::Named(vec![("a".to_owned(), 1.into())]);
        let keys = [
            key(&scope(1, None), 1, "SELECT 1", &none, "json"),
            key(&scope(2, None), 1, "SELECT 1", &none, "json"),
            key(&scope(1, Some("a")), 1, "SELECT 1", &none, "json"),
            key(&scope(1, None), 2, "SELECT 1", &none, "json"),
            key(&scope(1, None), 1, "SELECT 2", &none, "json"),
            key(&scope(1, None), 1, "SELECT 1", &named, "json"),
            key(&scope(1, None), 1, "SELECT 1", &Parameters::Positional(vec![1.into()]), "json"),
            key(&scope(1, None), 1, "SELECT 1", &none, "csv"),
        ];
        let linked = |source: Option<(u128, i64)>| {
            let bucket = BucketName::parse("sales").unwrap();
            let source = source.map(|(lake, at)| LinkedSource {
                lake: LakeId::new(uuid::Uuid::from_u128(lake)),
                bucket: bucket.clone(),
                at: SnapshotId::new(at).unwrap(),
                pinned: false,
            });
            let scope = ReadScope { links: vec![Linked { name: bucket.clone(), source }], ..scope(1, None) };
            key(&scope, 1, "SELECT 1", &none, "json")
        };
        let keys: Vec<Key> =
            keys.into_iter().chain([None, Some((2, 1)), Some((2, 2)), Some((3, 1))].map(linked)).collect();
        for (place, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(place + 1).all(|other| other != one && other.etag() != one.etag()), "{place}");
        }
        assert_eq!(keys[0], key(&scope(1, None), 1, "SELECT 1", &none, "json"));
    }

    #[tokio::test]
    async fn small_whole_results_are_kept_and_no_others() {
        let cache = Arc::new(ResultCache::new(1 << 20));
        let about = About { snapshot: SnapshotId::new(3).unwrap(), ..About::default() };
        let (small, large, broken) = (Key([1; 32]), Key([2; 32]), Key([3; 32]));
        let read = async |body: Body| body.into_vec().await;
        assert_eq!(read(cache.keep(small, about.clone(), Body::from("rows"))).await.unwrap(), b"rows");
        assert_eq!(cache.get(&small).unwrap().body, "rows");
        read(cache.keep(large, about.clone(), Body::from(vec![0; MAX_ENTRY + 1]))).await.unwrap();
        assert!(cache.get(&large).is_none());
        let halves = [Ok(Bytes::from("half")), Err(std::io::Error::other("gone"))];
        let body = Body::from_bytes_stream(futures_util::stream::iter(halves));
        assert!(read(cache.keep(broken, about.clone(), body)).await.is_err());
        assert!(cache.get(&broken).is_none());
        assert!(ResultCache::new(0).get(&small).is_none());
    }
}
