//! Opens a DuckDB instance: its limits, what it can reach, and its sandbox.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};
use gadwall_domain::ids::LakeId;

use crate::config::{DataPlace, LakeConfig, PostgresPlace, S3Place};
use crate::engine::OpenError;
use crate::error::message;
use crate::runtime::{DUCKLAKE, HTTPFS, POSTGRES, extension_file};
use crate::sql;
use crate::{priority, profiling};

/// Which lakes an instance serves.
pub(crate) enum Serves {
    /// Those in the lakes' folder. They are attached when they are needed.
    Many,
    /// One, whose catalog is in a PostgreSQL database. It is attached from the beginning.
    One(Box<OneLake>),
}

/// A lake with its catalog in a PostgreSQL database.
pub(crate) struct OneLake {
    pub(crate) lake: LakeId,
    /// The location of its data files.
    pub(crate) data: PathBuf,
    pub(crate) postgres: PostgresPlace,
    /// The role that owns the catalog, and nothing else.
    pub(crate) role: String,
    pub(crate) password: String,
    /// The catalog's schema.
    pub(crate) schema: String,
    /// What is read of other lakes.
    pub(crate) shares: Vec<SharedLake>,
}

/// What an instance reads of another lake, out of the same database.
pub(crate) struct SharedLake {
    pub(crate) lake: LakeId,
    /// The location of its data files.
    pub(crate) data: PathBuf,
    /// The schema that shows as much of its catalog as may be read.
    pub(crate) schema: String,
    /// The folders of the data files that may be read.
    pub(crate) folders: Vec<PathBuf>,
}

/// Opens the instance, loads the extensions, and locks it in: only the lakes', the staging and the spill folders can be
/// reached from then on, and no setting can be changed.
pub(crate) fn open(config: &LakeConfig, serves: &Serves) -> Result<Connection, OpenError> {
    // The engine's own threads are as their maker is.
    priority::give_way();
    let root = Connection::open_in_memory_with_flags(settings(config)?)?;
    load_extensions(&root, config, serves)?;
    if let DataPlace::S3(place) = &config.data {
        root.execute_batch(&reach_s3(place))?;
    }
    match serves {
        Serves::Many => warm_up(&root, config)?,
        Serves::One(one) => {
            root.execute_batch(&reach_postgres(one))?;
            root.execute_batch(&attach(config, one))?;
            for share in &one.shares {
                // One that can't be had is missed by who reads it.
                if let Err(error) = root.execute_batch(&attach_shared(share)) {
                    tracing::warn!(reason = message(&error), "another project's buckets can't be attached");
                }
            }
        }
    }
    lock_in(&root, config, serves)?;
    Ok(root)
}

/// Opens an instance that reaches a catalog's server and the bucket, and this machine's files as well: for no user's
/// statements.
pub(crate) fn open_unlocked(config: &LakeConfig, one: &OneLake) -> Result<Connection, OpenError> {
    let root = Connection::open_in_memory_with_flags(settings(config)?)?;
    for name in [DUCKLAKE, HTTPFS, POSTGRES] {
        let file = extension_file(&config.extension_dir, name)?;
        root.execute_batch(&format!("LOAD {}", sql::text(&file.to_string_lossy())))?;
    }
    if let DataPlace::S3(place) = &config.data {
        root.execute_batch(&reach_s3(place))?;
    }
    root.execute_batch("SET GLOBAL TimeZone='UTC'")?;
    root.execute_batch(&reach_postgres(one))?;
    Ok(root)
}

/// Locations that no user is told.
pub(crate) fn hidden(config: &LakeConfig) -> Vec<PathBuf> {
    let folders = [&config.lakes_dir, &config.staging_dir, &config.spill_dir];
    let bucket = match &config.data {
        DataPlace::S3(place) => Some(place.url("")),
        DataPlace::Local => None,
    };
    folders.into_iter().chain(&config.files_dir).cloned().chain(bucket).collect()
}

fn settings(config: &LakeConfig) -> Result<Config, duckdb::Error> {
    Config::default()
        .with("memory_limit", format!("{}B", config.memory_limit))?
        .with("threads", config.threads.max(1).to_string())?
        .with("temp_directory", config.spill_dir.to_string_lossy())?
        .with("max_temp_directory_size", format!("{}B", config.spill_limit))?
        .with("extension_directory", config.extension_dir.to_string_lossy())?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        // By itself, what queries free goes back to the system only while others of the same size are under way.
        .with("allocator_background_threads", "true")?
        // The system keeps what was read of files here; a second copy costs memory, and more time than it saves.
        .with("enable_external_file_cache", matches!(config.data, DataPlace::S3(_)).to_string())?
        // What was committed to a catalog since its last checkpoint is kept in memory as it came, and read again after a
        // crash; by default up to 16 MiB of each.
        .with("checkpoint_threshold", "4MiB")?
        // Types that Arrow lacks carry their DuckDB name instead of losing values.
        .with("arrow_lossless_conversion", "true")
}

