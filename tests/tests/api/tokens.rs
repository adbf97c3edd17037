//! Tokens of an identity provider beside keys.

use anyhow::Result;
use chrono::Utc;
use gadwall::config::Issuer as Settings;
use gadwall_test_services::{Answers, Issuer, SigningKey};
use gadwall_tests::support::{Client, Reply, TestServer, audited, send};
use reqwest::Method;
use serde_json::{Value, json};

/// An identity provider, and the key that it signs with.
pub(crate) struct Provider {
    issuer: Issuer,
    key: SigningKey,
}

impl Provider {
    pub(crate) async fn start() -> Result<Self> {
        let key = SigningKey::new("k1", "ES256")?;
        let issuer = Issuer::start(&[&key]).await?;
        Ok(Self { issuer, key })
    }

    /// Settings that take its tokens, with these besides.
    pub(crate) fn settings(&self, more: Value) -> Settings {
        let settings = json!({
            "issuer": self.issuer.url(), "audiences": "gadwall", "project_claim": "projects",
            "admin_claim": "groups", "admin_value": "gadwall", "timeout": "1s",
        });
        serde_json::from_value(with(settings, more)).unwrap()
    }

    /// A good token for a minute, with other claims.
    pub(crate) fn token(&self, more: Value) -> String {
        let claims = json!({ "iss": self.issuer.url(), "aud": "gadwall", "sub": "ann", "exp": now() + 60 });
        self.key.token(&with(claims, more))
    }

    async fn server(&self) -> Result<TestServer> {
        TestServer::start_with(|config| config.auth.oidc = vec![self.settings(json!({}))]).await
    }
}

fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return base };
    for (name, value) in more {
        base[name] = value;
    }
    base
}

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the server goes by the system's clock")]
    Utc::now().timestamp()
}

