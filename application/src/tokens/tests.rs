//! Tokens over a verifier that believes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::{Grant, Scope};
use gadwall_domain::names::ProjectId;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::testing::FixedClock;
use crate::testing::builders::{bucket, noon, project_id};

const ISSUER: &str = "https://id.example.com";

fn rules() -> ClaimRules {
    ClaimRules {
        subject: Claim::new("sub"),
        projects: Some((Claim::new("/gadwall/projects"), ProjectTemplate::parse("gw:{project}").unwrap())),
        scopes: Claim::new("scope"),
        roles: BTreeMap::new(),
        bucket: None,
        admin: Some(AdminRule { claim: Claim::new("groups"), value: "data admins".to_owned() }),
    }
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value}") };
    map
}

fn grant(rules: &ClaimRules, claims: Value) -> Result<Grant, TokenError> {
    rules.read(ISSUER, &map(claims), noon()).map(|access| access.grant)
}

fn projects(found: &[&str], scopes: &[Scope]) -> Grant {
    Grant::Projects {
        projects: found.iter().copied().map(project_id).collect(),
        scopes: scopes.iter().copied().collect(),
        bucket: None,
    }
}

#[test]
fn tokens_are_told_by_their_shape() {
    for token in ["a.b.c", "eyJhbGciOiJub25lIn0.e30.", "A-_9.B.C"] {
        assert!(is_token(token), "{token}");
    }
    let others = ["", "..", "a.b", "a..c", ".b.c", "a.b.c.d", "a.b.c.d.e", "a b.c.d", "a.b.c=", "a+.b.c", "ä.b.c"];
    for other in others.into_iter().chain(["gadwall_00ab_00cd", "proj_p.1_admin_00"]) {
        assert!(!is_token(other), "{other}");
    }
}

#[test]
fn projects_and_scopes_come_from_texts_and_lists() {
    let rules = rules();
    for (named, scope, expected) in [
        (json!("gw:p1"), json!("openid read  write"), projects(&["p1"], &[Scope::Read, Scope::Write])),
        (json!(["gw:p1", "gw:P2", "other", "gw:", "gw:a b", 7]), json!(["manage", 1]), {
            projects(&["p1", "p2"], &[Scope::Manage])
        }),
        (json!({ "gw:p1": true }), json!(7), projects(&[], &[])),
        (json!("gw:p1 gw:p2"), json!("READ"), projects(&[], &[])),
        (Value::Null, Value::Null, projects(&[], &[])),
    ] {
        let claims = json!({ "sub": "ann", "gadwall": { "projects": named }, "scope": scope });
        assert_eq!(grant(&rules, claims.clone()), Ok(expected), "{claims}");
    }
    assert_eq!(grant(&rules, json!({ "sub": "ann" })), Ok(projects(&[], &[])));
}

#[test]
fn with_roles_only_these_count() {
    let named = [("analyst".to_owned(), [Scope::Read].into()), ("lead".to_owned(), [Scope::Read, Scope::Write].into())];
    let rules = ClaimRules { roles: named.into(), scopes: Claim::new("/a~1b/roles"), ..rules() };
    let claims = json!({ "sub": "ann", "a/b": { "roles": ["analyst", "manage", "lead"] } });
    assert_eq!(grant(&rules, claims), Ok(projects(&[], &[Scope::Read, Scope::Write])));
}

#[test]
fn only_the_very_value_makes_an_admin() {
    let says = |groups: Value| grant(&rules(), json!({ "sub": "ann", "groups": groups }));
    for groups in [json!("data admins"), json!(["x", "data admins"])] {
        assert_eq!(says(groups), Ok(Grant::Admin));
    }
    for groups in [json!("no data admins"), json!(["data", "admins"]), json!([["data admins"]]), json!(true)] {
        assert_eq!(says(groups.clone()), Ok(projects(&[], &[])), "{groups}");
    }
    let of_scope = AdminRule { claim: Claim::new("scope"), value: "gw:admin".to_owned() };
    let rules = ClaimRules { admin: Some(of_scope), ..rules() };
    assert_eq!(grant(&rules, json!({ "sub": "ann", "scope": "openid gw:admin" })), Ok(Grant::Admin));
}

#[test]
fn a_limit_to_a_bucket_is_never_lost() {
    let needed = BucketRule { claim: Claim::new("bucket"), optional: false };
    let always = ClaimRules { bucket: Some(needed.clone()), ..rules() };
    let lax = ClaimRules { bucket: Some(BucketRule { optional: true, ..needed }), ..rules() };
    let limit = |rules: &ClaimRules, claims: Value| match grant(rules, claims) {
        Ok(Grant::Projects { bucket, .. }) => Ok(bucket),
        Ok(Grant::Admin) => panic!("no admin"),
        Err(error) => Err(error),
    };
    assert_eq!(limit(&always, json!({ "sub": "a", "bucket": "Sales" })), Ok(Some(bucket("sales"))));
    assert_eq!(limit(&lax, json!({ "sub": "a" })), Ok(None));
    assert!(limit(&always, json!({ "sub": "a" })).is_err());
    for wrong in [json!(["sales"]), json!(""), json!("a b/c"), json!(7), json!(false)] {
        for rules in [&always, &lax] {
            assert!(limit(rules, json!({ "sub": "a", "bucket": wrong })).is_err(), "{wrong}");
        }
    }
}