fn load_extensions(root: &Connection, config: &LakeConfig, serves: &Serves) -> Result<(), OpenError> {
    let http = config.encrypted || matches!(config.data, DataPlace::S3(_));
    let postgres = matches!(serves, Serves::One(_));
    let wanted = [Some(DUCKLAKE), http.then_some(HTTPFS), postgres.then_some(POSTGRES)];
    for name in wanted.into_iter().flatten() {
        let file = extension_file(&config.extension_dir, name)?;
        root.execute_batch(&format!("LOAD {}", sql::text(&file.to_string_lossy())))?;
    }
    Ok(())
}

fn reach_s3(place: &S3Place) -> String {
    let endpoint = place.endpoint.as_ref().map(|endpoint| format!(", ENDPOINT {}", sql::text(endpoint)));
    let key = place.kms_key_id.as_ref().map(|key| format!(", KMS_KEY_ID {}", sql::text(key)));
    format!(
        "SET GLOBAL http_timeout={}; SET GLOBAL http_retries={};
         CREATE SECRET gadwall_data (TYPE s3, KEY_ID {}, SECRET {}, REGION {}, URL_STYLE {}, USE_SSL {}, SCOPE {}{}{});",
        place.timeout.as_secs().max(1),
        place.retries,
        sql::text(&place.access_key),
        sql::text(&place.secret_key),
        sql::text(&place.region),
        sql::text(if place.path_style { "path" } else { "vhost" }),
        place.tls,
        sql::text(&place.url("").to_string_lossy()),
        endpoint.unwrap_or_default(),
        key.unwrap_or_default(),
    )
}

/// Settings and credentials for the catalog's database. Credentials are a secret, as anybody may see what is attached.
fn reach_postgres(one: &OneLake) -> String {
    let place = &one.postgres;
    format!(
        "SET GLOBAL pg_pool_max_connections={connections};
         SET GLOBAL pg_pool_acquire_mode='wait';
         SET GLOBAL pg_pool_wait_timeout_millis={wait};
         SET GLOBAL pg_pool_enable_thread_local_cache=false;
         SET GLOBAL pg_pool_enable_reaper_thread=true;
         SET GLOBAL pg_pool_max_lifetime_millis=1800000;
         SET GLOBAL pg_statement_timeout_millis={statement};
         CREATE SECRET gadwall_catalog (TYPE postgres, HOST {host}, PORT {port}, DATABASE {database}, USER {user},
           PASSWORD {password}, SSLMODE {mode}, CONNECT_TIMEOUT {connect}, TCP_USER_TIMEOUT {statement});",
        connections = place.max_connections_per_lake.max(2),
        wait = place.connect_timeout.as_millis(),
        statement = place.statement_timeout.as_millis(),
        host = sql::text(&place.host),
        port = place.port,
        database = sql::text(&place.database),
        user = sql::text(&one.role),
        password = sql::text(&one.password),
        mode = sql::text(&place.ssl_mode),
        connect = place.connect_timeout.as_secs().max(1),
    )
}

/// A catalog that is still empty is filled: its schema was made for it.
pub(crate) fn attach(config: &LakeConfig, one: &OneLake) -> String {
    format!(
        "ATTACH 'ducklake:postgres:application_name=gadwall' AS {} (DATA_PATH {}, OVERRIDE_DATA_PATH true,
           METADATA_SCHEMA {schema}, META_SCHEMA {schema}, META_SECRET 'gadwall_catalog', DATA_INLINING_ROW_LIMIT {},
           ENCRYPTED {}, CREATE_IF_NOT_EXISTS true)",
        sql::catalog(one.lake),
        sql::text(&format!("{}/", one.data.to_string_lossy())),
        config.inlining_row_limit,
        config.encrypted,
        schema = sql::text(&one.schema),
    )
}

fn attach_shared(share: &SharedLake) -> String {
    format!(
        "ATTACH 'ducklake:postgres:application_name=gadwall' AS {} (DATA_PATH {}, OVERRIDE_DATA_PATH true,
           METADATA_SCHEMA {schema}, META_SCHEMA {schema}, META_SECRET 'gadwall_catalog', READ_ONLY,
           CREATE_IF_NOT_EXISTS false)",
        sql::catalog(share.lake),
        sql::text(&format!("{}/", share.data.to_string_lossy())),
        schema = sql::text(&share.schema),
    )
}

