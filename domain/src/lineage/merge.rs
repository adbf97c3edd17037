//! What events say together: in any order, more than once, each with a part of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::columns;
use super::own::starts_anew;
use super::{
    ColumnEdge, Dataset, DatasetUse, Direction, EventError, EventKind, Job, LineageEvent, NodeName, OWN_JOBS, Outdated,
    Run, RunId, RunState, ToldBy, Use,
};
use crate::ids::SnapshotId;

/// What is known of what some events are about, as they are applied to it.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// Jobs by name.
    pub jobs: BTreeMap<NodeName, Job>,
    /// Runs by id.
    pub runs: BTreeMap<RunId, Run>,
    /// Datasets by name.
    pub datasets: BTreeMap<NodeName, Dataset>,
    /// What is read and written; some of it is told more than once.
    pub uses: Vec<Use>,
    /// Which columns come from which.
    pub columns: Vec<ColumnEdge>,
    /// What was told of that before these times holds no more.
    outdated: BTreeMap<(NodeName, ToldBy), DateTime<Utc>>,
}

impl Merged {
    /// Applies what an event says of its job and run; it is heard of at a time.
    pub fn job_and_run(&mut self, event: &LineageEvent, now: DateTime<Utc>) {
        match event {
            LineageEvent::Run(event) => {
                let is_new = !self.runs.contains_key(&event.run);
                let job = self.job(&event.job, now);
                merge(&mut job.facets, event.job_facets.clone());
                job.latest_run = Some(event.run);
                job.total_runs += u64::from(is_new);
                self.run(event.run, &event.job, now).told(event.kind, event.at, &event.run_facets);
            }
            LineageEvent::Job(event) => {
                merge(&mut self.job(&event.job, now).facets, event.job_facets.clone());
            }
            LineageEvent::Dataset(_) => {}
        }
    }

    /// Applies what an event says of datasets, which is taken out of it. Of one that doesn't parse nothing is applied.
    pub fn datasets(&mut self, event: &mut LineageEvent, now: DateTime<Utc>) -> Result<(), EventError> {
        let (change, run, job, at, inputs, outputs) = match event {
            LineageEvent::Run(event) => {
                let change = event.run_facets.get("gadwall").and_then(|facet| facet["change"].as_str());
                (change, Some(event.run), &event.job, event.at, &mut event.inputs, &mut event.outputs)
            }
            LineageEvent::Job(event) => (None, None, &event.job, event.at, &mut event.inputs, &mut event.outputs),
            LineageEvent::Dataset(event) => {
                let facets = std::mem::take(&mut event.dataset.facets);
                self.dataset(event.dataset.name.clone(), facets, false, now);
                return Ok(());
            }
        };
        let (mut edges, mut outdated) = (Vec::new(), Vec::new());
        for (number, output) in outputs.iter().enumerate() {
            let path = format!("/outputs/{number}/facets/columnLineage");
            if let Some(facet) = output.facets.get("columnLineage") {
                edges.extend(columns::edges(facet, &output.name, job, at, &path)?);
            }
            outdated.extend(told_anew(output, job, change).map(|by| (output.name.clone(), by)));
        }
        self.columns.extend(edges);
        for key in outdated {
            let before = self.outdated.entry(key).or_insert(at);
            *before = at.max(*before);
        }
        for (direction, used) in [(Direction::Input, inputs), (Direction::Output, outputs)] {
            for dataset in std::mem::take(used) {
                let told = Use { run, job: job.clone(), dataset: dataset.name.clone(), direction, at };
                self.uses.push(told);
                self.dataset(dataset.name, dataset.facets, direction == Direction::Output, now);
            }
        }
        Ok(())
    }

    /// Which columns come from which, and what told before of that is outdated by it.
    pub fn settle_columns(&mut self) -> (Vec<ColumnEdge>, Vec<Outdated>) {
        let (mut columns, outdated) = (std::mem::take(&mut self.columns), std::mem::take(&mut self.outdated));
        columns.retain(|edge| {
            let job = (edge.to.clone(), ToldBy::Job(edge.job.clone()));
            let namespace = (edge.to.clone(), ToldBy::Namespace(edge.job.namespace().to_owned()));
            [job, namespace].iter().filter_map(|key| outdated.get(key)).all(|before| edge.at >= *before)
        });
        let outdated = outdated.into_iter().map(|((to, by), before)| Outdated { to, by, before });
        (columns, outdated.collect())
    }

