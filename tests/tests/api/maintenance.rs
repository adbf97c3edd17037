//! Maintenance of lakes: many small files, old snapshots, and files that nobody reads any more.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use gadwall_tests::support::{Client, Reply, TestServer};
use serde_json::{Value, json};

const AT: &str = "/projects/p/maintenance";
const TABLE: &str = "/projects/p/buckets/main/tables/t";

/// A server whose files go as soon as nobody needs them.
async fn server() -> Result<TestServer> {
    TestServer::start_with(|config| config.maintenance.keep_files_for = Duration::ZERO).await
}

fn ok(reply: Result<Reply>) -> Result<Value> {
    let reply = reply?;
    if !(200..300).contains(&reply.status) {
        bail!("{}: {}", reply.status, reply.text);
    }
    Ok(if reply.text.is_empty() { Value::Null } else { reply.json() })
}

async fn make_table(owner: &Client<'_>) -> Result<()> {
    let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "v", "type": "VARCHAR"}]);
    let body = json!({ "name": "t", "columns": columns, "primary_key": ["id"] });
    ok(owner.post("/projects/p/buckets/main/tables", &body).await).map(drop)
}

/// Appends rows one by one; answers the snapshot of the last.
async fn append(owner: &Client<'_>, ids: std::ops::Range<u32>) -> Result<u64> {
    let mut last = 0;
    for id in ids {
        let rows = json!({ "rows": [{ "id": id, "v": format!("v{id}") }] });
        let told = ok(owner.post(&format!("{TABLE}/rows"), &rows).await)?;
        last = told["snapshot_id"].as_u64().context("no snapshot")?;
    }
    Ok(last)
}

async fn count(owner: &Client<'_>, version: &str) -> Result<Reply> {
    let query = json!({ "query": "SELECT count(*) AS n, sum(id) AS s FROM t" });
    owner.post(&format!("/projects/p/query{version}"), &query).await
}

async fn counted(owner: &Client<'_>, version: &str) -> Result<Value> {
    Ok(ok(count(owner, version).await)?["rows"][0].clone())
}

/// Runs maintenance to its end; answers what came of it.
async fn run(owner: &Client<'_>, body: Value) -> Result<Value> {
    let begun = owner.post(&format!("{AT}/runs"), &body).await?;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let location = begun.header("location").to_owned();
    for _ in 0..1_200 {
        let told = ok(owner.get(&location).await)?;
        match told["state"].as_str() {
            Some("pending" | "running") => tokio::time::sleep(Duration::from_millis(50)).await,
            Some("succeeded") => return Ok(told["result"].clone()),
            _ => bail!("{told}"),
        }
    }
    bail!("the run never ended")
}

