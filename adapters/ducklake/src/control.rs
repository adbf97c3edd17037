//! What the engines have, and opening them anew, for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duckdb::Connection;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::operating::{EngineControl, EngineFigures};

use crate::cloud::CloudLakes;
use crate::error::{fault, lake_error};
use crate::root::ReopenError;
use crate::store::EmbeddedLakes;

/// Figures must be there quickly or not at all.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// What there is of each kind of memory, and what was put aside of it.
const MEMORY: &str = "SELECT tag, memory_usage_bytes, temporary_storage_bytes FROM duckdb_memory()";

/// Bytes in memory and on disk, by what they are for.
type Memory = BTreeMap<String, (u64, u64)>;

fn memory(connection: &Connection) -> Result<Memory, duckdb::Error> {
    let mut look = connection.prepare(MEMORY)?;
    let bytes = |number: i64| u64::try_from(number).unwrap_or(0);
    let told = look.query_map([], |row| Ok((row.get(0)?, (bytes(row.get(1)?), bytes(row.get(2)?)))))?;
    told.collect()
}

/// Adds an engine's figures to those of others.
async fn add(figures: &mut EngineFigures, all: &mut Memory, lakes: &EmbeddedLakes) {
    let engine = &lakes.engine;
    figures.engines += 1;
    figures.connections += engine.at_work() as u64;
    figures.waiting +=
        [&engine.queries, &engine.staging, &engine.catalog].map(|lane| lane.waiting() as u64).iter().sum::<u64>();
    figures.queued_writes += lakes.writers.queued() as u64;
    figures.queue_limit = lakes.writers.limit() as u64;
    let look = engine.run(&engine.catalog, |connection| memory(connection).map_err(|error| lake_error(&error)));
    if let Ok(Ok(found)) = tokio::time::timeout(LOOK_TIMEOUT, look).await {
        for (tag, (held, spilled)) in found {
            let sums = all.entry(tag).or_default();
            sums.0 += held;
            sums.1 += spilled;
        }
    }
}

fn finish(mut figures: EngineFigures, all: Memory) -> EngineFigures {
    figures.spilled = all.values().map(|(_, spilled)| spilled).sum();
    figures.memory = all.into_iter().map(|(tag, (held, _))| (tag.to_lowercase(), held)).collect();
    figures
}

#[async_trait]
impl EngineControl for EmbeddedLakes {
    async fn figures(&self) -> EngineFigures {
        let (mut figures, mut all) = (EngineFigures::default(), Memory::new());
        add(&mut figures, &mut all, self).await;
        finish(figures, all)
    }

    async fn reopen(&self) -> Result<u64, LakeError> {
        let engine = Arc::clone(&self.engine);
        let done = tokio::task::spawn_blocking(move || engine.reopen()).await;
        match done.map_err(|panic| fault(format!("the engine could not be opened anew: {panic}")))? {
            Ok(()) => Ok(1),
            Err(ReopenError::Busy) => Err(LakeError::Busy),
            Err(ReopenError::Failed(error)) => Err(LakeError::Unavailable(Box::new(error))),
        }
    }
}

#[async_trait]
impl EngineControl for CloudLakes {
    async fn figures(&self) -> EngineFigures {
        let (mut figures, mut all) = (EngineFigures::default(), Memory::new());
        for lakes in self.engines() {
            add(&mut figures, &mut all, &lakes).await;
        }
        finish(figures, all)
    }

    /// Engines go on with what they are at, while others are opened in their place: these lakes may have several.
    async fn reopen(&self) -> Result<u64, LakeError> {
        self.ping().await?;
        let lakes = self.forget_all();
        for lake in &lakes {
            match self.of(*lake).await {
                // Its project was removed meanwhile.
                Ok(_) | Err(LakeError::NoLake) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lakes.len() as u64)
    }
}