    /// The job of a name, known or new.
    pub fn job(&mut self, name: &NodeName, now: DateTime<Utc>) -> &mut Job {
        let job = self.jobs.entry(name.clone()).or_insert_with(|| Job::new(name.clone(), now));
        job.updated_at = now;
        job
    }

    /// The run of an id, known or new. One that is known stays with its job.
    pub fn run(&mut self, id: RunId, job: &NodeName, now: DateTime<Utc>) -> &mut Run {
        let run = self.runs.entry(id).or_insert_with(|| Run::new(id, job.clone(), now));
        run.updated_at = now;
        run
    }

    /// The dataset of a name, known or new.
    pub fn mention(&mut self, name: NodeName, now: DateTime<Utc>) -> &mut Dataset {
        self.datasets.entry(name.clone()).or_insert_with(|| Dataset::new(name, now))
    }

    /// Takes out the datasets that were written, or of which something was told that wasn't known; the others go.
    pub fn settle_datasets(&mut self, now: DateTime<Utc>) -> Vec<Dataset> {
        let datasets = std::mem::take(&mut self.datasets);
        datasets.into_values().filter(|dataset| dataset.updated_at >= now).collect()
    }

    fn dataset(&mut self, name: NodeName, told: Map<String, Value>, written: bool, now: DateTime<Utc>) {
        let dataset = self.mention(name, now);
        if merge(&mut dataset.facets, told) || written {
            dataset.updated_at = now;
        }
    }
}

impl Run {
    /// What an event says. A run that has ended doesn't begin again, however late its beginning is heard of; of two ends
    /// the later one holds.
    pub fn told(&mut self, kind: EventKind, at: DateTime<Utc>, facets: &Map<String, Value>) {
        merge(&mut self.facets, facets.clone());
        if let Some(parent) = facets.get("parent").and_then(|facet| facet["run"]["runId"].as_str()) {
            self.parent = RunId::parse(parent).filter(|parent| *parent != self.id);
        }
        let made = facets.get("gadwall").and_then(|facet| facet["snapshotId"].as_i64());
        if let Some(snapshot) = made.and_then(|number| SnapshotId::new(number).ok()) {
            self.snapshot = Some(snapshot);
        }
        let state = match kind {
            EventKind::Start | EventKind::Running => RunState::Running,
            EventKind::Complete => RunState::Complete,
            EventKind::Fail => RunState::Fail,
            EventKind::Abort => RunState::Abort,
            EventKind::Other => return,
        };
        // Gadwall's own are told of once they have ended, and say when they began.
        let began = facets.get("gadwall").and_then(|facet| facet["startedAt"].as_str()?.parse().ok());
        if let Some(began) = began.filter(|began| *began <= at) {
            self.started_at = Some(self.started_at.map_or(began, |started| started.min(began)));
        }
        if state.is_final() {
            if self.ended_at.is_none_or(|ended| ended <= at) {
                (self.state, self.ended_at) = (state, Some(at));
            }
        } else {
            self.started_at = Some(self.started_at.map_or(at, |started| started.min(at)));
            if !self.state.is_final() {
                self.state = state;
            }
        }
    }
}

/// Whose earlier words on where an output's columns come from are over. A job's newest run stands for those before, for
/// the output it tells of; but what one of Gadwall's own writes adds comes beside what is there, unless it starts anew.
fn told_anew(output: &DatasetUse, job: &NodeName, change: Option<&str>) -> Option<ToldBy> {
    if job.namespace() == OWN_JOBS {
        return change.is_some_and(starts_anew).then(|| ToldBy::Namespace(OWN_JOBS.to_owned()));
    }
    output.facets.contains_key("columnLineage").then(|| ToldBy::Job(job.clone()))
}

/// Facets by name: a later one takes an earlier one's place, and one that says that it is deleted goes. Answers whether
/// that changed anything.
fn merge(known: &mut Map<String, Value>, told: Map<String, Value>) -> bool {
    let mut changed = false;
    for (name, facet) in told {
        if facet["_deleted"].as_bool() == Some(true) {
            changed |= known.remove(&name).is_some();
        } else if known.get(&name) != Some(&facet) {
            known.insert(name, facet);
            changed = true;
        }
    }
    changed
}
