//! Writes that come to nothing.

use gadwall_domain::ports::lake::WriteError;

use super::*;
use crate::lineage::failures::Attempt;

async fn failed_runs(world: &World, caller: &Caller) -> Vec<Run> {
    let lineage = lineage(world);
    all_worked_off(&lineage).await;
    let failed = RunFilter { state: Some(RunState::Fail), limit: 10, ..RunFilter::default() };
    lineage.runs(caller, &project_id("p"), &failed).await.unwrap()
}

#[tokio::test]
async fn a_write_that_fails_is_a_run_that_failed() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (store, clock) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _);
    let failures = Failures::new(store, clock, Arc::new(SeqIds::default()), Arc::default());
    let mut origin = origin("r7");
    let parent = Uuid::from_u128(77).to_string();
    origin.run_id = Some(parent.clone());
    let (p, tables) = (project_id("p"), [table("main.t"), table("main.u")]);
    let sql = "insert into t select * from u";
    let attempt = |tables| Attempt { project: &p, origin: &origin, operation: "sql", tables, sql: Some(sql) };
    let error = UseCaseError::Invalid(format!("no such column{}", "!".repeat(5_000)));
    failures.tell(&attempt(&tables), &error).await;
    let internal = crate::error::about_table(&p, &table("main.t"))(WriteError::from(
        gadwall_domain::ports::lake::LakeError::Fault("/secret/path".into()),
    ));
    failures.tell(&attempt(&tables[..1]), &internal).await;
    failures.tell(&attempt(&[]), &error).await;

    let runs = failed_runs(&world, &caller).await;
    assert_eq!(runs.len(), 2, "what is about no table is no run");
    let texts: Vec<&str> =
        runs.iter().map(|run| run.facets["errorMessage"]["message"].as_str().unwrap_or_default()).collect();
    assert!(
        texts.iter().any(|text| text.starts_with("no such column") || text.contains("no such column!!")),
        "{texts:?}"
    );
    assert!(texts.iter().all(|text| text.len() <= 2_048 && !text.contains("secret")), "{texts:?}");
    assert!(runs.iter().all(|run| run.parent == RunId::parse(&parent) && run.ended_at.is_some()));
    let job = lineage(&world).job(&caller, &p, &runs[0].job).await.unwrap();
    assert_eq!((job.name.namespace(), job.name.name()), ("gadwall", "sql t"));
    assert_eq!(job.facets["sql"]["query"], sql);
}
