//! Which files patterns mean. They are matched here, against the names in the project's own datasets: the engine is
//! never given a pattern.

use std::collections::HashSet;

use gadwall_domain::dataset::{DatasetName, ObjectInfo, ObjectName};
use gadwall_domain::ports::lake::EngineFile;
use gadwall_domain::ports::objects::{MAX_OBJECTS_LISTED, ObjectError, ObjectQuery, ObjectStorage};
use gadwall_domain::project::Project;
use gadwall_domain::transfer::FilePattern;

use super::FilesError;
use crate::datasets::{about_dataset, about_object};
use crate::error::UseCaseError;

/// Most files of one operation.
pub(super) const MAX_FILES: usize = 10_000;
/// Most objects that are looked at for one pattern.
pub(super) const MAX_LOOKED_AT: usize = 200_000;

/// A file that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: ObjectName,
    pub(super) size: u64,
    pub(super) file: EngineFile,
}

/// The files that the patterns mean: in the patterns' order, by name within each, each once.
pub(super) async fn find(
    objects: &dyn ObjectStorage,
    project: &Project,
    patterns: &[FilePattern],
) -> Result<Vec<Found>, UseCaseError> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for pattern in patterns {
        let dataset = pattern.dataset();
        let about = || about_dataset(&project.id, dataset);
        let folder = objects.engine_location(project.lake, dataset).await.map_err(about())?;
        for object in matching(objects, project, pattern).await? {
            if seen.insert((dataset.clone(), object.name.clone())) {
                found.push(located(dataset, object, &folder));
            }
            if found.len() > MAX_FILES {
                return Err(FilesError::TooMany.into());
            }
        }
    }
    Ok(found)
}

fn located(dataset: &DatasetName, object: ObjectInfo, folder: &str) -> Found {
    let file =
        EngineFile { location: format!("{folder}/{}", object.name), name: format!("/{dataset}/{}", object.name) };
    Found { name: object.name, size: object.size, file }
}

async fn matching(
    objects: &dyn ObjectStorage,
    project: &Project,
    pattern: &FilePattern,
) -> Result<Vec<ObjectInfo>, UseCaseError> {
    let dataset = pattern.dataset();
    // A name with stars in it means itself first.
    match objects.head(project.lake, dataset, pattern.name()).await {
        Ok(object) => return Ok(vec![object]),
        Err(ObjectError::NoObject) if pattern.literal().is_none() => {}
        Err(error) => return Err(about_object(&project.id, dataset, pattern.name())(error).into()),
    }
    let mut matching = Vec::new();
    let (mut after, mut looked_at) = (None, 0);
    loop {
        let query = ObjectQuery { prefix: pattern.prefix().to_owned(), after, limit: MAX_OBJECTS_LISTED };
        let page = objects.list(project.lake, dataset, &query).await.map_err(about_dataset(&project.id, dataset))?;
        looked_at += page.len();
        after = page.last().map(|last| last.name.clone());
        let more = page.len() >= MAX_OBJECTS_LISTED as usize;
        matching.extend(page.into_iter().filter(|object| pattern.matches(&object.name)));
        if matching.len() > MAX_FILES {
            return Err(FilesError::TooMany.into());
        }
        if !more {
            break;
        }
        if looked_at >= MAX_LOOKED_AT {
            return Err(FilesError::TooBroad.into());
        }
    }
    if matching.is_empty() {
        return Err(FilesError::NoFiles { pattern: pattern.to_string() }.into());
    }
    Ok(matching)
}
