//! Which layer wins, and what every name sets.

use super::{Given, is_refused};
use crate::config::key::keys;
use crate::config::kind::Kind;
use crate::config::legacy::{Effect, LEGACY};
use crate::config::{Origin, Secret};

#[test]
fn a_later_layer_wins() {
    let defaults = Given::nothing();
    let file = || Given::nothing().file("[server]\nport = 1\nhost = \"file\"\n[engine]\nthreads = 3");
    let dotenv = || file().dotenv("PORT=2\nHOST=dotenv");
    let all = dotenv().env("PORT", "3");
    for (given, port, host, origin) in [
        (defaults, 8000, "127.0.0.1", "default"),
        (file(), 1, "file", "gadwall.toml:2"),
        (dotenv(), 2, "dotenv", ".env:1, PORT"),
        (all, 3, "dotenv", "environment variable PORT"),
    ] {
        let loaded = given.loaded();
        assert_eq!((loaded.config.server.port, loaded.config.server.host.as_str()), (port, host));
        assert_eq!(loaded.origin("server.port").to_string(), origin);
    }
    let loaded = dotenv().loaded();
    assert_eq!(loaded.config.engine.threads, 3, "a layer leaves alone what it doesn't name");
    assert_eq!(*loaded.origin("debug"), Origin::Default);
}

#[test]
fn names_of_a_later_layer_win_whichever_they_are() {
    let given = Given::nothing().dotenv("GADWALL__SERVER__PORT=1").env("PORT", "2");
    assert_eq!(given.loaded().config.server.port, 2);
    let given = Given::nothing().dotenv("PORT=1").env("GADWALL__SERVER__PORT", "2").env("PORT", "junk");
    let loaded = given.loaded();
    assert_eq!(loaded.config.server.port, 2);
    assert_eq!(loaded.config.notices(), ["PORT has no effect: GADWALL__SERVER__PORT is set too"]);
}