/// The catalogs that an instance has.
pub(crate) fn attached(connection: &Connection) -> Result<HashSet<String>, duckdb::Error> {
    let mut names = connection.prepare("SELECT database_name FROM duckdb_databases()")?;
    names.query_map([], |row| row.get(0))?.collect()
}

/// Once external access is off, only the first lake of an instance can be attached, unless one was attached before:
/// DuckLake sets something up with the first one that the sandbox would stop. So a lake that is nothing goes first.
fn warm_up(root: &Connection, config: &LakeConfig) -> Result<(), OpenError> {
    let data = sql::text(&format!("{}/", config.spill_dir.to_string_lossy()));
    root.execute_batch(&format!("ATTACH 'ducklake::memory:' AS warm_up (DATA_PATH {data}); DETACH warm_up;"))?;
    Ok(())
}

fn lock_in(root: &Connection, config: &LakeConfig, serves: &Serves) -> Result<(), OpenError> {
    let allowed: Vec<String> = reachable(config, serves)
        .into_iter()
        .map(|folder| sql::text(&format!("{}/", folder.to_string_lossy().trim_end_matches('/'))))
        .collect();
    root.execute_batch(&format!(
        "SET GLOBAL TimeZone='UTC';
         SET GLOBAL ducklake_max_retry_count=0;
         SET GLOBAL allowed_directories=[{}];
         SET GLOBAL enable_external_access=false;
         SET GLOBAL allowed_configs=[{}];
         SET GLOBAL lock_configuration=true;",
        allowed.join(", "),
        profiling::ALLOWED.map(sql::text).join(", ")
    ))?;
    Ok(())
}

fn reachable(config: &LakeConfig, serves: &Serves) -> Vec<PathBuf> {
    let mut folders = vec![config.staging_dir.clone(), config.spill_dir.clone()];
    let files = config.files_dir.as_deref();
    match serves {
        Serves::Many => {
            folders.push(config.lakes_dir.clone());
            folders.extend(files.map(Path::to_owned));
            if let DataPlace::S3(place) = &config.data {
                folders.push(place.url("lakes"));
            }
        }
        Serves::One(one) => {
            folders.push(one.data.clone());
            folders.extend(one.shares.iter().flat_map(|share| share.folders.iter().cloned()));
            // Each project's datasets lie in a folder of its own.
            folders.extend(files.map(|files| files.join(one.lake.uuid().simple().to_string())));
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use gadwall_test_services::{Recorded, Recorder};

    use super::*;
    use crate::find_extension_dir;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn files_that_the_engine_writes_ask_for_it_to_be_encrypted() {
        let recorder = Recorder::start().await.unwrap();
        let place = S3Place {
            store: Arc::new(object_store::memory::InMemory::new()),
            bucket: "b".to_owned(),
            prefix: String::new(),
            endpoint: Some(recorder.url().trim_start_matches("http://").to_owned()),
            region: "us-east-1".to_owned(),
            access_key: "k".to_owned(),
            secret_key: "s".to_owned(),
            kms_key_id: Some("the-key".to_owned()),
            path_style: true,
            tls: false,
            timeout: Duration::from_secs(5),
            retries: 0,
        };
        let write = move || {
            let httpfs = extension_file(&find_extension_dir(None).unwrap(), HTTPFS).unwrap();
            let engine = Connection::open_in_memory_with_flags(Config::default().allow_unsigned_extensions().unwrap());
            let engine = engine.unwrap();
            engine.execute_batch(&format!("LOAD {}", sql::text(&httpfs.to_string_lossy()))).unwrap();
            engine.execute_batch(&reach_s3(&place)).unwrap();
            engine.execute_batch("COPY (SELECT range i FROM range(1000)) TO 's3://b/x.parquet'").unwrap();
        };
        tokio::task::spawn_blocking(write).await.unwrap();
        let made: Vec<_> = recorder.seen().into_iter().filter(Recorded::makes_an_object).collect();
        assert!(!made.is_empty(), "{:?}", recorder.seen());
        for request in made {
            assert_eq!(request.header("x-amz-server-side-encryption"), Some("aws:kms"), "{request:?}");
            assert_eq!(request.header("x-amz-server-side-encryption-aws-kms-key-id"), Some("the-key"), "{request:?}");
        }
    }
}
