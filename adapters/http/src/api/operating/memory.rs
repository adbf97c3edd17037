//! `/metrics/memory` and `/metrics/gc`.

use std::collections::BTreeMap;
use std::sync::Arc;

use gadwall_application::operating::{MemoryStats, Operating};
use gadwall_domain::ports::operating::{MachineFigures, ProcessFigures};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::{megabytes, percent, round};
use crate::api::Area;
use crate::api::models::JsonObject;
use crate::auth::Auth;
use crate::cache::ResultCache;
use crate::problem::ApiResult;

pub(crate) struct MemoryApi {
    pub(crate) operating: Arc<Operating>,
    pub(crate) cache: Arc<ResultCache>,
}

/// Memory now, in the last hour, and by what it is for.
#[derive(Debug, Object)]
struct MemoryMetrics {
    current: CurrentMemory,
    /// The last hour, sampled every five seconds: `min_rss_mb`, `max_rss_mb`, `avg_rss_mb` and `growth_rate_mb_per_sec`;
    /// nothing where that is switched off.
    stats: JsonObject,
    /// MB by what they are for. Not all of it is told apart, and parts of the engines' may be on disk.
    components: BTreeMap<String, f64>,
}

#[derive(Debug, Object)]
struct CurrentMemory {
    /// Resident memory of the process.
    rss_mb: f64,
    /// Its address space.
    vms_mb: f64,
    /// Its share of the machine's memory, or of what the container may use.
    percent: f64,
    /// What can still be had.
    available_mb: f64,
    thread_count: u64,
    /// Connections are among them.
    open_files: u64,
    /// Results that are kept and could be let go.
    gc_objects: u64,
}

impl CurrentMemory {
    fn of(process: &ProcessFigures, machine: &MachineFigures, kept: u64) -> Self {
        Self {
            rss_mb: megabytes(process.resident),
            vms_mb: megabytes(process.address_space),
            percent: percent(process.resident, machine.memory_total),
            available_mb: megabytes(machine.memory_available),
            thread_count: process.threads,
            open_files: process.open_files,
            gc_objects: kept,
        }
    }
}

fn stats(stats: &MemoryStats) -> serde_json::Map<String, serde_json::Value> {
    let per_second = (stats.growth / 1_048_576.0 * 1e6).round() / 1e6;
    let entries = [
        ("min_rss_mb", megabytes(stats.min)),
        ("max_rss_mb", megabytes(stats.max)),
        ("avg_rss_mb", round(stats.average / 1_048_576.0)),
        ("growth_rate_mb_per_sec", per_second),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What was given back.
#[derive(Debug, Object)]
struct Collected {
    /// `0`: results of queries that were kept. `1` and `2` are 0: older services had generations, and here are none.
    #[oai(rename = "collected_objects")]
    dropped: BTreeMap<String, u64>,
    memory_after_gc: CurrentMemory,
    /// Resident memory before, in MB.
    rss_mb_before: f64,
    /// Whether the allocator could be asked to give back what it holds for later.
    allocator_trimmed: bool,
}

#[OpenApi(tag = "Area::Operating")]
impl MemoryApi {
    /// How memory is used
    ///
    /// Now, in the last hour, and by what it is for. Admin only.
    #[oai(path = "/metrics/memory", method = "get", operation_id = "get_memory_metrics")]
    async fn memory(&self, auth: Auth) -> ApiResult<Json<MemoryMetrics>> {
        let memory = self.operating.memory(auth.caller()).await?;
        let cache = self.cache.figures();
        let engines = memory.engines.memory.iter().filter(|(_, bytes)| *bytes > 0);
        let mut components: BTreeMap<String, f64> =
            engines.map(|(tag, bytes)| (format!("engine_{tag}"), megabytes(*bytes))).collect();
        components.insert("engine".to_owned(), megabytes(memory.engines.memory_bytes()));
        components.insert("engine_spilled".to_owned(), megabytes(memory.engines.spilled));
        components.insert("result_cache".to_owned(), megabytes(cache.bytes));
        Ok(Json(MemoryMetrics {
            current: CurrentMemory::of(&memory.process, &memory.machine, cache.entries),
            stats: poem_openapi::types::Any(memory.stats.as_ref().map(stats).unwrap_or_default()),
            components,
        }))
    }

    /// Give memory back
    ///
    /// Lets kept results of queries go and has the allocator give back what it holds for later. Nothing breaks by it; the
    /// numbers are what was measured, and may well be the same as before. The engines keep their buffers: opening them
    /// anew (`POST /config/ducklake/reconnect`) frees these. Admin only.
    #[oai(path = "/metrics/gc", method = "post", operation_id = "collect_garbage")]
    async fn collect(&self, auth: Auth) -> ApiResult<Json<Collected>> {
        auth.caller().require_admin()?;
        let dropped = self.cache.clear();
        let released = self.operating.release(auth.caller(), dropped).await?;
        let generations = [dropped as u64, 0, 0].into_iter().enumerate();
        Ok(Json(Collected {
            dropped: generations.map(|(number, count)| (number.to_string(), count)).collect(),
            memory_after_gc: CurrentMemory::of(&released.process, &released.machine, self.cache.figures().entries),
            rss_mb_before: megabytes(released.before),
            allocator_trimmed: released.asked,
        }))
    }
}
