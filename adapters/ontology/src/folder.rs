//! Schemas in a folder: a file for each, or for each of its versions.
//!
//! `ID.json` is a schema; where there is none, the highest of `ID@VERSION.json` is. Numbers in versions are compared as numbers. A
//! document that doesn't state its version has the one of its file's name.

use std::cmp::Ordering;
use std::path::PathBuf;

use async_trait::async_trait;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, MAX_DOCUMENT, RegistryError, SchemaRegistry};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

/// Most files that are looked at.
const MAX_FILES: usize = 10_000;
const EXTENSION: &str = ".json";

/// Schemas in a folder.
#[derive(Debug)]
pub struct FolderRegistry {
    folder: PathBuf,
}

impl FolderRegistry {
    /// Those in this folder, as they are when they are asked for.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file that holds a schema now, and the version in its name.
    async fn file(&self, id: &SchemaId) -> std::io::Result<Option<(PathBuf, Option<String>)>> {
        let plain = self.folder.join(format!("{id}{EXTENSION}"));
        if tokio::fs::try_exists(&plain).await? {
            return Ok(Some((plain, None)));
        }
        let mut entries = tokio::fs::read_dir(&self.folder).await?;
        let (mut highest, mut seen): (Option<String>, usize) = (None, 0);
        while let Some(entry) = entries.next_entry().await? {
            seen += 1;
            if seen > MAX_FILES {
                return Err(std::io::Error::other("the folder has too many files"));
            }
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| {
                let (of, version) = name.strip_suffix(EXTENSION)?.split_once('@')?;
                (of == id.as_str() && !version.is_empty()).then(|| version.to_owned())
            });
            if let Some(version) = version
                && highest.as_ref().is_none_or(|known| compare(known, &version) == Ordering::Less)
            {
                highest = Some(version);
            }
        }
        Ok(highest.map(|version| (self.folder.join(format!("{id}@{version}{EXTENSION}")), Some(version))))
    }
}

#[async_trait]
impl SchemaRegistry for FolderRegistry {
    async fn fetch(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError> {
        let (path, version) = self.file(id).await.map_err(unavailable)?.ok_or(RegistryError::NotFound)?;
        let mut text = Vec::new();
        let file = tokio::fs::File::open(path).await.map_err(unavailable)?;
        file.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut text).await.map_err(unavailable)?;
        if text.len() > MAX_DOCUMENT {
            return Err(RegistryError::Unusable(format!("it is larger than {MAX_DOCUMENT} bytes")));
        }
        let mut digest = Sha256::new();
        digest.update(&text);
        digest.update(version.as_deref().unwrap_or_default());
        let tag = format!("\"{}\"", hex::encode(&digest.finalize()[..16]));
        if known == Some(tag.as_str()) {
            return Ok(Fetched::Unchanged);
        }
        let mut body: Value = serde_json::from_slice(&text)
            .map_err(|error| RegistryError::Unusable(format!("it is not JSON: {error}")))?;
        if let (Some(version), Some(object)) = (version, body.as_object_mut()) {
            object.entry("version").or_insert_with(|| version.into());
        }
        Ok(Fetched::Document { body, tag: Some(tag) })
    }

    async fn health(&self) -> Result<(), RegistryError> {
        tokio::fs::read_dir(&self.folder).await.map(drop).map_err(unavailable)
    }
}

fn unavailable(error: std::io::Error) -> RegistryError {
    RegistryError::Unavailable(Box::new(error))
}

/// Compares versions part by part: numbers as numbers, other parts as text.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.split(['.', '-', '_']), other.split(['.', '-', '_']));
    loop {
        let order = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                _ => one.cmp(other),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gadwall_application::testing::contract::registry::{Fed, Feed};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    struct Files(PathBuf);

    #[async_trait]
    impl Feed for Files {
        async fn publish(&self, id: &str, document: Option<Value>) {
            let path = self.0.join(format!("{id}.json"));
            match document {
                Some(document) => std::fs::write(path, document.to_string()).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
        }

        async fn fail(&self, fails: bool) {
            let (here, away) = (self.0.clone(), self.0.with_extension("away"));
            let (from, to) = if fails { (here, away) } else { (away, here) };
            std::fs::rename(from, to).unwrap();
        }
    }

    fn fresh() -> (Fed, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("schemas");
        std::fs::create_dir(&folder).unwrap();
        ((Arc::new(FolderRegistry::new(&folder)), Arc::new(Files(folder))), dir)
    }

    gadwall_application::registry_contract!(fresh());

    async fn version(registry: &FolderRegistry, id: &str) -> Value {
        match registry.fetch(&SchemaId::parse(id).unwrap(), None).await.unwrap() {
            Fetched::Document { body, .. } => body["version"].clone(),
            Fetched::Unchanged => panic!("nothing was known"),
        }
    }

    #[tokio::test]
    async fn the_highest_version_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let registry = FolderRegistry::new(dir.path());
        for name in ["a@2", "a@10", "a@9.9", "ab@11", "b@1"] {
            std::fs::write(dir.path().join(format!("{name}.json")), "{}").unwrap();
        }
        assert_eq!(version(&registry, "a").await, json!("10"));
        std::fs::write(dir.path().join("a@10.1.json"), r#"{"version":"mine"}"#).unwrap();
        assert_eq!(version(&registry, "a").await, json!("mine"));
        std::fs::write(dir.path().join("a.json"), r#"{"version":"plain"}"#).unwrap();
        assert_eq!(version(&registry, "a").await, json!("plain"));
        std::fs::write(dir.path().join("a.json"), vec![b' '; MAX_DOCUMENT + 1]).unwrap();
        let large = registry.fetch(&SchemaId::parse("a").unwrap(), None).await;
        assert!(matches!(large, Err(RegistryError::Unusable(_))), "{large:?}");
    }
}
