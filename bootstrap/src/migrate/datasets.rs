//! Datasets: each object is read, put, and read back.

use anyhow::Context as _;
use futures_util::StreamExt as _;
use gadwall_domain::dataset::{DatasetName, ObjectInfo};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{MAX_OBJECTS_LISTED, ObjectError, ObjectQuery, ObjectStorage, PutOptions};
use gadwall_domain::project::Project;
use sha2::{Digest as _, Sha256};

use super::Stopped;
use super::progress::{Done, Progress};

/// Copies a project's datasets. An object that is there with the same bytes and type isn't sent again.
pub(super) async fn copy_datasets(
    from: &dyn ObjectStorage,
    to: &dyn ObjectStorage,
    project: &Project,
) -> anyhow::Result<Done> {
    let mut progress = Progress::uncounted(&project.id, "objects in datasets");
    for dataset in from.datasets(project.lake).await? {
        match to.create_dataset(project.lake, &dataset).await {
            Ok(()) | Err(ObjectError::DatasetExists) => {}
            Err(error) => return Err(error.into()),
        }
        let mut query = ObjectQuery { limit: MAX_OBJECTS_LISTED, ..ObjectQuery::default() };
        loop {
            let page = from.list(project.lake, &dataset, &query).await?;
            for object in &page {
                let there = copy_object(from, to, project.lake, &dataset, object).await;
                progress.one(object.size, there.with_context(|| format!("dataset {dataset}, object {}", object.name))?);
            }
            match page.last() {
                Some(last) => query.after = Some(last.name.clone()),
                None => break,
            }
        }
    }
    Ok(progress.end())
}

/// Whether it was there before.
async fn copy_object(
    from: &dyn ObjectStorage,
    to: &dyn ObjectStorage,
    lake: LakeId,
    dataset: &DatasetName,
    object: &ObjectInfo,
) -> anyhow::Result<bool> {
    let wanted = sum(from, lake, dataset, object).await?;
    if is_there(to, lake, dataset, object, &wanted).await? {
        return Ok(true);
    }
    let content = from.get(lake, dataset, &object.name).await?.read(0..object.size).await?;
    let options = PutOptions { content_type: Some(object.content_type.clone()), ..PutOptions::default() };
    to.put(lake, dataset, &object.name, content, options).await?;
    if !is_there(to, lake, dataset, object, &wanted).await? {
        return Err(Stopped::Differs("an object in the bucket is not the one that was sent".to_owned()).into());
    }
    Ok(false)
}

async fn is_there(
    storage: &dyn ObjectStorage,
    lake: LakeId,
    dataset: &DatasetName,
    object: &ObjectInfo,
    wanted: &[u8],
) -> anyhow::Result<bool> {
    match storage.head(lake, dataset, &object.name).await {
        Ok(found) if found.size == object.size && found.content_type == object.content_type => {}
        Ok(_) | Err(ObjectError::NoObject) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    Ok(sum(storage, lake, dataset, object).await? == wanted)
}

async fn sum(
    storage: &dyn ObjectStorage,
    lake: LakeId,
    dataset: &DatasetName,
    object: &ObjectInfo,
) -> anyhow::Result<Vec<u8>> {
    let mut content = storage.get(lake, dataset, &object.name).await?.read(0..object.size).await?;
    let mut hash = Sha256::new();
    while let Some(part) = content.next().await {
        hash.update(&part?);
    }
    Ok(hash.finalize().to_vec())
}
