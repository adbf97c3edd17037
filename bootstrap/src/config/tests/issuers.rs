//! Tables of identity providers.

use std::time::Duration;

use gadwall_domain::access::Scope;

use super::Given;

const TABLE: &str = r#"
[[auth.oidc]]
issuer = "https://id.example.com"
audiences = "gadwall"
project_claim = "projects"
"#;

/// All that is wrong with a table that has this besides.
fn faults(more: &str) -> String {
    Given::nothing().file(&format!("{TABLE}{more}\n")).problems().concat()
}

#[test]
fn a_table_has_secure_defaults_and_is_printed_as_it_is_read() {
    let given = Given::nothing().file(&format!(
        "{TABLE}leeway = \"5s\"\n[auth.oidc.roles]\nanalyst = [\"read\"]\n[[auth.oidc]]\nissuer = \"https://b\"\n\
         audiences = [\"x\", \"y\"]\nadmin_claim = \"groups\"\nadmin_value = \"ops\"\nkeys_ttl = 120\n"
    ));
    let loaded = given.loaded();
    let [first, second] = loaded.config.auth.oidc.as_slice() else { panic!("two issuers") };
    assert_eq!((first.algorithms.as_slice(), first.leeway.as_secs()), (&["RS256".into(), "ES256".into()][..], 5));
    assert!(!first.allow_insecure && !first.bucket_optional && first.roles["analyst"].contains(&Scope::Read));
    assert_eq!((second.audiences.len(), second.keys_ttl), (2, Duration::from_mins(2)));
    let again = Given::nothing().file(&loaded.render_effective()).loaded();
    assert_eq!(again.config.auth.oidc, loaded.config.auth.oidc);
}

#[test]
fn the_environment_has_them_as_inline_tables() {
    let value = r#"[{ issuer = "https://a", audiences = "gadwall", project_claim = "p" }]"#;
    let loaded = Given::nothing().env("GADWALL__AUTH__OIDC", value).loaded();
    assert_eq!(loaded.config.auth.oidc[0].issuer, "https://a");
    for wrong in ["https://a", "[1]", "[]\ny = 1", "1979-05-27"] {
        let problems = Given::nothing().env("GADWALL__AUTH__OIDC", wrong).problems();
        assert!(problems.concat().contains("auth.oidc has a wrong value"), "{wrong}: {problems:?}");
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    for (more, told) in [
        ("projct_claim = \"p\"", "table 1: unknown field `projct_claim`"),
        ("leeway = \"soon\"", "a time is written as"),
        ("leeway = \"1h\"", "leeway is from 0s to 5m"),
        ("algorithms = [\"HS256\"]", "shared secret"),
        ("algorithms = [\"none\"]", "shared secret"),
        ("algorithms = []", "at least one of RS256"),
        ("admin_claim = \"groups\"", "set together"),
        ("admin_value = \"x\"", "set together"),
        ("project_template = \"gadwall\"", "{project} in it once"),
        ("bucket_optional = true", "needs a bucket_claim"),
        ("bucket_claim = \" \"", "not empty"),
        ("roles = { reader = [] }", "at least one scope"),
        ("roles = { reader = [\"all\"] }", "unknown variant `all`"),
        ("jwks_url = \"ftp://x\"", "begins with https://"),
        ("keys_ttl = \"1s\"", "keys_ttl is from 1m to 24h"),
        ("[[auth.oidc]]\nissuer = \"http://id.example.com\"\naudiences = \"x\"\nproject_claim = \"p\"", "twice"),
        ("[[auth.oidc]]\nissuer = \"https://b\"\naudiences = []\nproject_claim = \"p\"", "audiences has at least one"),
        ("[[auth.oidc]]\nissuer = \"https://b\"\naudiences = \"x\"", "open nothing"),
        ("[[auth.oidc]]\nissuer = \"https://b\"", "table 2: missing field `audiences`"),
        ("[[auth.oidc]]\nissuer = \"https://b#c\"\naudiences = \"x\"\nproject_claim = \"p\"", "fragment"),
    ] {
        let found = faults(more);
        assert!(found.contains(told), "{more}: {found}");
    }
    let off = Given::nothing().file(TABLE).env("GADWALL__AUTH__ENABLED", "false").problems();
    assert!(off.concat().contains("no token is ever looked at"), "{off:?}");
    let confused = Given::nothing().file(TABLE).env("ADMIN_API_KEY", "aaaaaaaa.bbbbbbbb.cccccccc").problems();
    assert!(confused.concat().contains("shape of a token") && !confused.concat().contains("bbbb"), "{confused:?}");
}

#[test]
fn no_password_in_an_address_is_shown() {
    let text = TABLE.replace("https://id", "https://me:swordfish@id");
    let problems = Given::nothing().file(&text).problems().concat();
    assert!(problems.contains("password") && !problems.contains("swordfish"), "{problems}");
}

#[test]
fn production_asks_nobody_without_tls_nor_on_this_machine_unless_told() {
    let urls = [
        "http://id.example.com",
        "https://localhost:1",
        "https://127.0.0.1",
        "https://[::1]:2/x",
        "https://a.localhost.",
    ];
    for url in urls {
        let load = |environment: &str, more: &str| {
            let text = TABLE.replace("https://id.example.com", url);
            let given = Given::nothing().file(&format!("environment = \"{environment}\"{text}{more}"));
            given.env("ADMIN_API_KEY", "0123456789abcdef").load()
        };
        assert!(load("development", "").is_ok() && load("production", "allow_insecure = true").is_ok(), "{url}");
        let refused = load("production", "").unwrap_err().to_string();
        assert!(refused.contains("allow_insecure"), "{url}: {refused}");
    }
}

#[test]
fn every_field_is_documented() {
    let loaded = Given::nothing()
        .file(&format!(
            "{TABLE}jwks_url = \"https://x\"\ntoken_type = \"at+jwt\"\nproject_template = \"{{project}}\"\n\
             roles = {{ a = [\"read\"] }}\nbucket_claim = \"b\"\nadmin_claim = \"a\"\nadmin_value = \"v\"\n"
        ))
        .loaded();
    let fields = serde_json::to_value(&loaded.config.auth.oidc[0]).unwrap();
    let reference = crate::config::reference();
    for field in fields.as_object().unwrap().keys() {
        assert!(reference.contains(&format!("\n| `{field}` |")), "{field}");
    }
}
