//! What errors say.

use super::{Given, REFUSED};
use crate::config::key::keys;
use crate::config::{Config, Sources};

#[test]
fn unknown_names_are_told_with_their_source_and_the_closest_one() {
    for (given, problem) in [
        (
            Given::nothing().file("\n[server]\nprot = 80"),
            r#"gadwall.toml:3: unknown key "server.prot"; did you mean "server.port"?"#,
        ),
        (
            Given::nothing().dotenv("A=b\nGADWALL_SERVER_PORT=80"),
            ".env:2, GADWALL_SERVER_PORT: unknown name; did you mean GADWALL__SERVER__PORT?",
        ),
        (
            Given::nothing().env("GADWALL__ENGINE__MEMORY", "80"),
            "environment variable GADWALL__ENGINE__MEMORY: unknown name; did you mean GADWALL__ENGINE__MEMORY_LIMIT?",
        ),
    ] {
        assert_eq!(given.problems(), [problem]);
    }
    let others = Given::nothing().dotenv("COMPOSE_PROJECT_NAME=x\nPORTS=1").env("GADWALL_PORT", "tcp://10.0.0.1:80");
    assert!(others.load().is_ok());
}

#[test]
fn wrong_values_are_told_with_what_is_allowed() {
    for (given, problem) in [
        (
            Given::nothing().env("PORT", "http"),
            r#"environment variable PORT: server.port can't be "http"; it takes a whole number from 0 to 65535"#,
        ),
        (
            Given::nothing().env("DB_DUCKLAKE_DATA_INLINING_ROW_LIMIT", "10001"),
            "environment variable DB_DUCKLAKE_DATA_INLINING_ROW_LIMIT: ducklake.data_inlining_row_limit can't be \
             \"10001\"; it takes a whole number from 0 to 10000",
        ),
        (Given::nothing().file("debug = \"yes\""), r#"gadwall.toml:1: debug can't be "yes"; it takes true or false"#),
        (
            Given::nothing().dotenv("ENVIRONMENT=prod"),
            ".env:1, ENVIRONMENT: environment can't be \"prod\"; it takes one of development, staging, production",
        ),
        (
            Given::nothing().file("[engine]\nqueue_timeout = 2024-01-01"),
            "gadwall.toml:2: engine.queue_timeout can't be a date; it takes a time such as \"30s\" or \"5m\", or a \
             number of seconds, from 0s to 1h",
        ),
    ] {
        assert_eq!(given.problems(), [problem]);
    }
}

#[test]
fn all_problems_of_all_layers_are_told_at_once() {
    let given = Given::nothing()
        .file("prot = 1\nserver.port = 70_000")
        .dotenv("this is no assignment\nPORT=x")
        .env("GADWALL__NOPE", "1")
        .env("DUCKDB_MEMORY_LIMIT", "much");
    let problems = given.problems();
    for expected in ["\"prot\"", "70000", ".env:1: expected NAME=value", "\"x\"", "GADWALL__NOPE", "\"much\""] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 6);
    let text = given.load().unwrap_err().to_string();
    assert!(text.starts_with("the configuration is not valid:\n  - ") && text.lines().count() == 7, "{text}");
}

#[test]
fn contradictions_are_told_with_the_place_of_the_key() {
    let given = Given::nothing()
        .file("environment = \"production\"\nauth.admin_keys = [\"0123456789abcdef\"]")
        .env("DEBUG", "1")
        .dotenv("GADWALL__ENGINE__QUERY_TIMEOUT=10m");
    assert_eq!(
        given.problems(),
        [
            "environment variable DEBUG: debug must be false in production",
            ".env:1, GADWALL__ENGINE__QUERY_TIMEOUT: engine.query_timeout (10m) is longer than engine.max_query_timeout (5m)",
        ]
    );
    let keyless = Given::nothing().env("ENVIRONMENT", "production").problems().concat();
    assert!(keyless.starts_with("auth.admin_keys is empty: production needs at least one key"), "{keyless}");
}

#[test]
fn what_would_be_done_otherwise_than_it_was_meant_is_refused() {
    for (name, value, key, instead) in REFUSED {
        let general = keys().find(|known| known.path == key).unwrap().variable();
        for given in [Given::nothing().env(name, value), Given::nothing().env(&general, value)] {
            let told = given.problems().concat();
            assert!(told.contains(&format!("{key} is ")) && told.contains(instead), "{told}");
        }
    }
    let harmless = Given::nothing()
        .env("DB_DUCKLAKE_READ_ONLY", "false")
        .dotenv("DB_DUCKLAKE_SNAPSHOT_VERSION=\nDB_DUCKLAKE_SNAPSHOT_TIME=");
    assert!(harmless.load().is_ok());
}

#[test]
#[cfg(unix)]
fn values_that_are_no_text_matter_only_where_they_are_ours() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    let load = |name: &str| {
        let variable = (OsString::from(name), OsString::from_vec(vec![0xff]));
        Config::load(&Sources::in_dir(tempfile::tempdir().unwrap().path()).with_environment([variable]))
    };
    assert!(load("LS_COLORS").is_ok());
    assert!(load("DATA_DIR").unwrap_err().to_string().contains("DATA_DIR: the value is not valid UTF-8"));
}
