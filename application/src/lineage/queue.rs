//! Working off what events say of datasets.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::ids::RequestId;
use gadwall_domain::lineage::{EventError, LineageEvent, Merged, NodeName, OWN_JOBS, Run, RunId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{Backlog, ForwardBacklog, ForwardProgress, QueuedEvent};
use gadwall_domain::ports::metadata::MetadataTx;

use super::Lineage;
use super::ingest::{known, put_jobs_and_runs};
use super::told::{Stage, Teller};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Events that are worked off in one transaction: many share the pages that change, others don't wait long for their turn.
const AT_ONCE: u32 = 1_000;

impl Lineage {
    /// Works off the first events that wait; answers how many there were. What can't be worked off is set aside, with
    /// the reason.
    pub async fn work_off(&self) -> Result<usize, UseCaseError> {
        // They are read without the writers' turn: reading JSON takes longer than what follows.
        let waiting = self.store.read().await?.lineage().waiting(AT_ONCE).await?;
        let Some(last) = waiting.last().map(|queued| queued.position) else { return Ok(0) };
        let count = waiting.len();
        let mut dead = Vec::new();
        let mut by_project: BTreeMap<ProjectId, Vec<(u64, LineageEvent)>> = BTreeMap::new();
        for QueuedEvent { position, project, event, .. } in waiting {
            match LineageEvent::parse(event) {
                Ok(event) => by_project.entry(project).or_default().push((position, event)),
                Err(error) => dead.push((position, error.to_string())),
            }
        }
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        if tx.lineage().waiting_up_to(last).await? != count as u64 {
            // Another server worked some of them off meanwhile.
            return Ok(count);
        }
        let (mut done, mut told) = (Vec::with_capacity(count), Vec::new());
        for (project, mut events) in by_project {
            let failed = put_events(&mut *tx, &project, events.iter_mut().map(|(_, event)| event), now).await?;
            for (number, (position, event)) in events.iter().enumerate() {
                let failure = failed.iter().find(|(failed, _)| *failed == number);
                if let LineageEvent::Run(run) = event
                    && !is_own(event)
                {
                    let request = RequestId::minted(self.ids.next_id());
                    let teller = Teller { project: &project, request: &request, now };
                    let stage = if failure.is_some() { Stage::Failed } else { Stage::Completed };
                    told.push(teller.lineage(run, stage));
                }
                match failure {
                    Some((_, error)) => dead.push((*position, error.to_string())),
                    None => done.push(*position),
                }
            }
        }
        tx.events().append(&told).await?;
        tx.lineage().take_out(&done).await?;
        for (position, reason) in dead {
            tx.lineage().set_aside(position, &reason).await?;
        }
        tx.commit().await?;
        Ok(count)
    }

    /// How much waits in a project, or in all of them.
    pub async fn backlog(&self, caller: &Caller, project: &ProjectId) -> Result<Backlog, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().backlog(Some(&project.id)).await?)
    }

    /// How much waits in a project, or in all of them, where nobody asks: to be told to those who watch.
    pub async fn backlog_of(&self, project: Option<&ProjectId>) -> Result<Backlog, UseCaseError> {
        Ok(self.store.read().await?.lineage().backlog(project).await?)
    }

    /// How much waits in a project, or in all of them, to be handed on to another server, and how that is; nothing
    /// where there is none.
    pub async fn forwarding_of(
        &self,
        project: Option<&ProjectId>,
    ) -> Result<Option<(ForwardBacklog, ForwardProgress)>, UseCaseError> {
        if self.forward.is_none() {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let backlog = tx.lineage().forward_backlog(project).await?;
        Ok(Some((backlog, tx.lineage().forward_progress().await?)))
    }

    /// Events of a project that can't be worked off, oldest first.
    pub async fn dead(
        &self,
        caller: &Caller,
        project: &ProjectId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<QueuedEvent>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().dead(&project.id, after, limit).await?)
    }

    /// Tries such an event again; `false` when there is none.
    pub async fn retry(&self, caller: &Caller, project: &ProjectId, position: u64) -> Result<bool, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        let mut tx = self.store.write().await?;
        let found = tx.lineage().retry(&project, position).await?;
        tx.commit().await?;
        self.came.notify_one();
        Ok(found)
    }

    /// Forgets such an event; `false` when there is none.
    pub async fn discard(&self, caller: &Caller, project: &ProjectId, position: u64) -> Result<bool, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        let mut tx = self.store.write().await?;
        let found = tx.lineage().discard(&project, position).await?;
        tx.commit().await?;
        Ok(found)
    }
}

