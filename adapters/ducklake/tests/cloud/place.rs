//! Servers, and lakes on them.

use std::sync::Arc;
use std::time::Duration;

use gadwall_ducklake::{DataPlace, EngineLimits, LakeConfig, PostgresPlace, S3Place, find_extension_dir};
use gadwall_test_services::S3;
use object_store::aws::AmazonS3Builder;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

/// An area of the bucket that nobody else has.
pub(crate) fn fresh_data(s3: &S3) -> S3Place {
    s3_place(s3, &s3.endpoint, &s3.fresh_prefix())
}

pub(crate) fn s3_place(s3: &S3, endpoint: &str, prefix: &str) -> S3Place {
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(&s3.bucket)
        .with_region("us-east-1")
        .with_access_key_id(&s3.access_key)
        .with_secret_access_key(&s3.secret_key)
        .build()
        .unwrap();
    S3Place {
        store: Arc::new(store),
        bucket: s3.bucket.clone(),
        prefix: prefix.to_owned(),
        endpoint: Some(endpoint.trim_start_matches("http://").to_owned()),
        region: "us-east-1".to_owned(),
        access_key: s3.access_key.clone(),
        secret_key: s3.secret_key.clone(),
        kms_key_id: None,
        path_style: true,
        tls: false,
        timeout: Duration::from_secs(10),
        retries: 2,
    }
}

/// The catalogs' place at an address like `postgres://user:password@host:port/database`.
pub(crate) fn postgres_place(url: &str) -> PostgresPlace {
    let options: PgConnectOptions = url.parse().unwrap();
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).and_then(|(user, _)| {
        let (_, password) = user.split_once(':')?;
        Some(password.to_owned())
    });
    PostgresPlace {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        database: options.get_database().unwrap_or("postgres").to_owned(),
        user: options.get_username().to_owned(),
        password,
        ssl_mode: "prefer".to_owned(),
        secret_key: "a key of this test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(20),
        max_connections: 8,
        // Promises have up to five at work at once, which on a busy machine would not all get one of fewer in time.
        max_connections_per_lake: 8,
        turn_timeout: Duration::from_secs(20),
    }
}

pub(crate) fn config(dir: &TempDir, data: DataPlace) -> LakeConfig {
    let dir = dir.path().canonicalize().unwrap();
    LakeConfig {
        lakes_dir: dir.join("lakes"),
        data,
        files_dir: None,
        staging_dir: dir.join("staging"),
        spill_dir: dir.join("spill"),
        extension_dir: find_extension_dir(None).unwrap(),
        memory_limit: 512 << 20,
        spill_limit: 1 << 30,
        threads: 2,
        max_queries: 4,
        max_waiting: 64,
        queue_timeout: Duration::from_secs(20),
        max_attached: 3,
        writer_queue: 64,
        inlining_row_limit: 0,
        encrypted: false,
        profiling: true,
    }
}

pub(crate) const LIMITS: EngineLimits = EngineLimits { max_open: 3, idle: Duration::from_mins(1) };
