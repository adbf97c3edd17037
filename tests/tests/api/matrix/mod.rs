//! Every route with every kind of key: the answer to each is what one table of rules says.
//!
//! A route of the OpenAPI document without a rule fails here, and so does a rule without a route.

mod rules;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use chrono::{TimeDelta, Utc};
use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::names::BucketName;
use gadwall_tests::support::{ADMIN_KEY, TestServer, add_key_with, operations, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::tokens::Provider;

use rules::{BESIDE_THE_DOCUMENT, Level, RULES, Reach, Rule};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    NoKey,
    WrongKey,
    /// May do everything in another project.
    OtherProject,
    /// The project's own keys, by what they may do.
    Reader,
    Writer,
    Owner,
    /// May do everything in the bucket that paths name.
    InBucket,
    /// May do everything in another bucket.
    InOtherBucket,
    Expired,
    Revoked,
    Admin,
    /// Tokens of an identity provider that say what the keys above do.
    TokenReader,
    TokenWriter,
    TokenInBucket,
    TokenOfOtherProject,
    TokenAdmin,
    BadToken,
}

use Who::{
    Admin, BadToken, Expired, InBucket, InOtherBucket, NoKey, OtherProject, Owner, Reader, Revoked, TokenAdmin,
    TokenInBucket, TokenOfOtherProject, TokenReader, TokenWriter, Writer, WrongKey,
};

const EVERYONE: [Who; 17] = [
    NoKey,
    WrongKey,
    OtherProject,
    Reader,
    Writer,
    Owner,
    InBucket,
    InOtherBucket,
    Expired,
    Revoked,
    Admin,
    TokenReader,
    TokenWriter,
    TokenInBucket,
    TokenOfOtherProject,
    TokenAdmin,
    BadToken,
];

impl Who {
    /// The key that a token is as good as.
    fn as_key(self) -> Self {
        match self {
            TokenReader => Reader,
            TokenWriter => Writer,
            TokenInBucket => InBucket,
            TokenOfOtherProject => OtherProject,
            TokenAdmin => Admin,
            BadToken => Expired,
            key => key,
        }
    }

    /// What a token says beside whose it is; none for a key.
    fn claims(self) -> Option<Value> {
        Some(match self {
            TokenReader => json!({ "projects": "ours", "scope": "read" }),
            TokenWriter => json!({ "projects": ["ours"], "scope": "read write" }),
            TokenInBucket => json!({ "projects": "ours", "scope": "read write manage", "bucket": "B" }),
            TokenOfOtherProject => json!({ "projects": "theirs", "scope": "read write manage" }),
            TokenAdmin => json!({ "groups": ["gadwall"] }),
            BadToken => json!({ "projects": "ours", "scope": "read write manage", "aud": "another" }),
            _ => return None,
        })
    }

    fn has(self, scope: Scope) -> bool {
        match self {
            Reader => scope == Scope::Read,
            Writer => scope != Scope::Manage,
            _ => true,
        }
    }

    fn reaches(self, reach: Reach) -> bool {
        match (self, reach) {
            (InBucket, reach) => reach != Reach::Whole,
            (InOtherBucket, reach) => reach == Reach::Any,
            _ => true,
        }
    }
}

/// The failing status that a rule has for someone; none where they are let in.
#[expect(clippy::match_same_arms, reason = "in the order in which they are looked at")]
fn refusal(rule: &Rule, who: Who) -> Option<u16> {
    match (rule.level, who.as_key()) {
        (Level::Public, _) | (_, Admin) => None,
        (_, NoKey | Expired | Revoked) => Some(401),
        (Level::Project, WrongKey | OtherProject) => Some(403),
        (_, WrongKey) | (Level::Admin, _) => Some(401),
        (Level::Engine, _) => Some(403),
        (Level::Known, _) => None,
        // The other project's is another one's own.
        (Level::Project | Level::Own, who) => (!(who.has(rule.scope) && who.reaches(rule.reach))).then_some(403),
    }
}