#[test]
fn somebody_has_to_be_spoken_of() {
    let long = "x".repeat(256);
    for subject in [Value::Null, json!(7), json!(""), json!(["ann"]), json!(long)] {
        assert!(grant(&rules(), json!({ "sub": subject, "groups": "data admins" })).is_err(), "{subject}");
    }
    let id = |subject: &str| rules().read(ISSUER, &map(json!({ "sub": subject })), noon()).unwrap().id.to_string();
    assert_eq!(id("ann@example.com"), "id.example.com#ann@example.com");
    assert_eq!(id("a#b\n\u{e9}%"), "id.example.com#a%23b%0A%C3%A9%25");
}

#[test]
fn a_template_names_one_project() {
    assert!(ProjectTemplate::parse("{project}").is_ok());
    for wrong in ["", "gw:", "{project}{project}", "{Project}"] {
        assert_eq!(ProjectTemplate::parse(wrong), Err(TemplateError), "{wrong}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(read|write|manage|gw:p[0-9]|data admins|[ -~]{0,12}|\\PC{0,8})".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("(projects|roles|[a-z/~]{0,4})", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever the claims are: who is no admin gets nothing that no text of theirs names.
    #[test]
    fn claims_never_give_more_than_they_say(
        subject in "\\PC{0,40}", named in any_json(), scope in any_json(), groups in any_json(), path in "/?[a-z/~01]{0,8}"
    ) {
        let rules = ClaimRules { subject: Claim::new("sub"), ..rules() };
        let claims = map(json!({ "sub": subject, "gadwall": { "projects": named }, "scope": scope, "groups": groups }));
        let _ = Claim::new(path).find(&claims);
        let texts = |value: &Value| value.to_string();
        if let Ok(access) = rules.read(ISSUER, &claims, noon()) {
            prop_assert!(access.id.to_string().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(access.id.to_string().len() <= 511);
            match access.grant {
                Grant::Admin => prop_assert!(texts(&groups).contains("data admins")),
                Grant::Projects { projects, scopes, bucket } => {
                    prop_assert!(bucket.is_none());
                    for project in &projects {
                        let wanted = format!("gw:{project}").to_lowercase();
                        prop_assert!(texts(&named).to_lowercase().contains(&wanted));
                    }
                    for allowed in scopes {
                        prop_assert!(texts(&scope).contains(allowed.as_str()));
                    }
                }
            }
        }
    }

    /// Two subjects never look alike.
    #[test]
    fn subjects_stay_apart(one in "\\PC{1,20}", other in "\\PC{1,20}") {
        use gadwall_domain::ids::TokenId;
        let (first, second) = (TokenId::new(ISSUER, &one), TokenId::new(ISSUER, &other));
        prop_assert_eq!(one == other, first == second);
    }

    #[test]
    fn a_template_reads_what_it_would_write(before in "[ -~&&[^{]]{0,10}", after in "[ -~&&[^{]]{0,10}", id in "[a-z][a-z0-9_]{0,20}") {
        let template = ProjectTemplate::parse(&format!("{before}{{project}}{after}")).unwrap();
        let rules = ClaimRules { projects: Some((Claim::new("p"), template)), ..rules() };
        let claims = json!({ "sub": "a", "p": format!("{before}{id}{after}") });
        prop_assert_eq!(grant(&rules, claims), Ok(projects(&[id.as_str()], &[])));
    }
}

/// Believes that a token's first part is its subject, and counts.
struct Credulous(AtomicUsize, DateTime<Utc>);

#[async_trait]
impl TokenVerifier for Credulous {
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let subject = token.split('.').next().unwrap_or_default();
        if subject == "bad" {
            return Err(TokenError::Invalid("it is bad"));
        }
        let claims = map(json!({ "sub": subject, "gadwall": { "projects": "gw:p" }, "scope": "read" }));
        Ok(VerifiedToken { issuer: ISSUER.to_owned(), claims, expires_at: self.1 })
    }
}

#[tokio::test]
async fn a_good_token_is_remembered_for_a_while_but_not_beyond_its_end() {
    let clock = Arc::new(FixedClock::at(noon()));
    let verifier = Arc::new(Credulous(AtomicUsize::new(0), noon() + TimeDelta::seconds(40)));
    let tokens = Tokens::new(Arc::clone(&verifier) as _, [(ISSUER.to_owned(), rules())], Arc::clone(&clock) as _);
    let asked = || verifier.0.load(Ordering::Relaxed);
    for _ in 0..3 {
        assert!(tokens.identify("ann.x.y").await.is_ok());
        assert!(tokens.identify("bad.x.y").await.is_err());
    }
    assert_eq!(asked(), 1 + 3, "a bad one is never remembered");
    assert!(tokens.identify("bob.x.y").await.is_ok());
    assert_eq!(asked(), 5);
    clock.advance(TimeDelta::seconds(30));
    tokens.identify("ann.x.y").await.unwrap();
    assert_eq!(asked(), 6);
    clock.advance(TimeDelta::seconds(10));
    tokens.identify("ann.x.y").await.unwrap();
    assert_eq!(asked(), 7, "the verifier decides about the end");
    let long = format!("ann.x.{}", "y".repeat(MAX_TOKEN));
    assert!(tokens.identify(&long).await.is_err());
    assert_eq!(asked(), 7);
    let id: ProjectId = project_id("p");
    assert!(
        matches!(tokens.identify("ann.x.y").await.unwrap().grant, Grant::Projects { projects, .. } if projects.contains(&id))
    );
}