/// Whether an event is of one of Gadwall's own jobs, or of one that is called so.
fn is_own(event: &LineageEvent) -> bool {
    matches!(event, LineageEvent::Run(event) if event.job.namespace() == OWN_JOBS)
}

/// Puts what events of a project say; answers the numbers of those that can't be.
async fn put_events(
    tx: &mut dyn MetadataTx,
    project: &ProjectId,
    events: impl Iterator<Item = &mut LineageEvent> + Send,
    now: DateTime<Utc>,
) -> Result<Vec<(usize, EventError)>, UseCaseError> {
    let mut events: Vec<&mut LineageEvent> = events.collect();
    // Gadwall's own come here only; of others the run was told when they came.
    let own: Vec<&LineageEvent> = events.iter().map(|event| &**event).filter(|event| is_own(event)).collect();
    let mut merged = known(tx, project, own.iter().copied()).await?;
    let before: BTreeSet<RunId> = merged.runs.keys().copied().collect();
    for event in own {
        if matches!(event, LineageEvent::Run(event) if !merged.runs.contains_key(&event.run)) {
            merged.job_and_run(event, now);
        }
    }
    let new: Vec<&Run> = merged.runs.values().filter(|run| !before.contains(&run.id)).collect();
    let jobs: BTreeSet<&NodeName> = new.iter().map(|run| &run.job).collect();
    let jobs = jobs.into_iter().filter_map(|name| merged.jobs.get(name));
    put_jobs_and_runs(tx, project, jobs, new.iter().copied()).await?;
    put_datasets(tx, project, merged, &mut events, now).await
}

/// Puts what events say of datasets, which is taken out of them; their jobs and runs are there. Answers the numbers of
/// those that can't be.
pub(super) async fn put_datasets(
    tx: &mut dyn MetadataTx,
    project: &ProjectId,
    mut merged: Merged,
    events: &mut [&mut LineageEvent],
    now: DateTime<Utc>,
) -> Result<Vec<(usize, EventError)>, UseCaseError> {
    let mut names: Vec<NodeName> = events.iter().flat_map(|event| event.dataset_names()).collect();
    names.sort();
    names.dedup();
    for dataset in tx.lineage().datasets(project, &names).await? {
        merged.datasets.insert(dataset.name.clone(), dataset);
    }
    let mut failed = Vec::new();
    for (number, event) in events.iter_mut().enumerate() {
        if let Err(error) = merged.datasets(event, now) {
            failed.push((number, error));
        }
    }
    // Columns may come from datasets that no event was about.
    let unknown: Vec<NodeName> = {
        let sources = merged.columns.iter().map(|edge| &edge.from);
        let mut unknown: Vec<_> = sources.filter(|name| !merged.datasets.contains_key(name)).cloned().collect();
        unknown.sort();
        unknown.dedup();
        unknown
    };
    let there = tx.lineage().datasets(project, &unknown).await?;
    for name in unknown {
        if !there.iter().any(|dataset| dataset.name == name) {
            merged.mention(name, now);
        }
    }
    let (columns, outdated) = merged.settle_columns();
    tx.lineage().put_datasets(project, &merged.settle_datasets(now)).await?;
    tx.lineage().put_uses(project, &merged.uses).await?;
    tx.lineage().put_columns(project, &columns, &outdated).await?;
    Ok(failed)
}
