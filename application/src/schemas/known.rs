//! What is known of the server's schemas without asking it: in memory, so many and so much of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ontology::{OntologySchema, SchemaId, SchemaVersion};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Failure;

/// Most schemas in memory.
const MAX_SCHEMAS: usize = 256;
/// Most bytes that their documents had.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most failures that are remembered.
const MAX_FAILURES: usize = 1_000;
/// So long nobody waits for a server that just failed.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// Characters of a digest that stand for a version.
const SHORT: usize = 12;

/// A schema that the server had.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) schema: Arc<OntologySchema>,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) tag: Option<String>,
    pub(super) seen_at: DateTime<Utc>,
    /// Bytes of its document.
    pub(super) size: usize,
}

/// What tells documents apart.
pub(super) fn digest(document: &Value) -> String {
    hex::encode(Sha256::digest(document.to_string().as_bytes()))
}

impl Known {
    /// Reads a document that the server has now.
    pub(super) fn read(
        id: &SchemaId,
        document: Value,
        tag: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(Self, SchemaVersion), Failure> {
        let schema = OntologySchema::parse(id, &document).map_err(Failure::Invalid)?;
        let digest = digest(&document);
        let version = schema.version.clone().unwrap_or_else(|| digest[..SHORT].to_owned());
        let size = document.to_string().len();
        let known = Self {
            schema: Arc::new(schema),
            version: version.clone(),
            digest: digest.clone(),
            tag: tag.clone(),
            seen_at: now,
            size,
        };
        Ok((known, SchemaVersion { id: id.clone(), version, digest, document, tag, first_seen: now, last_seen: now }))
    }

    /// Reads what was kept; none if it can't be read any more.
    pub(super) fn kept(kept: SchemaVersion) -> Option<Self> {
        let (known, _) = Self::read(&kept.id, kept.document, kept.tag, kept.last_seen).ok()?;
        Some(known)
    }
}

/// Schemas and failures by id.
#[derive(Debug, Default)]
pub(super) struct Memory {
    schemas: BTreeMap<SchemaId, Arc<Known>>,
    failures: BTreeMap<SchemaId, (DateTime<Utc>, Failure)>,
}

impl Memory {
    pub(super) fn get(&self, id: &SchemaId) -> Option<Arc<Known>> {
        self.schemas.get(id).cloned()
    }

    /// Keeps a schema; those that were seen longest ago make room.
    pub(super) fn put(&mut self, id: &SchemaId, known: Arc<Known>) {
        self.failures.remove(id);
        self.schemas.insert(id.clone(), known);
        while self.schemas.len() > MAX_SCHEMAS || self.bytes() > MAX_BYTES {
            let oldest = self.schemas.iter().filter(|(other, _)| *other != id).min_by_key(|(_, known)| known.seen_at);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.schemas.remove(&oldest);
        }
    }

    fn bytes(&self) -> usize {
        self.schemas.values().map(|known| known.size).sum()
    }

    /// Remembers for a moment that the server gave no schema.
    pub(super) fn fail(&mut self, id: &SchemaId, failure: Failure, now: DateTime<Utc>) {
        self.failures.retain(|_, (at, _)| now - *at < PAUSE);
        if self.failures.len() < MAX_FAILURES {
            self.failures.insert(id.clone(), (now, failure));
        }
    }

    /// Why the server gave no schema a moment ago.
    pub(super) fn failed_lately(&self, id: &SchemaId, now: DateTime<Utc>) -> Option<Failure> {
        let (at, failure) = self.failures.get(id)?;
        (now - *at < PAUSE).then(|| failure.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::builders::seconds_past_noon;

    fn known(id: &SchemaId, text: &str, seen: i64) -> Arc<Known> {
        let document = json!({ "description": text, "columns": [{ "name": "a", "type": "INT" }] });
        Arc::new(Known::read(id, document, None, seconds_past_noon(seen)).unwrap().0)
    }

    #[test]
    fn what_was_seen_longest_ago_makes_room() {
        let id = |number: usize| SchemaId::parse(&format!("s{number}")).unwrap();
        let mut memory = Memory::default();
        for number in 0..=MAX_SCHEMAS {
            memory.put(&id(number), known(&id(number), "", i64::try_from(number).unwrap()));
        }
        assert_eq!(memory.schemas.len(), MAX_SCHEMAS);
        assert!(memory.get(&id(0)).is_none() && memory.get(&id(1)).is_some());
        let large = "x".repeat(9_000);
        let huge = Arc::new(Known { size: MAX_BYTES, ..(*known(&id(0), &large, 0)).clone() });
        memory.put(&id(0), huge);
        assert_eq!(memory.schemas.len(), 1, "even if it was seen before all others, the last one is kept");
    }

    #[test]
    fn failures_are_remembered_for_a_moment_and_so_many() {
        let mut memory = Memory::default();
        let id = |number: usize| SchemaId::parse(&format!("s{number}")).unwrap();
        for number in 0..MAX_FAILURES + 10 {
            memory.fail(&id(number), Failure::NotFound, seconds_past_noon(0));
        }
        assert_eq!(memory.failures.len(), MAX_FAILURES);
        assert_eq!(memory.failed_lately(&id(1), seconds_past_noon(9)), Some(Failure::NotFound));
        assert_eq!(memory.failed_lately(&id(1), seconds_past_noon(10)), None);
        memory.fail(&id(1), Failure::NotFound, seconds_past_noon(11));
        assert_eq!(memory.failures.len(), 1);
        memory.put(&id(1), known(&id(1), "", 12));
        assert_eq!(memory.failed_lately(&id(1), seconds_past_noon(12)), None);
    }
}