struct Matrix {
    server: TestServer,
    provider: Provider,
    owner: String,
    stranger: String,
    /// The id of a key that nobody uses.
    spare: String,
}

impl Matrix {
    async fn start() -> Result<Self> {
        let provider = Provider::start().await?;
        let server = TestServer::start_with(|config| {
            config.auth.max_failures_per_minute = 0;
            config.auth.oidc = vec![provider.settings(json!({ "bucket_claim": "bucket", "bucket_optional": true }))];
        })
        .await?;
        let owner = server.project("ours").await?.key().to_owned();
        let stranger = server.project("theirs").await?.key().to_owned();
        let ours = server.with_key(&owner);
        let spare = ours.post("/projects/ours/keys", &json!({ "name": "spare", "scopes": ["read"] })).await?;
        let spare = spare.json()["id"].as_str().context("no key was made")?.to_owned();
        let columns = json!([{"name": "i", "type": "INT"}, {"name": "v", "type": "INT"}]);
        for (path, body) in [
            ("/projects/ours/buckets", json!({ "name": "b" })),
            ("/projects/ours/buckets", json!({ "name": "elsewhere" })),
            ("/projects/ours/buckets/b/tables", json!({ "name": "t", "columns": columns })),
            ("/projects/ours/buckets/b/tables/t/rows", json!([{"i": 1}])),
            ("/projects/ours/datasets", json!({ "name": "d" })),
        ] {
            let made = ours.post(path, &body).await?;
            assert!(made.status < 300, "{path}: {}", made.text);
        }
        for (path, body) in [
            ("/projects/ours/buckets/b/views/v", json!({ "query": "SELECT 1 AS one" })),
            ("/projects/ours/tags/x", json!({})),
        ] {
            let made = ours.put(path, &body).await?;
            assert!(made.status < 300, "{path}: {}", made.text);
        }
        let object = ours.request(Method::PUT, "/projects/ours/datasets/d/o.csv").body("i\n1\n");
        assert_eq!(send(object).await?.status / 100, 2);
        let all = [Scope::Read, Scope::Write, Scope::Manage];
        #[expect(clippy::disallowed_methods, reason = "the server goes by the system's clock")]
        let past = Utc::now() - TimeDelta::hours(1);
        for (who, scopes, bucket) in [
            (Reader, &all[..1], None),
            (Writer, &all[..2], None),
            (InBucket, &all[..], Some("B")),
            (InOtherBucket, &all[..], Some("elsewhere")),
            (Expired, &all[..], None),
            (Revoked, &all[..], None),
        ] {
            let bucket = bucket.map(BucketName::parse).transpose()?;
            add_key_with(server.data_dir(), "ours", &format!("{who:?}"), |key: &mut ApiKey| {
                key.scopes = scopes.iter().copied().collect();
                key.bucket = bucket;
                key.expires_at = (who == Expired).then_some(past);
                key.revoked_at = (who == Revoked).then_some(past);
            })
            .await?;
        }
        Ok(Self { server, provider, owner, stranger, spare })
    }

    fn path(&self, rule: &Rule) -> String {
        // The short routes name a table with its bucket, and call datasets buckets.
        let is_short = rule.level == Level::Own;
        let path = rule
            .path
            .replace("{project}", "ours")
            .replace("{project_id}", "3b241101-e2bb-4255-8caf-4136c566a962")
            .replace("{entity}", "things")
            .replace("{id}", "1")
            .replace("{schema}", "project_schema")
            .replace("{key}", &self.spare)
            .replace("{bucket}", if is_short { "d" } else { "b" })
            .replace("{table}", if is_short { "b.t" } else { "t" })
            .replace("{view}", "v")
            .replace("{column}", "v")
            .replace("{snapshot}", "1")
            .replace("{tag}", "x")
            .replace("{dataset}", "d")
            .replace("{object}", "o.csv")
            .replace("{job}", "j")
            .replace("{namespace}", "ducklake")
            .replace("{event}", "1")
            .replace("{run}", "018f0000-0000-7000-8000-000000000000")
            .replace("{client}", "x")
            .replace("{webhook}", "018f0000-0000-7000-8000-000000000000")
            .replace("{consumer}", "x")
            .replace("{operation}", "018f0000-0000-7000-8000-000000000000")
            .replace("{backup}", "018f0000-0000-7000-8000-000000000000")
            .replace("{query}", "018f0000-0000-7000-8000-000000000000");
        assert!(!path.contains('{'), "{path} needs a value for a parameter");
        path + rule.query
    }

