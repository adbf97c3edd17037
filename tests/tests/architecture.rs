//! Holds the house to its plan: who may depend on whom, how long a file may be, who shares the lints.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The longest source file, in lines.
const MAX_LINES: usize = 700;

/// What each member may use of the others, outside its tests.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("gadwall-domain", &[]),
    ("gadwall-application", &["gadwall-domain"]),
    ("gadwall-formats", &["gadwall-domain"]),
    ("gadwall-ducklake", &["gadwall-domain", "gadwall-application"]),
    ("gadwall-metastore", &["gadwall-domain", "gadwall-application"]),
    // The formats are a library: bytes from and to batches.
    ("gadwall-objects", &["gadwall-domain", "gadwall-formats"]),
    ("gadwall-oidc", &["gadwall-domain", "gadwall-application"]),
    // So is telemetry: a place in a trace from and to headers, and where spans go.
    ("gadwall-telemetry", &[]),
    ("gadwall-ontology", &["gadwall-domain", "gadwall-telemetry"]),
    ("gadwall-webhooks", &["gadwall-domain"]),
    ("gadwall-http", &["gadwall-domain", "gadwall-application", "gadwall-formats", "gadwall-telemetry"]),
    (
        "gadwall",
        &[
            "gadwall-domain",
            "gadwall-application",
            "gadwall-ducklake",
            "gadwall-metastore",
            "gadwall-objects",
            "gadwall-http",
            "gadwall-oidc",
            "gadwall-ontology",
            "gadwall-telemetry",
            "gadwall-webhooks",
        ],
    ),
    (
        "gadwall-tests",
        &[
            "gadwall",
            "gadwall-domain",
            "gadwall-application",
            "gadwall-formats",
            "gadwall-ducklake",
            "gadwall-metastore",
            "gadwall-objects",
            "gadwall-http",
            "gadwall-test-services",
        ],
    ),
    ("gadwall-test-services", &[]),
];

/// Drivers and runtimes, and the only members that may name them.
const DRIVERS: [(&str, &[&str]); 10] = [
    ("duckdb", &["gadwall-ducklake", "gadwall-tests"]),
    // The lakes' catalogs are in PostgreSQL, too.
    ("sqlx", &["gadwall-metastore", "gadwall-ducklake", "gadwall-test-services"]),
    ("object_store", &["gadwall-objects", "gadwall-ducklake", "gadwall-test-services"]),
    ("poem", &["gadwall-http"]),
    ("poem-openapi", &["gadwall-http"]),
    ("hyper", &["gadwall-http"]),
    // Objects name it only to choose what TLS runs on; the command line asks a server that runs.
    (
        "reqwest",
        &[
            "gadwall",
            "gadwall-tests",
            "gadwall-objects",
            "gadwall-oidc",
            "gadwall-ontology",
            "gadwall-telemetry",
            "gadwall-webhooks",
            "gadwall-test-services",
        ],
    ),
    ("ring", &["gadwall-oidc", "gadwall-test-services"]),
    ("figment", &["gadwall"]),
    ("prometheus-client", &["gadwall-http"]),
];

/// What the innermost crate may use of the world: data, not doing.
const OF_THE_DOMAIN: [&str; 11] = [
    "arrow-array",
    "arrow-schema",
    "async-trait",
    "bytes",
    "chrono",
    "futures-core",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "thiserror",
    "uuid",
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Each member's dependencies outside its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata().packages.into_iter();
    packages
        .map(|package| {
            let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
            (package.name.to_string(), normal.map(|dependency| dependency.name.clone()).collect())
        })
        .collect()
}

#[test]
fn the_arrows_point_inward() {
    let dependencies = dependencies();
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    assert_eq!(dependencies.len(), allowed.len(), "every member has its line above");
    for (member, used) in &dependencies {
        let ours = used.iter().filter(|name| name.starts_with("gadwall"));
        for other in ours {
            let may = allowed.get(member.as_str()).is_some_and(|may| may.contains(&other.as_str()));
            assert!(may, "{member} must not depend on {other}");
        }
    }
}

#[test]
fn drivers_stay_in_their_adapters() {
    for (member, used) in dependencies() {
        for (driver, may) in DRIVERS {
            assert!(!used.contains(driver) || may.contains(&member.as_str()), "{member} must not name {driver}");
        }
    }
    let domain = &dependencies()["gadwall-domain"];
    let foreign: Vec<_> = domain.iter().filter(|name| !OF_THE_DOMAIN.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "the domain must not depend on {foreign:?}");
}

#[test]
fn every_member_shares_versions_and_lints() {
    for package in metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", package.name);
        let pinned_here = manifest.lines().filter(|line| line.contains("version = \""));
        assert_eq!(pinned_here.count(), 0, "{}: versions stand in the workspace's Cargo.toml", package.name);
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "data" && name != "dist" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    assert!(files.len() > 50);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
        assert!(text.starts_with("//!"), "{} doesn't say what it is", file.display());
    }
}

#[test]
fn sql_text_is_made_in_one_adapter() {
    let mut files = Vec::new();
    let members = ["domain", "application", "bootstrap"];
    let adapters = ["adapters/http", "adapters/formats", "adapters/objects", "adapters/oidc", "adapters/ontology"];
    for member in members.into_iter().chain(adapters) {
        sources(&root().join(member).join("src"), &mut files);
    }
    // Tests write down what users write.
    let is_test = |file: &PathBuf| {
        let path = file.to_string_lossy();
        path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/src/testing/")
    };
    for file in files.into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for word in ["\"SELECT ", "\"INSERT INTO", "\"CREATE TABLE", "\"DELETE FROM", "\"UPDATE "] {
            assert!(!code.contains(word), "{} makes SQL: {word}", file.display());
        }
    }
}