#[tokio::test]
async fn many_small_files_become_few_and_nothing_else_changes() -> Result<()> {
    let server = server().await?;
    let owner = server.project("p").await?;
    make_table(&owner).await?;
    let first = append(&owner, 0..20).await?;
    ok(owner.put("/projects/p/tags/before", &json!({ "snapshot_id": first })).await)?;
    append(&owner, 20..60).await?;
    let (now, then) = (counted(&owner, "").await?, counted(&owner, "?tag=before").await?);
    let changes = format!("{TABLE}/changes?from={first}");
    let told = owner.get(&changes).await?;
    assert_eq!(told.status, 200, "{}", told.text);
    let etag = owner.get(TABLE).await?.header("etag").to_owned();

    let health = ok(owner.get(AT).await)?;
    assert_eq!((&health["files"], &health["small_files"]), (&json!(60), &json!(60)), "{health}");
    assert_eq!(health["tables"][0]["table"], "t");
    let plan = ok(owner.get(&format!("{AT}/plan")).await)?;
    assert_eq!(plan["actions"][0]["step"], "merge_files", "{plan}");
    assert_eq!((&plan["actions"][0]["files"], &plan["actions"][0]["table"]), (&json!(60), &json!("t")));
    let dry = ok(owner.post(&format!("{AT}/runs?dry_run=true"), &json!({})).await)?;
    assert_eq!(dry, plan);
    assert_eq!(ok(owner.get(&format!("{AT}/runs")).await)?["operations"], json!([]), "a dry run is none");

    let done = run(&owner, json!({ "steps": ["merge_files"] })).await?;
    assert_eq!(done["steps"]["merge_files"]["files_removed"], 60, "{done}");
    assert_eq!(done["steps"]["merge_files"]["files_made"], 1, "{done}");
    let health = ok(owner.get(AT).await)?;
    assert_eq!((&health["files"], &health["waiting"]["files"]), (&json!(1), &json!(60)), "{health}");
    assert_eq!(health["last_run"]["state"], "succeeded");

    assert_eq!(counted(&owner, "").await?, now);
    assert_eq!(counted(&owner, "?tag=before").await?, then);
    // Behind the version is the table's size, which the document tells.
    let version = |etag: &str| etag.rsplit_once('.').map(|(version, _)| version.to_owned());
    let compacted = owner.get(TABLE).await?.header("etag").to_owned();
    assert_eq!(version(&compacted), version(&etag), "the table is as it was");
    assert_ne!(compacted, etag);
    let after = ok(owner.get(&changes).await)?;
    assert_eq!(after["rows"], told.json()["rows"], "no row changed");
    let taken = owner.post(&format!("{TABLE}/rows"), &json!({ "rows": [{ "id": 7, "v": "x" }] })).await?;
    assert_eq!(taken.status, 409, "{}", taken.text);
    append(&owner, 60..61).await?;
    let events = owner.get("/projects/p/events?limit=1000").await?;
    for kind in ["maintenance.files_compacted", "maintenance.completed"] {
        assert!(events.text.contains(kind), "{kind}: {}", events.text);
    }
    Ok(())
}

