//! No secret shows anywhere, and what is printed can be read again.

use super::Given;
use crate::config::Sources;
use crate::config::key::keys;
use crate::config::kind::Kind;

const SECRET: &str = "swordfish-0123456789";

#[test]
fn no_secret_is_in_anything_that_is_shown() {
    for key in keys().filter(|key| matches!(key.kind, Kind::Secret | Kind::Secrets)) {
        for given in [
            Given::nothing().env(&key.variable(), SECRET),
            Given::nothing().dotenv(&format!("{}={SECRET}", key.variable())),
        ] {
            let loaded = given.loaded();
            let serialised = serde_json::to_string(&loaded.config).unwrap();
            let shown =
                format!("{}\n{loaded:?}\n{:?}\n{serialised}", loaded.render_effective(), loaded.config.notices());
            assert!(!shown.contains("swordfish") && shown.contains("********"), "{}: {shown}", key.path);
        }
    }
}

#[test]
fn no_secret_is_in_an_error() {
    let broken = format!("[auth]\nadmin_keys = [\"{SECRET}\"");
    let many_lines = format!("A='{SECRET}");
    for given in [
        Given::nothing().file(&format!("auth.admin_keys = \"{SECRET}\"")),
        Given::nothing().file(&format!("auth.admin_keys = [\"{SECRET} with a space\"]")),
        Given::nothing().file(&format!("postgres.password = [\"{SECRET}\"]")),
        Given::nothing().file(&format!("auth.admin_keyz = [\"{SECRET}\"]")),
        Given::nothing().file(&broken),
        Given::nothing().dotenv(&many_lines),
        Given::nothing().dotenv(SECRET),
        Given::nothing().dotenv(&format!("GADWALL_ADMIN_KEY={SECRET}")),
        Given::nothing().env("ADMIN_API_KEY", &format!("{SECRET} with a space")),
        Given::nothing().env("GADWALL__ADMIN_KEY", SECRET),
        Given::nothing().env("ONTO_SERVER_URL", &format!("http://me:{SECRET}@host")),
        Given::nothing().env("ENVIRONMENT", "production").env("ADMIN_API_KEY", "swordfish"),
    ] {
        let error = given.load().unwrap_err();
        assert!(!format!("{error}\n{error:?}").contains("swordfish"), "{error}");
    }
}

#[test]
fn an_environment_shows_only_its_names() {
    let sources = Sources::in_dir("/").with_environment([("ADMIN_API_KEY", SECRET)]);
    let shown = format!("{sources:?}");
    assert!(shown.contains("ADMIN_API_KEY") && !shown.contains("swordfish"), "{shown}");
}

#[test]
fn what_is_printed_sets_the_same_again() {
    let given = Given::nothing()
        .file("data_dir = 'a \"b\" c'\n[server]\nmax_body_bytes = 1_000_001\nshutdown_grace = 1.5\n[logging]\nformat = \"json\"")
        .env("GADWALL__QUOTA__ROWS_PER_APPEND", "999999999999")
        .env("HOST", "::1");
    let printed = given.loaded().render_effective();
    let again = Given::nothing().file(&printed).loaded().render_effective();
    let values = |text: &str| text.parse::<toml::Table>().unwrap();
    assert_eq!(values(&printed), values(&again));
    assert!(printed.contains("max_body_bytes = \"1000001B\" # gadwall.toml:3"), "{printed}");
    assert!(printed.contains("host = \"::1\" # environment variable HOST"), "{printed}");
}

#[test]
fn a_mask_is_not_taken_for_a_secret() {
    let printed = Given::nothing().env("ADMIN_API_KEY", SECRET).loaded().render_effective();
    let problems = Given::nothing().file(&printed).problems();
    assert_eq!(problems.len(), 1);
    assert!(problems.concat().contains("not the mask that stands for a secret"), "{problems:?}");
}
