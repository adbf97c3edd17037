//! Lineage as maps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::lineage::{ColumnEdge, Dataset, Direction, Job, NodeKind, NodeName, Outdated, Run, RunId, Use};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{
    Backlog, Edge, GraphRepository, LineageRepository, NodeFilter, NodeRepository, QueueRepository, QueuedEvent,
    RunFilter, RunRepository,
};
use gadwall_domain::ports::metadata::StoreError;
use serde_json::Value;

use super::{MemoryTx, State};

/// What is known of a project's lineage.
#[derive(Debug, Clone, Default)]
pub(super) struct Lineage {
    jobs: BTreeMap<NodeName, Job>,
    runs: BTreeMap<RunId, Run>,
    datasets: BTreeMap<NodeName, Dataset>,
    uses: BTreeSet<(RunId, Direction, NodeName)>,
    edges: BTreeSet<(NodeName, Direction, NodeName)>,
    columns: Vec<ColumnEdge>,
}

/// Events on their way in, by their place.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    last: u64,
    events: BTreeMap<u64, QueuedEvent>,
}

impl State {
    fn lineage_of(&self, project: &ProjectId) -> Lineage {
        self.lineage.get(project).cloned().unwrap_or_default()
    }

    fn lineage_to_change(&mut self, project: &ProjectId) -> Result<&mut Lineage, StoreError> {
        let id = self.project(project)?.id.clone();
        Ok(self.lineage.entry(id).or_default())
    }
}

/// An event as it was put.
pub(super) fn from_json(event: &str) -> Result<Value, StoreError> {
    serde_json::from_str(event).map_err(|error| StoreError::Fault(Box::new(error)))
}

fn matches(name: &NodeName, filter: &NodeFilter) -> bool {
    let contains = |text: &String| name.name().to_ascii_lowercase().contains(&text.to_ascii_lowercase());
    filter.namespace.as_ref().is_none_or(|namespace| name.namespace() == namespace)
        && filter.contains.as_ref().is_none_or(contains)
        && filter.after.as_ref().is_none_or(|after| name > after)
}

