//! What events say together: in any order, more than once, each with a part of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::columns;
use super::{
    ColumnEdge, Dataset, DatasetUse, Direction, EventError, EventKind, Job, LineageEvent, NodeName, Run, RunId,
    RunState, Use,
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
    /// What is read and written.
    pub uses: BTreeMap<(Option<RunId>, NodeName, Direction, NodeName), Use>,
    /// Which columns come from which.
    pub columns: Vec<ColumnEdge>,
}

impl Merged {
    /// Applies what an event says of its job and run; it is heard of at a time.
    pub fn job_and_run(&mut self, event: &LineageEvent, now: DateTime<Utc>) {
        match event {
            LineageEvent::Run(event) => {
                let job = self.job(&event.job, now);
                merge(&mut job.facets, &event.job_facets);
                job.latest_run = Some(event.run);
                self.run(event.run, &event.job, now).told(event.kind, event.at, &event.run_facets);
            }
            LineageEvent::Job(event) => merge(&mut self.job(&event.job, now).facets, &event.job_facets),
            LineageEvent::Dataset(_) => {}
        }
    }

    /// Applies what an event says of datasets. Of one that doesn't parse nothing is applied.
    pub fn datasets(&mut self, event: &LineageEvent, now: DateTime<Utc>) -> Result<(), EventError> {
        let (run, job, at, inputs, outputs) = match event {
            LineageEvent::Run(event) => (Some(event.run), &event.job, event.at, &event.inputs, &event.outputs),
            LineageEvent::Job(event) => (None, &event.job, event.at, &event.inputs, &event.outputs),
            LineageEvent::Dataset(event) => {
                self.dataset(&event.dataset, now);
                return Ok(());
            }
        };
        let mut edges = Vec::new();
        for (number, output) in outputs.iter().enumerate() {
            let path = format!("/outputs/{number}/facets/columnLineage");
            if let Some(facet) = output.facets.get("columnLineage") {
                edges.extend(columns::edges(facet, &output.name, job, at, &path)?);
            }
        }
        self.columns.extend(edges);
        for (direction, used) in [(Direction::Input, inputs), (Direction::Output, outputs)] {
            for dataset in used {
                self.dataset(dataset, now);
                let told = Use { run, job: job.clone(), dataset: dataset.name.clone(), direction, at };
                self.uses.insert((run, job.clone(), direction, dataset.name.clone()), told);
            }
        }
        Ok(())
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

    fn dataset(&mut self, told: &DatasetUse, now: DateTime<Utc>) {
        let dataset = self.mention(told.name.clone(), now);
        dataset.updated_at = now;
        merge(&mut dataset.facets, &told.facets);
    }
}

impl Run {
    /// What an event says. A run that has ended doesn't begin again, however late its beginning is heard of; of two ends
    /// the later one holds.
    pub fn told(&mut self, kind: EventKind, at: DateTime<Utc>, facets: &Map<String, Value>) {
        merge(&mut self.facets, facets);
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

/// Facets by name: a later one takes an earlier one's place, and one that says that it is deleted goes.
fn merge(known: &mut Map<String, Value>, told: &Map<String, Value>) {
    for (name, facet) in told {
        if facet["_deleted"].as_bool() == Some(true) {
            known.remove(name);
        } else {
            known.insert(name.clone(), facet.clone());
        }
    }
}
