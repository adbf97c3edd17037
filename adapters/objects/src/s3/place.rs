//! What changes the bucket: datasets made and removed, objects put in place and deleted.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::dataset::{DatasetName, ObjectName, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{ObjectError, Stored};
use gadwall_domain::ports::turns::{Turn, Turns as _};
use object_store::path::Path;
use object_store::{PutMode, PutOptions};

use super::Inner;
use super::error::failed;
use super::keys::key;
use super::store::{Found, to_the_end};
use super::upload::Received;
use super::version::Version;
use crate::error::fault;

/// Folders that are looked at at once.
const LOOKS: usize = 16;

/// A turn. That among servers is given back first, so that who waits here finds it free.
struct Taken {
    everywhere: Option<Box<dyn Turn>>,
    _here: Box<dyn Turn>,
}

impl Taken {
    /// Whether it lasts. Looked at before what knows no condition of the server's.
    async fn still(&mut self) -> Result<(), ObjectError> {
        match &mut self.everywhere {
            Some(turn) => Ok(turn.still().await?),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// A turn at changing a dataset: first among those of this process, then among servers. What is done in it is done
    /// to its end, so that none of it comes in the next.
    async fn turn(&self, lake: LakeId, dataset: &DatasetName) -> Result<Taken, ObjectError> {
        let here = self.turns.take(lake, dataset).await?;
        let everywhere = match &self.shared {
            Some(shared) => Some(shared.take(lake, dataset).await?),
            None => None,
        };
        Ok(Taken { everywhere, _here: here })
    }

    pub(super) async fn create_dataset(
        self: &Arc<Self>,
        lake: LakeId,
        dataset: &DatasetName,
    ) -> Result<(), ObjectError> {
        let (inner, dataset) = (Arc::clone(self), dataset.clone());
        let work = async move {
            let mut turn = inner.turn(lake, &dataset).await?;
            if inner.has(lake, &dataset).await? {
                return Err(ObjectError::DatasetExists);
            }
            let marker = inner.store.keys.marker(lake, &dataset)?;
            let options = PutOptions { mode: inner.store.as_found(Found::Absent), ..PutOptions::default() };
            turn.still().await?;
            match inner.store.objects.put_opts(&marker, Vec::new().into(), options).await {
                Ok(_) => Ok(()),
                Err(object_store::Error::AlreadyExists { .. }) => Err(ObjectError::DatasetExists),
                Err(error) => Err(failed(&error)),
            }
        };
        to_the_end(work, fault).await
    }

    pub(super) async fn delete_dataset(
        self: &Arc<Self>,
        lake: LakeId,
        dataset: &DatasetName,
    ) -> Result<(), ObjectError> {
        let (inner, dataset) = (Arc::clone(self), dataset.clone());
        let work = async move {
            let mut turn = inner.turn(lake, &dataset).await?;
            inner.require(lake, &dataset).await?;
            let home = inner.store.keys.home(lake, &dataset);
            if inner.store.any(&home).await.map_err(|error| failed(&error))? {
                return Err(ObjectError::DatasetNotEmpty);
            }
            let marker = inner.store.keys.marker(lake, &dataset)?;
            turn.still().await?;
            inner.store.delete(&marker).await.map_err(|error| failed(&error))
        };
        to_the_end(work, fault).await
    }

    /// Makes a dataset be no more, whatever it holds: from then on nothing is put there.
    pub(super) async fn unmark(self: &Arc<Self>, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let (inner, dataset) = (Arc::clone(self), dataset.clone());
        let work = async move {
            let mut turn = inner.turn(lake, &dataset).await?;
            let marker = inner.store.keys.marker(lake, &dataset)?;
            turn.still().await?;
            inner.store.delete(&marker).await.map_err(|error| failed(&error))
        };
        to_the_end(work, fault).await
    }

    /// Puts bytes under an object's key, if that may be.
    pub(super) async fn place(
        self: &Arc<Self>,
        lake: LakeId,
        dataset: &DatasetName,
        name: &ObjectName,
        received: Received,
        version: Version,
        precondition: Precondition,
    ) -> Result<Stored, ObjectError> {
        let (inner, dataset, name) = (Arc::clone(self), dataset.clone(), name.clone());
        let work = async move {
            let key = inner.store.keys.object(lake, &dataset, &name)?;
            let mut turn = inner.turn(lake, &dataset).await?;
            inner.require(lake, &dataset).await?;
            let (before, found) = inner.find(&key, &name).await?;
            if !precondition.holds(before.as_ref().map(|info| &info.etag)) {
                return Err(ObjectError::PreconditionFailed);
            }
            // What was looked at must be so still when the bytes take its place: another server may be at it.
            let mode =
                if precondition == Precondition::default() { PutMode::Overwrite } else { inner.store.as_found(found) };
            if before.is_none() && inner.clashes(&inner.store.keys.home(lake, &dataset), &key, &name).await? {
                return Err(ObjectError::NameClash);
            }
            let size = received.size();
            turn.still().await?;
            let placed = received.place(&inner.store, &key, version.attributes(), mode).await;
            inner.seen.remove(key.as_ref());
            if let Err(ObjectError::PreconditionFailed) = &placed
                && inner.current(&key, &name).await?.is_none_or(|now| now.etag != version.etag)
            {
                return Err(ObjectError::PreconditionFailed);
            }
            // An answer that got lost is asked for again: then it is our own version that is in the way.
            if !matches!(placed, Err(ObjectError::PreconditionFailed)) {
                placed?;
            }
            Ok(Stored { info: version.info(name, size), replaced: before.is_some() })
        };
        to_the_end(work, fault).await
    }

    /// Whether an object is where this one needs a folder, or a folder is where this one goes. The server wouldn't mind;
    /// but then names would be legal here that local files can't have.
    async fn clashes(&self, home: &str, at: &Path, name: &ObjectName) -> Result<bool, ObjectError> {
        let told = |error: object_store::Error| failed(&error);
        if self.store.any(&format!("{at}/")).await.map_err(told)? {
            return Ok(true);
        }
        let above = name.as_str().match_indices('/').map(|(end, _)| format!("{home}{}", &name.as_str()[..end]));
        let above: Vec<String> = above.collect();
        let looks = futures_util::stream::iter(above).map(|above| async move {
            let found = self.store.head(&key(&above)?).await.map_err(told)?;
            Ok(found.is_some())
        });
        looks.buffer_unordered(LOOKS).try_any(std::future::ready).await
    }

    pub(super) async fn delete(
        self: &Arc<Self>,
        lake: LakeId,
        dataset: &DatasetName,
        name: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        let (inner, dataset, name) = (Arc::clone(self), dataset.clone(), name.clone());
        let precondition = precondition.clone();
        let work = async move {
            let key = inner.store.keys.object(lake, &dataset, &name)?;
            let mut turn = inner.turn(lake, &dataset).await?;
            inner.require(lake, &dataset).await?;
            let current = inner.current(&key, &name).await?;
            if !precondition.holds(current.as_ref().map(|info| &info.etag)) {
                return Err(ObjectError::PreconditionFailed);
            }
            if current.is_some() {
                turn.still().await?;
                inner.store.delete(&key).await.map_err(|error| failed(&error))?;
                inner.seen.remove(key.as_ref());
            }
            Ok(())
        };
        to_the_end(work, fault).await
    }
}
