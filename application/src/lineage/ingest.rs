//! OpenLineage events as they come in.

use gadwall_domain::access::Scope;
use gadwall_domain::lineage::{EventError, Job, LineageEvent, Merged, NodeName, Run, RunId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::MetadataTx;
use serde_json::Value;

use super::Lineage;
use super::told::{Stage, Teller};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Most events in one request.
pub const MAX_EVENTS: usize = 10_000;

/// What came of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// Events that were taken.
    pub taken: usize,
    /// Those that were not: their number in the request, and why.
    pub refused: Vec<(usize, EventError)>,
}

impl Lineage {
    /// Takes events in, in order. Those that aren't events of OpenLineage are told, and the others taken.
    pub async fn ingest(
        &self,
        caller: &Caller,
        project: &ProjectId,
        events: Vec<Value>,
    ) -> Result<Ingested, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        if events.len() > MAX_EVENTS {
            return Err(UseCaseError::Invalid(format!("at most {MAX_EVENTS} events may come in one request")));
        }
        let mut read = Vec::with_capacity(events.len());
        let mut refused = Vec::new();
        for (number, event) in events.into_iter().enumerate() {
            let text = event.to_string();
            match LineageEvent::parse(event) {
                Ok(parsed) => read.push((text, parsed)),
                Err(error) => refused.push((number, error)),
            }
        }
        let taken = read.len();
        if taken > 0 {
            self.take_in(caller, &project, read).await?;
        }
        Ok(Ingested { taken, refused })
    }

    async fn take_in(
        &self,
        caller: &Caller,
        project: &ProjectId,
        events: Vec<(String, LineageEvent)>,
    ) -> Result<(), UseCaseError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        if !tx.lake_index().is_in_use(project).await? {
            return Err(UseCaseError::NoProjectAround(project.clone()));
        }
        let mut merged = known(&mut *tx, project, events.iter().map(|(_, event)| event)).await?;
        for (_, event) in &events {
            merged.job_and_run(event, now);
        }
        put_jobs_and_runs(&mut *tx, project, merged.jobs.values(), merged.runs.values()).await?;
        let waiting: Vec<bool> = events.iter().map(|(_, event)| has_datasets(event)).collect();
        let (mut texts, events): (Vec<String>, Vec<LineageEvent>) = events.into_iter().unzip();
        if let Some(most) = self.forward {
            tx.lineage().forward(project, &texts, now, most).await?;
        }
        let mut which = waiting.iter();
        texts.retain(|_| which.next().is_some_and(|waits| *waits));
        tx.lineage().enqueue(project, &texts, now).await?;
        let teller = Teller { project, request: &caller.request_id, now };
        let mut told = Vec::new();
        for (event, waits) in events.iter().zip(waiting) {
            let LineageEvent::Run(event) = event else { continue };
            told.push(teller.lineage(event, Stage::Processing));
            if !waits {
                told.push(teller.lineage(event, Stage::Completed));
            }
            told.extend(teller.job(event));
        }
        tx.events().append(&told).await?;
        tx.commit().await?;
        if !texts.is_empty() || self.forward.is_some() {
            self.came.notify_one();
        }
        Ok(())
    }
}

/// What is known of what events are about.
pub(super) async fn known<'e>(
    tx: &mut dyn MetadataTx,
    project: &ProjectId,
    events: impl Iterator<Item = &'e LineageEvent>,
) -> Result<Merged, UseCaseError> {
    let (mut jobs, mut runs): (Vec<NodeName>, Vec<RunId>) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            LineageEvent::Run(event) => {
                jobs.push(event.job.clone());
                runs.push(event.run);
            }
            LineageEvent::Job(event) => jobs.push(event.job.clone()),
            LineageEvent::Dataset(_) => {}
        }
    }
    jobs.sort();
    jobs.dedup();
    runs.sort();
    runs.dedup();
    let lineage = tx.lineage();
    let mut merged = Merged::default();
    for job in lineage.jobs(project, &jobs).await? {
        merged.jobs.insert(job.name.clone(), job);
    }
    for run in lineage.runs(project, &runs).await? {
        merged.runs.insert(run.id, run);
    }
    Ok(merged)
}

/// Puts the jobs first: runs are of them.
pub(super) async fn put_jobs_and_runs(
    tx: &mut dyn MetadataTx,
    project: &ProjectId,
    jobs: impl Iterator<Item = &Job> + Send,
    runs: impl Iterator<Item = &Run> + Send,
) -> Result<(), UseCaseError> {
    let jobs: Vec<Job> = jobs.cloned().collect();
    let runs: Vec<Run> = runs.cloned().collect();
    tx.lineage().put_jobs(project, &jobs).await?;
    Ok(tx.lineage().put_runs(project, &runs).await?)
}

fn has_datasets(event: &LineageEvent) -> bool {
    match event {
        LineageEvent::Run(event) => !event.inputs.is_empty() || !event.outputs.is_empty(),
        LineageEvent::Job(event) => !event.inputs.is_empty() || !event.outputs.is_empty(),
        LineageEvent::Dataset(_) => true,
    }
}