#[tokio::test]
async fn snapshots_end_unless_somebody_holds_them_and_their_files_go() -> Result<()> {
    let server = server().await?;
    let owner = server.project("p").await?;
    make_table(&owner).await?;
    let held = append(&owner, 0..15).await?;
    ok(owner.put("/projects/p/tags/held", &json!({ "snapshot_id": held })).await)?;
    let gone = append(&owner, 15..30).await?;
    append(&owner, 30..40).await?;
    let (now, then) = (counted(&owner, "").await?, counted(&owner, "?tag=held").await?);
    let policy = json!({ "keep_snapshots_for_seconds": 0, "keep_snapshots": 1 });
    let set = ok(owner.put(&format!("{AT}/policy"), &policy).await)?;
    assert_eq!((&set["wanted"], &set["policy"]["keep_snapshots"]), (&policy, &json!(1)), "{set}");

    let plan = ok(owner.get(&format!("{AT}/plan")).await)?;
    let expiring =
        plan["actions"].as_array().context("no actions")?.iter().find(|one| one["step"] == "expire_snapshots");
    let expiring = expiring.context("nothing ends")?["snapshot_ids"].as_array().context("no ids")?.clone();
    assert!(expiring.contains(&json!(gone)) && !expiring.contains(&json!(held)), "{plan}");

    let done = run(&owner, json!({})).await?;
    assert!(done["steps"]["expire_snapshots"]["snapshots_expired"].as_u64() > Some(35), "{done}");
    assert_eq!(done["steps"]["delete_files"]["files_removed"], 40, "{done}");
    assert!(done["bytes_reclaimed"].as_u64() > Some(0), "{done}");
    let health = ok(owner.get(AT).await)?;
    assert_eq!((&health["files"], &health["waiting"]["files"]), (&json!(1), &json!(0)), "{health}");

    assert_eq!(counted(&owner, "").await?, now);
    assert_eq!(counted(&owner, "?tag=held").await?, then);
    let missing = count(&owner, &format!("?snapshot={gone}")).await?;
    assert_eq!((missing.status, missing.code().as_str()), (404, "snapshot_not_found"), "{}", missing.text);
    let missing = owner.put("/projects/p/tags/late", &json!({ "snapshot_id": gone })).await?;
    assert_eq!(missing.status, 404, "{}", missing.text);
    let missing = owner.get(&format!("{TABLE}/changes?from={gone}")).await?;
    assert_eq!(missing.status, 404, "{}", missing.text);
    append(&owner, 40..41).await?;

    // What a tag held goes once it is gone.
    assert_eq!(owner.delete("/projects/p/tags/held").await?.status, 204);
    run(&owner, json!({ "steps": ["expire_snapshots"] })).await?;
    assert_eq!(count(&owner, &format!("?snapshot={held}")).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn files_stay_for_a_while_that_queries_may_still_read() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    make_table(&owner).await?;
    append(&owner, 0..12).await?;
    let done = run(&owner, json!({})).await?;
    assert_eq!(done["steps"]["merge_files"]["files_removed"], 12, "{done}");
    assert_eq!(done["steps"]["delete_files"]["files_removed"], 0, "{done}");
    let health = ok(owner.get(AT).await)?;
    assert_eq!(health["waiting"]["files"], 12, "{health}");
    Ok(())
}

#[tokio::test]
async fn deleted_rows_leave_the_files() -> Result<()> {
    let server = server().await?;
    let owner = server.project("p").await?;
    make_table(&owner).await?;
    let rows: Vec<Value> = (0..100).map(|id| json!({ "id": id, "v": "x" })).collect();
    ok(owner.post(&format!("{TABLE}/rows"), &json!({ "rows": rows })).await)?;
    let sql = json!({ "query": "DELETE FROM t WHERE id < 50" });
    ok(owner.post("/projects/p/query", &sql).await)?;
    let health = ok(owner.get(AT).await)?;
    assert_eq!(health["deleted_ratio"], 0.5, "{health}");
    let now = counted(&owner, "").await?;
    let done = run(&owner, json!({ "steps": ["rewrite_files"] })).await?;
    assert_eq!(done["steps"]["rewrite_files"]["files_removed"], 1, "{done}");
    assert_eq!(ok(owner.get(AT).await)?["deleted_ratio"], 0.0);
    assert_eq!(counted(&owner, "").await?, now);
    Ok(())
}

#[tokio::test]
async fn a_paused_project_is_left_alone_and_a_policy_is_checked() -> Result<()> {
    let server = server().await?;
    let owner = server.project("p").await?;
    for body in
        [json!({ "keep_snapshots": 0 }), json!({ "delete_ratio": 2 }), json!({ "small_file_bytes": 1u64 << 33 })]
    {
        let refused = owner.put(&format!("{AT}/policy"), &body).await?;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_maintenance_policy"), "{}", refused.text);
    }
    let refused = owner.post(&format!("{AT}/runs"), &json!({ "steps": ["nonsense"] })).await?;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(owner.post(&format!("{AT}/pause"), &Value::Null).await?.status, 204);
    assert_eq!(ok(owner.get(AT).await)?["paused"], true);
    let refused = owner.post(&format!("{AT}/runs"), &json!({})).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "maintenance_paused"), "{}", refused.text);
    assert_eq!(owner.post(&format!("{AT}/resume"), &Value::Null).await?.status, 204);
    run(&owner, json!({})).await?;
    let runs = ok(owner.get(&format!("{AT}/runs?limit=1")).await)?;
    assert_eq!(runs["operations"][0]["kind"], "maintenance", "{runs}");
    let missing = owner.get(&format!("{AT}/runs/nonsense")).await?;
    assert_eq!((missing.status, missing.code().as_str()), (404, "maintenance_run_not_found"), "{}", missing.text);
    Ok(())
}