#[test]
fn lists_are_replaced_not_joined() {
    let given = Given::nothing().file("auth.admin_keys = [\"one\", \"two\"]").env("ADMIN_API_KEY", "three,four");
    let loaded = given.loaded();
    assert_eq!(loaded.config.auth.admin_keys.len(), 1);
    let given = Given::nothing().env("GADWALL__AUTH__ADMIN_KEYS", "one, two");
    assert_eq!(given.loaded().config.auth.admin_keys.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn a_named_file_takes_the_place_of_the_usual_one_and_must_exist() {
    let mut given = Given::nothing().file("server.port = 1").written("other.toml", "server.port = 2");
    given.file = Some("other.toml");
    assert_eq!(given.loaded().config.server.port, 2);
    given.file = Some("missing.toml");
    assert!(given.problems().concat().contains("missing.toml"));
}

#[test]
fn production_logs_for_machines_unless_told_otherwise() {
    let production = || Given::nothing().env("ENVIRONMENT", "Production").env("ADMIN_API_KEY", "0123456789abcdef");
    assert_eq!(Given::nothing().shown("logging.format"), "\"human\"");
    assert_eq!(production().shown("logging.format"), "\"json\"");
    assert_eq!(production().file("logging.format = \"human\"").shown("logging.format"), "\"human\"");
}

/// A value that is allowed and isn't the default, as the environment writes it, and how it is shown.
fn sample(path: &str, kind: Kind, default: &str) -> (String, String) {
    let quoted = |text: &str| (text.to_owned(), format!("{text:?}"));
    match kind {
        Kind::Switch if default == "true" => ("off".to_owned(), "false".to_owned()),
        Kind::Switch => ("YES".to_owned(), "true".to_owned()),
        Kind::Integer { min, .. } => {
            let number =
                [min + 1, min + 2].map(|number| number.to_string()).into_iter().find(|number| number != default);
            let number = number.unwrap_or_default();
            (number.clone(), number)
        }
        Kind::Bytes { .. } => quoted("512MiB"),
        Kind::Span { min, .. } if min > 40 => quoted("2h"),
        Kind::Span { .. } => quoted("40s"),
        Kind::Choice(_) => match path {
            "environment" => quoted("staging"),
            "logging.level" => quoted("debug"),
            "ducklake.catalog" => quoted("postgres"),
            "server.forwarded_header" => quoted("forwarded"),
            "postgres.ssl_mode" => quoted("require"),
            "tls.client_certificates" => quoted("optional"),
            "traces.protocol" | "metrics.protocol" => quoted("grpc"),
            _ => quoted("json"),
        },
        Kind::Url => quoted("https://elsewhere.example/base"),
        Kind::Endpoint => quoted("elsewhere.example:9000"),
        Kind::Secret => ("swordfish".to_owned(), "\"********\"".to_owned()),
        Kind::Secrets => ("swordfish".to_owned(), "[\"********\"]".to_owned()),
        Kind::Hosts => ("api.example.org".to_owned(), "[\"api.example.org\"]".to_owned()),
        Kind::Origins => ("https://app.example.org".to_owned(), "[\"https://app.example.org\"]".to_owned()),
        Kind::Issuers => unreachable!("no older name is for a table"),
        Kind::Networks => ("10.0.0.0/8".to_owned(), "[\"10.0.0.0/8\"]".to_owned()),
        Kind::Text | Kind::Identifier | Kind::Path | Kind::Host => quoted("elsewhere"),
    }
}

/// Staging needs a key.
fn with_key() -> Given {
    Given::nothing().file("auth.admin_keys = [\"a-key-from-the-file\"]")
}

#[test]
fn every_older_name_sets_its_key_from_both_places() {
    for legacy in LEGACY {
        let Some(key) = legacy.key().filter(|key| !is_refused(key.path)) else { continue };
        let default = with_key().shown(key.path);
        let (text, expected) = sample(key.path, key.kind, &default);
        assert!(default != expected || matches!(key.kind, Kind::Secrets), "{}", legacy.name);
        let base = || with_what_it_needs(key.path);
        for given in [base().env(legacy.name, &text), base().dotenv(&format!("{}='{text}'", legacy.name))] {
            assert_eq!(given.shown(key.path), expected, "{}", legacy.name);
            assert_eq!(given.loaded().origin(key.path).variable(), Some(legacy.name));
        }
    }
}

#[test]
fn every_key_has_a_general_name() {
    // Tables of issuers have tests of their own.
    for key in keys().filter(|key| !matches!(key.kind, Kind::Issuers) && !is_refused(key.path)) {
        let (text, expected) = sample(key.path, key.kind, &with_key().shown(key.path));
        assert_eq!(with_what_it_needs(key.path).env(&key.variable(), &text).shown(key.path), expected, "{}", key.path);
    }
}

/// A configuration in which this key can have any value.
fn with_what_it_needs(key: &str) -> Given {
    match key {
        "metrics.export" => with_key().file("traces.endpoint = \"http://localhost:4318\""),
        "ducklake.catalog" => with_key().file("ducklake.secret_key = \"0123456789abcdef\""),
        "storage.enabled" => with_key().file("storage.access_key = \"name\"\nstorage.secret_key = \"key\""),
        "storage.kms_key_id" => with_key().file("features.enable_s3_encryption = true\n[storage]\nenabled = true\naccess_key = \"name\"\nsecret_key = \"key\""),
        "features.enable_s3_encryption" => with_key().file("[storage]\nenabled = true\naccess_key = \"name\"\nsecret_key = \"key\"\nkms_key_id = \"key\""),
        "tls.certificate" => with_key().file("tls.key = \"key.pem\""),
        "tls.key" => with_key().file("tls.certificate = \"chain.pem\""),
        "tls.client_ca" => {
            with_key().file("[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\nclient_certificates = \"required\"")
        }
        "tls.client_certificates" => {
            with_key().file("[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\nclient_ca = \"ca.pem\"")
        }
        "metadata.instance_renewal" => with_key().file("metadata.instance_timeout = \"1h\""),
        "metadata.instance_timeout" => with_key().file("metadata.instance_renewal = \"1s\""),
        "maintenance.small_file_size" => with_key().file("maintenance.target_file_size = \"1GiB\""),
        _ => with_key(),
    }
}

#[test]
fn values_of_older_deployments_are_read_as_they_were_meant() {
    let given = Given::nothing().dotenv(
        "DUCKDB_MEMORY_LIMIT=4GB\nDUCKDB_MAX_MEMORY_PERCENTAGE=60\nDB_DUCKLAKE_CONNECTION_TIMEOUT=30.0\n\
         DB_DUCKLAKE_CONNECTION_RETRY_DELAY=2.0\nONTO_SERVER_TIMEOUT=5\nDEBUG=True\nLOG_LEVEL=CRITICAL\n\
         STORAGE_MINIO_ENDPOINT=localhost:9000\nDB_POSTGRES_PASSWORD=postgrespassword\nHOST=0.0.0.0\n",
    );
    for (path, shown) in [
        ("engine.memory_limit", "\"4GB\""),
        ("engine.max_memory_percentage", "60"),
        ("ducklake.connection_timeout", "\"30s\""),
        ("ducklake.connection_retry_delay", "\"2s\""),
        ("ontology.timeout", "\"5s\""),
        ("debug", "true"),
        ("logging.level", "\"error\""),
    ] {
        assert_eq!(given.shown(path), shown, "{path}");
    }
}

#[test]
fn names_without_effect_are_told_and_deployment_names_are_not() {
    let told = |name: &str| Given::nothing().env(name, "anything at all").loaded().config.notices().concat();
    for legacy in LEGACY {
        match legacy.effect {
            Effect::None(_) => assert!(told(legacy.name).contains(&format!("{} has no effect", legacy.name))),
            Effect::Ignored => assert_eq!(told(legacy.name), "", "{}", legacy.name),
            Effect::Sets(..) | Effect::FillsIn(..) => {}
        }
    }
}

#[test]
fn settings_that_nothing_uses_are_told_by_capability() {
    let given = Given::nothing()
        .env("DB_DUCKLAKE_METADATA_SCHEMA", "s")
        .env("DB_DUCKLAKE_METADATA_CATALOG", "c")
        .env("HOST", "::1");
    assert_eq!(
        given.loaded().config.notices(),
        ["not used yet (names of one's own for the catalogs): ducklake.metadata_schema, ducklake.metadata_catalog"]
    );
}

#[test]
fn an_open_server_is_told_about() {
    let open = |host: &str| Given::nothing().env("GADWALL__AUTH__ENABLED", "no").env("HOST", host).loaded();
    assert_eq!(open("0.0.0.0").config.notices().len(), 1);
    for local in ["127.0.0.1", "::1", "localhost"] {
        assert_eq!(open(local).config.notices(), [""; 0], "{local}");
    }
}

#[test]
fn names_of_other_programs_only_fill_in() {
    let aws = || Given::nothing().env("AWS_ACCESS_KEY_ID", "theirs").env("AWS_DEFAULT_REGION", "eu-north-1");
    let key = |given: Given| given.loaded().config.storage.access_key.map(|key| key.expose().to_owned());
    assert_eq!(key(aws()).as_deref(), Some("theirs"));
    assert_eq!(key(aws().file("storage.access_key = \"ours\"")).as_deref(), Some("ours"));
    assert_eq!(key(aws().dotenv("STORAGE_MINIO_ACCESS_KEY=ours")).as_deref(), Some("ours"));
    assert_eq!(aws().shown("storage.region"), "\"eu-north-1\"");
}

#[test]
fn the_smaller_memory_limit_holds() {
    let config = Given::nothing().loaded().config;
    for (total, limit) in
        [(0, 4_000_000_000), (1_000_000_000, 600_000_000), (64_000_000_000, 4_000_000_000), (u64::MAX, 4_000_000_000)]
    {
        assert_eq!(config.effective_memory_limit(total), limit, "{total}");
    }
}

#[test]
fn the_ontology_is_asked_once_the_stand_in_is_switched_off() {
    assert_eq!(Given::nothing().shown("ontology.use_mock"), "true");
    for word in ["true", "True", "TRUE", "1", "yes", "on"] {
        assert_eq!(Given::nothing().env("USE_MOCK_ONTO_SERVER", word).shown("ontology.use_mock"), "true", "{word}");
    }
    for word in ["false", "False", "FALSE", "0", "no", "off"] {
        assert_eq!(Given::nothing().env("USE_MOCK_ONTO_SERVER", word).shown("ontology.use_mock"), "false", "{word}");
    }
    let given = Given::nothing().env("ONTO_SERVER_URL", "http://onto:8001").env("ONTO_SERVER_TIMEOUT", "7");
    assert_eq!(given.shown("ontology.url"), "\"http://onto:8001\"");
    assert_eq!(given.shown("ontology.timeout"), "\"7s\"");
    assert!(!Given::nothing().env("USE_MOCK_ONTO_SERVER", "perhaps").problems().is_empty());
}