#[async_trait]
impl NodeRepository for MemoryTx {
    async fn jobs(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Job>, StoreError> {
        let known = self.state.lineage_of(project);
        Ok(names.iter().filter_map(|name| known.jobs.get(name)).cloned().collect())
    }

    async fn put_jobs(&mut self, project: &ProjectId, jobs: &[Job]) -> Result<(), StoreError> {
        let known = self.change()?.lineage_to_change(project)?;
        for job in jobs {
            let created_at = known.jobs.get(&job.name).map_or(job.created_at, |known| known.created_at);
            known.jobs.insert(job.name.clone(), Job { created_at, ..job.clone() });
        }
        Ok(())
    }

    async fn list_jobs(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Job>, StoreError> {
        let known = self.state.lineage_of(project);
        let page = known.jobs.values().filter(|job| matches(&job.name, filter)).take(filter.limit as usize);
        Ok(page.cloned().collect())
    }

    async fn datasets(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Dataset>, StoreError> {
        let known = self.state.lineage_of(project);
        Ok(names.iter().filter_map(|name| known.datasets.get(name)).cloned().collect())
    }

    async fn put_datasets(&mut self, project: &ProjectId, datasets: &[Dataset]) -> Result<(), StoreError> {
        let known = self.change()?.lineage_to_change(project)?;
        for dataset in datasets {
            let before = known.datasets.get(&dataset.name);
            let created_at = before.map_or(dataset.created_at, |known| known.created_at);
            known.datasets.insert(dataset.name.clone(), Dataset { created_at, ..dataset.clone() });
        }
        Ok(())
    }

    async fn list_datasets(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Dataset>, StoreError> {
        let known = self.state.lineage_of(project);
        let page = known.datasets.into_values().filter(|dataset| matches(&dataset.name, filter));
        Ok(page.take(filter.limit as usize).collect())
    }

    async fn namespaces(&mut self, project: &ProjectId) -> Result<Vec<String>, StoreError> {
        let known = self.state.lineage_of(project);
        let all = known.jobs.keys().chain(known.datasets.keys()).map(|name| name.namespace().to_owned());
        Ok(all.collect::<BTreeSet<_>>().into_iter().collect())
    }
}

#[async_trait]
impl RunRepository for MemoryTx {
    async fn runs(&mut self, project: &ProjectId, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
        let known = self.state.lineage_of(project);
        Ok(ids.iter().filter_map(|id| known.runs.get(id)).cloned().collect())
    }

    async fn put_runs(&mut self, project: &ProjectId, runs: &[Run]) -> Result<(), StoreError> {
        let known = self.change()?.lineage_to_change(project)?;
        for run in runs {
            let before = known.runs.get(&run.id);
            let created_at = before.map_or(run.created_at, |known| known.created_at);
            let job = before.map_or(&run.job, |known| &known.job).clone();
            known.runs.insert(run.id, Run { created_at, job, ..run.clone() });
        }
        Ok(())
    }

    async fn list_runs(&mut self, project: &ProjectId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let known = self.state.lineage_of(project);
        let is = |run: &Run| {
            filter.job.as_ref().is_none_or(|job| run.job == *job)
                && filter.state.is_none_or(|state| run.state == state)
                && filter.snapshot.is_none_or(|snapshot| run.snapshot == Some(snapshot))
                && filter.after.is_none_or(|after| (run.created_at, run.id) < after)
        };
        let mut found: Vec<Run> = known.runs.into_values().filter(is).collect();
        found.sort_by_key(|run| Reverse((run.created_at, run.id)));
        found.truncate(filter.limit as usize);
        Ok(found)
    }

    async fn put_uses(&mut self, project: &ProjectId, uses: &[Use]) -> Result<(), StoreError> {
        let known = self.change()?.lineage_to_change(project)?;
        for used in uses {
            if let Some(run) = used.run {
                known.uses.insert((run, used.direction, used.dataset.clone()));
            }
            known.edges.insert((used.job.clone(), used.direction, used.dataset.clone()));
        }
        Ok(())
    }

    async fn uses_of(&mut self, project: &ProjectId, run: RunId) -> Result<Vec<(Direction, NodeName)>, StoreError> {
        let known = self.state.lineage_of(project);
        let of = known.uses.into_iter().filter(|(of, _, _)| *of == run);
        Ok(of.map(|(_, direction, dataset)| (direction, dataset)).collect())
    }
}

#[async_trait]
impl GraphRepository for MemoryTx {
    async fn edges_at(
        &mut self,
        project: &ProjectId,
        kind: NodeKind,
        direction: Direction,
        names: &[NodeName],
        limit: u32,
    ) -> Result<Vec<Edge>, StoreError> {
        let known = self.state.lineage_of(project);
        let at = known.edges.into_iter().filter(|(job, of, dataset)| match kind {
            NodeKind::Job => *of == direction && names.contains(job),
            NodeKind::Dataset => *of == direction && names.contains(dataset),
        });
        let edges = at.map(|(job, direction, dataset)| Edge { job, dataset, direction });
        Ok(edges.take(limit as usize).collect())
    }

    async fn put_columns(
        &mut self,
        project: &ProjectId,
        edges: &[ColumnEdge],
        outdated: &[Outdated],
    ) -> Result<(), StoreError> {
        let known = self.change()?.lineage_to_change(project)?;
        known.columns.retain(|edge| !outdated.iter().any(|outdated| outdated.has(edge)));
        for edge in edges {
            known.columns.retain(|known| ColumnEdge { at: edge.at, ..known.clone() } != *edge);
            known.columns.push(edge.clone());
        }
        Ok(())
    }

    async fn columns_at(
        &mut self,
        project: &ProjectId,
        direction: Direction,
        datasets: &[NodeName],
        limit: u32,
    ) -> Result<Vec<ColumnEdge>, StoreError> {
        let known = self.state.lineage_of(project);
        let at = known.columns.into_iter().filter(|edge| match direction {
            Direction::Input => datasets.contains(&edge.to),
            Direction::Output => datasets.contains(&edge.from),
        });
        Ok(at.take(limit as usize).collect())
    }
}

#[async_trait]
impl QueueRepository for MemoryTx {
    async fn enqueue(&mut self, project: &ProjectId, events: &[String], at: DateTime<Utc>) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(project)?.id.clone();
        for event in events {
            state.lineage_queue.last += 1;
            let position = state.lineage_queue.last;
            let queued = QueuedEvent {
                position,
                project: project.clone(),
                event: from_json(event)?,
                received_at: at,
                attempts: 0,
                reason: None,
            };
            state.lineage_queue.events.insert(position, queued);
        }
        Ok(())
    }

    async fn waiting(&mut self, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        let waits = self.state.lineage_queue.events.values().filter(|event| event.reason.is_none());
        Ok(waits.take(limit as usize).cloned().collect())
    }

    async fn waiting_up_to(&mut self, position: u64) -> Result<u64, StoreError> {
        let events = self.state.lineage_queue.events.range(..=position);
        Ok(events.filter(|(_, event)| event.reason.is_none()).count() as u64)
    }

    async fn take_out(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        self.change()?.lineage_queue.events.retain(|position, _| !positions.contains(position));
        Ok(())
    }

    async fn set_aside(&mut self, position: u64, reason: &str) -> Result<(), StoreError> {
        if let Some(event) = self.change()?.lineage_queue.events.get_mut(&position) {
            event.attempts += 1;
            event.reason = Some(reason.to_owned());
        }
        Ok(())
    }

    async fn dead(&mut self, project: &ProjectId, after: u64, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        let is = |event: &&QueuedEvent| event.reason.is_some() && event.project == *project && event.position > after;
        let dead = self.state.lineage_queue.events.values().filter(is);
        Ok(dead.take(limit as usize).cloned().collect())
    }

    async fn retry(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        let event = self.change()?.lineage_queue.events.get_mut(&position);
        let Some(event) = event.filter(|event| event.reason.is_some() && event.project == *project) else {
            return Ok(false);
        };
        event.reason = None;
        Ok(true)
    }

    async fn discard(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        let events = &mut self.change()?.lineage_queue.events;
        let event = events.get(&position);
        let is_there = event.is_some_and(|event| event.reason.is_some() && event.project == *project);
        if is_there {
            events.remove(&position);
        }
        Ok(is_there)
    }

    async fn backlog(&mut self, project: Option<&ProjectId>) -> Result<Backlog, StoreError> {
        let mut backlog = Backlog::default();
        for event in self.state.lineage_queue.events.values() {
            if project.is_some_and(|project| event.project != *project) {
                continue;
            }
            if event.reason.is_some() {
                backlog.dead += 1;
            } else {
                backlog.waiting += 1;
                backlog.oldest = Some(backlog.oldest.map_or(event.received_at, |oldest| oldest.min(event.received_at)));
            }
        }
        Ok(backlog)
    }
}

#[async_trait]
impl LineageRepository for MemoryTx {
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        let state = self.change()?;
        state.lineage.remove(project);
        state.lineage_queue.events.retain(|_, event| event.project != *project);
        state.lineage_forwarding.clear(project);
        Ok(())
    }
}