fn outcome(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_token_does_what_its_claims_say() -> Result<()> {
    let provider = Provider::start().await?;
    let server = provider.server().await?;
    server.project("p").await?;
    server.project("q").await?;
    let as_of = |more: Value| server.with_key(&provider.token(more));

    let reader = as_of(json!({ "projects": "P", "scope": "openid read" }));
    assert_eq!(reader.get("/projects/p").await?.status, 200);
    let bucket = json!({ "name": "b" });
    assert_eq!(outcome(&reader.post("/projects/p/buckets", &bucket).await?), refusal(403, "forbidden"));
    // What isn't theirs looks as what isn't there, even when their token names it.
    let forbidden = reader.get("/projects/q").await?;
    let nowhere = as_of(json!({ "projects": ["p", "nowhere"], "scope": "read" }));
    for missing in [&reader, &nowhere] {
        let missing = missing.get("/projects/nowhere").await?;
        assert_eq!(outcome(&missing), outcome(&forbidden));
        assert_eq!(missing.json()["detail"], forbidden.json()["detail"]);
    }
    assert_eq!(outcome(&reader.get("/projects").await?), refusal(401, "unauthorized"));

    let manager = as_of(json!({ "projects": ["p", "q"], "scope": ["read", "manage"] }));
    for project in ["p", "q"] {
        assert_eq!(manager.post(&format!("/projects/{project}/buckets"), &bucket).await?.status, 201);
    }
    // Short routes are about one project.
    assert_eq!(manager.get("/tables").await?.status, 422);
    for (project, status) in [("p", 200), ("Q", 200), ("nowhere", 403)] {
        let named = manager.request(Method::GET, "/tables").header("X-Project", project);
        assert_eq!(send(named).await?.status, status, "{project}");
    }
    assert_eq!(reader.get("/tables").await?.status, 200);

    assert_eq!(outcome(&as_of(json!({})).get("/projects/p").await?), refusal(403, "forbidden"));
    assert_eq!(as_of(json!({ "groups": ["x", "gadwall"] })).get("/projects").await?.status, 200);
    assert_eq!(as_of(json!({ "groups": "gadwalls" })).get("/projects").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_told_why_and_shown_nowhere() -> Result<()> {
    let provider = Provider::start().await?;
    let server = provider.server().await?;
    server.project("p").await?;
    let owner = json!({ "projects": "p", "scope": "read write manage" });
    let stranger = SigningKey::new("k1", "ES256")?;
    let claims =
        json!({ "iss": provider.issuer.url(), "aud": "gadwall", "sub": "ann", "exp": now() + 60, "projects": "p" });
    let good = provider.token(owner.clone());
    let (signed, _) = good.rsplit_once('.').unwrap();
    for (token, code) in [
        (provider.token(with(owner.clone(), json!({ "exp": now() - 31 }))), "token_expired"),
        (provider.token(with(owner.clone(), json!({ "aud": "other" }))), "token_invalid"),
        (provider.token(with(owner.clone(), json!({ "iss": "https://elsewhere.example" }))), "token_invalid"),
        (provider.token(with(owner.clone(), json!({ "nbf": now() + 300 }))), "token_invalid"),
        (provider.token(with(owner.clone(), json!({ "sub": null }))), "token_invalid"),
        (stranger.token(&claims), "token_invalid"),
        (provider.key.token_with(&json!({ "alg": "none" }), &claims), "token_invalid"),
        (format!("{signed}."), "token_invalid"),
        ("a.b.c".to_owned(), "token_invalid"),
    ] {
        let client = server.with_key(&token);
        for reply in
            [client.get("/projects/p").await?, client.post("/projects/p/buckets", &json!({"name": "b"})).await?]
        {
            assert_eq!(outcome(&reply), refusal(401, code), "{token}");
            assert_eq!(reply.header("WWW-Authenticate"), "Bearer error=\"invalid_token\"");
            assert!(!token.split('.').any(|part| part.len() > 2 && reply.text.contains(part)), "{}", reply.text);
        }
    }
    assert_eq!(server.with_key(&good).get("/projects/p").await?.status, 200);
    assert_eq!(server.with_key("a.b").get("/projects/p").await?.status, 403, "a key that nobody has");
    Ok(())
}

#[tokio::test]
async fn keys_go_on_while_the_issuer_is_away_and_so_do_tokens_with_known_keys() -> Result<()> {
    let provider = Provider::start().await?;
    provider.issuer.answer(Answers::Status(500));
    let server = provider.server().await?;
    let owner = server.project("p").await?;
    let token = provider.token(json!({ "projects": "p", "scope": "read" }));
    let away = server.with_key(&token).get("/projects/p").await?;
    assert_eq!(outcome(&away), refusal(503, "issuer_unavailable"));
    let seconds: u64 = away.header("Retry-After").parse()?;
    assert!((1..=60).contains(&seconds) && away.json()["retryable"] == true, "{}", away.text);
    assert_eq!(owner.get("/projects/p").await?.status, 200);
    server.stop().await?;

    provider.issuer.answer(Answers::Documents);
    let server = provider.server().await?;
    server.project("p").await?;
    let token = |subject: &str| provider.token(json!({ "projects": "p", "scope": "read", "sub": subject }));
    assert_eq!(server.with_key(&token("ann")).get("/projects/p").await?.status, 200);
    provider.issuer.answer(Answers::Nothing);
    assert_eq!(server.with_key(&token("bob")).get("/projects/p").await?.status, 200);
    Ok(())
}

/// Who did the last of such a thing in a project.
async fn auditor(server: &TestServer, what: &str) -> Result<String> {
    let entries = audited(server.data_dir(), "p").await?;
    let found = entries.into_iter().find(|[_, operation, _]| operation == what);
    Ok(found.map(|[who, ..]| who).unwrap_or_default())
}

#[tokio::test]
async fn what_a_token_did_is_kept_under_issuer_and_subject() -> Result<()> {
    let provider = Provider::start().await?;
    let server = provider.server().await?;
    server.project("p").await?;
    let host = provider.issuer.address();
    for (subject, clean, more) in [
        ("ann@example.com", "ann@example.com", json!({ "projects": "p", "scope": "read write manage" })),
        ("b\u{f6}b #1\n", "b%C3%B6b%20%231%0A", json!({ "groups": "gadwall" })),
    ] {
        let client = server.with_key(&provider.token(with(more, json!({ "sub": subject }))));
        let bucket = json!({ "name": format!("b{}", clean.len()) });
        assert_eq!(client.post("/projects/p/buckets", &bucket).await?.status, 201);
        let id = format!("{host}#{clean}");
        assert_eq!(auditor(&server, "bucket.created").await?, format!("token:{id}"));
        let snapshots = client.get("/projects/p/snapshots").await?.json();
        assert_eq!(snapshots["snapshots"][0]["writes"][0]["key_id"], json!(id), "{snapshots}");
        let answered = client.post("/projects/p/query", &json!({ "query": "SELECT 1" })).await?;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let queries = client.get("/projects/p/queries").await?;
        assert!(queries.text.contains(&format!("token:{id}")), "{}", queries.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_of_a_token_is_answered_as_before() -> Result<()> {
    let provider = Provider::start().await?;
    let server = provider.server().await?;
    server.project("p").await?;
    let bucket = json!({ "name": "b" });
    let post = |subject: &str, expires: i64| {
        let claims = json!({ "projects": "p", "scope": "manage", "sub": subject, "exp": now() + expires });
        let client = server.with_key(&provider.token(claims));
        client.request(Method::POST, "/projects/p/buckets").json(&bucket).header("Idempotency-Key", "once")
    };
    assert_eq!(send(post("ann", 60)).await?.status, 201);
    let again = send(post("ann", 90)).await?;
    assert_eq!(
        (again.status, again.header("Idempotency-Replayed")),
        (201, "true"),
        "another token, but the same person"
    );
    assert_eq!(send(post("bob", 60)).await?.status, 409);
    Ok(())
}

#[tokio::test]
async fn no_key_outlives_the_token_that_makes_it() -> Result<()> {
    let provider = Provider::start().await?;
    let server = provider.server().await?;
    server.project("p").await?;
    let manager = server.with_key(&provider.token(json!({ "projects": "p", "scope": "manage" })));
    let make = async |client: &Client<'_>, body: Value| client.post("/projects/p/keys", &body).await;
    let key = make(&manager, json!({ "name": "k", "scopes": ["manage"] })).await?;
    assert_eq!(key.status, 201, "{}", key.text);
    assert!(key.json()["expires_at"].is_string() && key.json()["created_by"].as_str().unwrap().ends_with("#ann"));
    for body in
        [json!({ "name": "k", "scopes": ["read"] }), json!({ "name": "k", "scopes": ["manage"], "expires_in": 3600 })]
    {
        assert_eq!(outcome(&make(&manager, body).await?), refusal(403, "exceeds_own_key"));
    }
    let admin = server.with_key(&provider.token(json!({ "groups": "gadwall" })));
    let key = make(&admin, json!({ "name": "k", "scopes": ["read"] })).await?;
    assert_eq!((key.status, &key.json()["expires_at"]), (201, &Value::Null), "{}", key.text);
    Ok(())
}

#[tokio::test]
async fn bad_tokens_are_slowed_down_but_not_those_that_were_good_once() -> Result<()> {
    let provider = Provider::start().await?;
    let server = TestServer::start_with(|config| {
        config.auth.max_failures_per_minute = 3;
        config.auth.oidc = vec![provider.settings(json!({}))];
    })
    .await?;
    let owner = server.project("p").await?;
    let old = provider.token(json!({ "projects": "p", "exp": now() - 3_600 }));
    for _ in 0..5 {
        assert_eq!(outcome(&server.with_key(&old).get("/projects/p").await?), refusal(401, "token_expired"));
    }
    assert_eq!(owner.get("/projects/p").await?.status, 200);
    for _ in 0..3 {
        assert_eq!(server.with_key("a.b.c").get("/projects/p").await?.status, 401);
    }
    let good = provider.token(json!({ "projects": "p", "scope": "read" }));
    for key in ["a.b.c", owner.key(), &good] {
        assert_eq!(outcome(&server.with_key(key).get("/projects/p").await?), refusal(429, "too_many_failures"));
    }
    Ok(())
}

#[tokio::test]
async fn several_issuers_each_mean_what_they_mean() -> Result<()> {
    let (people, machines) = (Provider::start().await?, Provider::start().await?);
    let server = TestServer::start_with(|config| {
        let roles = json!({
            "project_claim": "/realm_access/roles", "project_template": "gadwall-{project}",
            "scope_claim": "/realm_access/roles", "roles": { "analyst": ["read"], "engineer": ["read", "write"] },
            "bucket_claim": "bucket",
        });
        config.auth.oidc = vec![people.settings(roles), machines.settings(json!({}))];
    })
    .await?;
    let owner = server.project("p").await?;
    for bucket in ["sales", "other"] {
        owner.post("/projects/p/buckets", &json!({ "name": bucket })).await?;
    }
    let roles = json!({ "roles": ["offline_access", "gadwall-p", "analyst"] });
    let person = json!({ "realm_access": roles, "projects": "q", "scope": "manage", "bucket": "Sales" });
    let analyst = server.with_key(&people.token(person.clone()));
    assert_eq!(analyst.get("/projects/p/buckets/sales").await?.status, 200);
    for path in ["/projects/p/buckets/other", "/projects/q"] {
        assert_eq!(analyst.get(path).await?.status, 403, "{path}");
    }
    assert_eq!(analyst.delete("/projects/p/buckets/sales").await?.status, 403);
    let unlimited = people.token(with(person, json!({ "bucket": null })));
    assert_eq!(outcome(&server.with_key(&unlimited).get("/projects/p").await?), refusal(401, "token_invalid"));
    let machine = server.with_key(&machines.token(json!({ "projects": "p", "scope": "manage" })));
    assert_eq!(machine.delete("/projects/p/buckets/sales").await?.status, 204);
    Ok(())
}