    fn token(&self, who: Who) -> String {
        self.provider.token(who.claims().unwrap_or_default())
    }

    /// What a rule's route answers to someone.
    async fn ask(&self, rule: &Rule, who: Who) -> Result<(u16, String)> {
        let request = self.server.request(Method::from_bytes(rule.method.as_bytes())?, &self.path(rule));
        let request = match who {
            NoKey => request,
            WrongKey => request.bearer_auth(format!("proj_ours_admin_{:032x}", 1)),
            OtherProject => request.bearer_auth(&self.stranger),
            Owner => request.bearer_auth(&self.owner),
            Admin => request.bearer_auth(ADMIN_KEY).header("X-Project", "ours"),
            TokenAdmin => request.bearer_auth(self.token(who)).header("X-Project", "ours"),
            other if other.claims().is_some() => request.bearer_auth(self.token(who)),
            other => request.bearer_auth(format!("{other:?}")),
        };
        let is_object = rule.path.ends_with("{object}");
        let request = match rule.body {
            "" => request,
            body => request
                .header("Content-Type", if is_object { "application/octet-stream" } else { "application/json" })
                .body(body),
        };
        let reply = send(request).await?;
        Ok((reply.status, reply.text))
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_its_rule_lets_in() -> Result<()> {
    let matrix = Matrix::start().await?;
    let mut rules: Vec<&Rule> = RULES.iter().chain(BESIDE_THE_DOCUMENT).collect();
    let mut wrong = Vec::new();
    // First those who are kept out: all that they ask for is there and stays.
    for rule in &rules {
        for who in EVERYONE {
            let Some(expected) = refusal(rule, who) else { continue };
            let (status, text) = matrix.ask(rule, who).await?;
            if status != expected {
                wrong.push(format!("{} {} as {who:?}: {status} for {expected} {text}", rule.method, rule.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What takes something away comes last, and the project goes after all else.
    rules.sort_by_key(|rule| (rule.method == "DELETE", rule.path == "/projects/{project}", Reverse(rule.path.len())));
    for rule in &rules {
        for who in EVERYONE {
            if refusal(rule, who).is_some() {
                continue;
            }
            let (status, text) = matrix.ask(rule, who).await?;
            if matches!(status, 401 | 403 | 405 | 415 | 429) || text.contains("route_not_found") {
                wrong.push(format!("{} {} as {who:?}: {status} {text}", rule.method, rule.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn every_route_of_the_document_has_a_rule() -> Result<()> {
    let server = TestServer::start().await?;
    let document = send(server.request(Method::GET, "/openapi.json")).await?.json();
    let mut routes = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let has_key = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        routes.insert((method.to_uppercase(), path.to_owned(), has_key));
    }
    let ruled: BTreeSet<_> =
        RULES.iter().map(|rule| (rule.method.to_owned(), rule.path.to_owned(), rule.level != Level::Public)).collect();
    assert_eq!(ruled.len(), RULES.len(), "a route has one rule");
    let missing: Vec<_> = routes.difference(&ruled).collect();
    assert!(missing.is_empty(), "routes without a rule in matrix/rules.rs: {missing:#?}");
    let stale: Vec<_> = ruled.difference(&routes).collect();
    assert!(stale.is_empty(), "rules without a route: {stale:#?}");
    Ok(())
}
