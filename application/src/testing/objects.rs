//! Datasets in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gadwall_domain::dataset::{ContentType, DatasetName, EntityTag, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{
    Content, MAX_OBJECTS_LISTED, ObjectError, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored,
};
use gadwall_domain::ports::system::Clock;

use super::FixedClock;

/// An object with its bytes.
#[derive(Debug, Clone)]
struct Version {
    info: ObjectInfo,
    bytes: Bytes,
}

type Objects = BTreeMap<ObjectName, Version>;

#[derive(Default)]
struct State {
    lakes: BTreeMap<LakeId, BTreeMap<DatasetName, Objects>>,
    puts: u64,
}

/// Datasets in memory.
pub struct MemoryObjects {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl fmt::Debug for MemoryObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryObjects")
    }
}

impl Default for MemoryObjects {
    fn default() -> Self {
        Self::new(Arc::new(FixedClock::default()))
    }
}

impl MemoryObjects {
    /// No datasets; objects get their times from this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        look: impl FnOnce(&mut Objects) -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        let mut state = self.lock();
        let objects = state.lakes.get_mut(&lake).and_then(|datasets| datasets.get_mut(dataset));
        look(objects.ok_or(ObjectError::NoDataset)?)
    }

    fn store(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        bytes: Bytes,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        let last_modified = self.clock.now();
        let number = {
            let mut state = self.lock();
            state.puts += 1;
            state.puts
        };
        self.look(lake, dataset, |objects| {
            if clashes(objects, object) {
                return Err(ObjectError::NameClash);
            }
            let current = objects.get(object).map(|version| &version.info.etag);
            if !options.precondition.holds(current) {
                return Err(ObjectError::PreconditionFailed);
            }
            let etag = EntityTag::parse(&format!("{number:x}")).ok_or_else(|| fault("a tag"))?;
            let content_type = options.content_type.unwrap_or_else(|| ContentType::guess(object));
            let size = bytes.len() as u64;
            let info = ObjectInfo { name: object.clone(), size, content_type, etag, last_modified };
            let replaced = objects.insert(object.clone(), Version { info: info.clone(), bytes }).is_some();
            Ok(Stored { info, replaced })
        })
    }
}

/// Whether an object is where this one needs a folder, or a folder is where this one goes.
fn clashes(objects: &Objects, object: &ObjectName) -> bool {
    let inside = |outer: &ObjectName, inner: &ObjectName| inner.as_str().starts_with(&format!("{}/", outer.as_str()));
    objects.keys().any(|known| inside(known, object) || inside(object, known))
}

fn fault(what: &'static str) -> ObjectError {
    ObjectError::Fault(what.into())
}

#[async_trait]
impl OpenObject for Version {
    fn info(&self) -> &ObjectInfo {
        &self.info
    }

    async fn read(self: Box<Self>, range: Range<u64>) -> Result<Content, ObjectError> {
        let end = |at: u64| usize::try_from(at).ok().filter(|at| *at <= self.bytes.len());
        let (Some(from), Some(to)) = (end(range.start), end(range.end)) else { return Err(fault("a range")) };
        let bytes = self.bytes.slice(from..to);
        Ok(Box::pin(futures_util::stream::iter([Ok(bytes)])))
    }
}

#[async_trait]
impl ObjectStorage for MemoryObjects {
    async fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let mut state = self.lock();
        let datasets = state.lakes.entry(lake).or_default();
        if datasets.contains_key(dataset) {
            return Err(ObjectError::DatasetExists);
        }
        datasets.insert(dataset.clone(), Objects::default());
        Ok(())
    }

    async fn datasets(&self, lake: LakeId) -> Result<Vec<DatasetName>, ObjectError> {
        Ok(self.lock().lakes.get(&lake).map(|datasets| datasets.keys().cloned().collect()).unwrap_or_default())
    }

    async fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let mut state = self.lock();
        let datasets = state.lakes.get_mut(&lake).ok_or(ObjectError::NoDataset)?;
        match datasets.get(dataset) {
            None => Err(ObjectError::NoDataset),
            Some(objects) if !objects.is_empty() => Err(ObjectError::DatasetNotEmpty),
            Some(_) => {
                datasets.remove(dataset);
                Ok(())
            }
        }
    }

    async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.look(lake, dataset, |objects| {
            let wanted = objects.values().map(|version| &version.info).filter(|info| {
                info.name.as_str().starts_with(&query.prefix)
                    && query.after.as_ref().is_none_or(|after| info.name > *after)
            });
            Ok(wanted.take(query.limit.min(MAX_OBJECTS_LISTED) as usize).cloned().collect())
        })
    }

    async fn put(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        self.look(lake, dataset, |_| Ok(()))?;
        let bytes: Vec<u8> = content
            .try_fold(Vec::new(), |mut all, chunk| {
                all.extend_from_slice(&chunk);
                std::future::ready(Ok(all))
            })
            .await?;
        self.store(lake, dataset, object, bytes.into(), options)
    }

    async fn head(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let find = |objects: &mut Objects| objects.get(object).map(|version| version.info.clone());
        self.look(lake, dataset, |objects| find(objects).ok_or(ObjectError::NoObject))
    }

    async fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, ObjectError> {
        let found = self.look(lake, dataset, |objects| objects.get(object).cloned().ok_or(ObjectError::NoObject))?;
        Ok(Box::new(found))
    }

    async fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        self.look(lake, dataset, |objects| {
            if !precondition.holds(objects.get(object).map(|version| &version.info.etag)) {
                return Err(ObjectError::PreconditionFailed);
            }
            objects.remove(object);
            Ok(())
        })
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError> {
        let removed = self.lock().lakes.remove(&lake).unwrap_or_default();
        Ok(removed.values().flat_map(BTreeMap::values).map(|version| version.info.size).sum())
    }

    async fn engine_location(&self, lake: LakeId, dataset: &DatasetName) -> Result<String, ObjectError> {
        self.look(lake, dataset, |_| Ok(format!("memory:/{lake}/{}", dataset.folded())))
    }

    async fn adopt(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        file: PathBuf,
        content_type: ContentType,
    ) -> Result<Stored, ObjectError> {
        let io = |error: std::io::Error| ObjectError::Fault(Box::new(error));
        let bytes = std::fs::read(&file).map_err(io)?;
        let options = PutOptions { content_type: Some(content_type), ..PutOptions::default() };
        let stored = self.store(lake, dataset, object, bytes.into(), options)?;
        std::fs::remove_file(&file).map_err(io)?;
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (Arc<dyn ObjectStorage>, ()) {
        (Arc::new(MemoryObjects::default()), ())
    }

    crate::objects_contract!(fresh());
}
