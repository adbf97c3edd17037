//! What the adapter's tests share.

use std::path::Path;
use std::time::Duration;

use gadwall_ducklake::{DataPlace, LakeConfig, find_extension_dir};

/// Settings for lakes under a folder.
pub(crate) fn config(dir: &Path) -> LakeConfig {
    std::fs::create_dir_all(dir).unwrap();
    let dir = dir.canonicalize().unwrap();
    LakeConfig {
        data: DataPlace::Local,
        lakes_dir: dir.join("lakes"),
        files_dir: Some(dir.join("files")),
        staging_dir: dir.join("staging"),
        spill_dir: dir.join("spill"),
        extension_dir: find_extension_dir(None).unwrap(),
        memory_limit: 1 << 30,
        spill_limit: 1 << 30,
        threads: 2,
        max_queries: 4,
        max_waiting: 64,
        queue_timeout: Duration::from_secs(10),
        max_attached: 3,
        writer_queue: 64,
        inlining_row_limit: 0,
        encrypted: false,
        profiling: true,
    }
}
