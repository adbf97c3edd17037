//! What the configuration comes to, as use cases and adapters take it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use gadwall_application::access::{AdminPolicy, digest};
use gadwall_application::analytics::EngineLimits;
use gadwall_application::queries::{QuerySettings, ResultSettings};
use gadwall_application::tokens::Tokens;
use gadwall_domain::access::KeyDigest;
use gadwall_domain::ports::system::{Clock, IdGenerator as _};
use gadwall_domain::quota::{Quota, QuotaKind};
use gadwall_ducklake::{DataPlace, LakeConfig, S3Place, find_extension_dir};
use gadwall_oidc::OidcVerifier;

use crate::config::{CatalogKind, Config, Environment, total_memory};
use crate::folders::LocalFolders;
use crate::issuers;
use crate::system::{SystemClock, SystemIds};

pub(crate) fn query_settings(config: &Config) -> anyhow::Result<QuerySettings> {
    Ok(QuerySettings {
        max_concurrent: config.query.max_concurrent,
        max_concurrent_per_project: config.query.max_concurrent_per_project,
        max_queued: config.query.max_queued,
        queue_timeout: config.query.queue_timeout,
        history_limit: config.query.history_limit,
        history_retention: TimeDelta::from_std(config.query.history_retention)?,
    })
}

/// The limits of projects of which nothing else is said.
pub(crate) fn default_quota(config: &Config) -> anyhow::Result<Quota> {
    let quota = &config.quota;
    let given = [
        (QuotaKind::TableBytes, quota.table_bytes),
        (QuotaKind::DatasetBytes, quota.dataset_bytes),
        (QuotaKind::Tables, quota.tables.into()),
        (QuotaKind::Buckets, quota.buckets.into()),
        (QuotaKind::QueriesPerMinute, quota.queries_per_minute.into()),
        (QuotaKind::ConcurrentQueries, quota.concurrent_queries.into()),
        (QuotaKind::RowsPerAppend, quota.rows_per_append),
    ];
    let with = |all: Quota, (kind, limit): (QuotaKind, u64)| all.with(kind, limit.into());
    Ok(given.into_iter().try_fold(Quota::default(), with)?)
}

pub(crate) fn result_settings(config: &Config) -> anyhow::Result<ResultSettings> {
    let retention = TimeDelta::from_std(config.query.result_retention)?;
    Ok(ResultSettings { retention, limit: config.query.result_limit })
}

pub(crate) fn data_dir(config: &Config) -> anyhow::Result<PathBuf> {
    // The engine's sandbox compares paths as text, so they must not depend on the working directory or on links.
    std::fs::create_dir_all(&config.data_dir).and_then(|()| config.data_dir.canonicalize()).with_context(|| {
        format!(
            "the data directory {} can't be used; set data_dir (DATA_DIR) to one that can be written",
            config.data_dir.display()
        )
    })
}

pub(crate) fn lake_config(
    config: &Config,
    folders: &LocalFolders,
    bucket: Option<S3Place>,
) -> anyhow::Result<LakeConfig> {
    /// Engines that are at work at the same time share the memory; others hold next to none.
    const AT_WORK: usize = 4;
    let engine = &config.engine;
    let sharing = match config.ducklake.catalog {
        CatalogKind::Files => 1,
        CatalogKind::Postgres => config.ducklake.max_open.min(AT_WORK),
    };
    let memory = config.effective_memory_limit(total_memory()) / sharing as u64;
    Ok(LakeConfig {
        files_dir: Some(bucket.as_ref().map_or_else(|| folders.files(), S3Place::root)),
        data: bucket.map_or(DataPlace::Local, DataPlace::S3),
        lakes_dir: folders.lakes(),
        staging_dir: folders.staging(),
        spill_dir: folders.spill(),
        extension_dir: find_extension_dir(engine.extension_dir.as_deref())?,
        memory_limit: memory,
        spill_limit: engine.spill_limit,
        threads: engine.threads,
        max_queries: engine.max_queries,
        max_waiting: engine.max_waiting_queries,
        queue_timeout: engine.queue_timeout,
        max_attached: engine.max_attached_lakes,
        writer_queue: engine.writer_queue,
        inlining_row_limit: config.ducklake.data_inlining_row_limit,
        encrypted: config.ducklake.encrypted,
        profiling: config.query.profiling,
    })
}

pub(crate) fn engine_limits(config: &Config) -> EngineLimits {
    EngineLimits {
        memory: config.effective_memory_limit(total_memory()),
        threads: config.engine.threads,
        queries: config.engine.max_queries,
    }
}

/// Tokens of the identity providers; none where there are none. Their keys begin to be fetched.
pub(crate) fn tokens(config: &Config) -> anyhow::Result<Option<Tokens>> {
    let issuers = &config.auth.oidc;
    if issuers.is_empty() {
        return Ok(None);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rules = issuers.iter().map(|issuer| Ok((issuer.issuer.clone(), issuers::rules(issuer)?)));
    let rules = rules.collect::<anyhow::Result<Vec<_>>>()?;
    let verifier = OidcVerifier::new(issuers.iter().map(issuers::adapter).collect(), Arc::clone(&clock))?;
    verifier.warm_up();
    Ok(Some(Tokens::new(Arc::new(verifier), rules, clock)))
}

/// The digests of the keys that are configured.
pub(crate) fn admin_keys(config: &Config) -> Vec<KeyDigest> {
    config.auth.admin_keys.iter().map(|key| digest(key.expose())).collect()
}

/// Who is an admin; and the key that had to be made because none is configured.
pub(crate) fn admin_policy(config: &Config) -> anyhow::Result<(AdminPolicy, Option<String>)> {
    if !config.auth.enabled {
        return Ok((AdminPolicy::Everyone, None));
    }
    let keys = admin_keys(config);
    if !keys.is_empty() {
        return Ok((AdminPolicy::Keys(keys), None));
    }
    anyhow::ensure!(
        config.environment != Environment::Production,
        "no admin key is configured; set ADMIN_API_KEY (production starts only with one)"
    );
    let key = format!("admin_{}", hex::encode(SystemIds.secret()));
    Ok((AdminPolicy::Keys(vec![digest(&key)]), Some(key)))
}
