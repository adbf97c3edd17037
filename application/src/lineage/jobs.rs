//! Jobs and runs, told of by hand.

use gadwall_domain::access::Scope;
use gadwall_domain::lineage::{EventKind, Job, LineageEvent, NodeName, Run, RunError, RunId, event_of_run};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::RunFilter;
use serde_json::{Map, Value, json};

use super::ingest::{known, put_jobs_and_runs};
use super::told::{Stage, Teller};
use super::{FullRun, Lineage};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// A job as its owner tells of it.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its name.
    pub name: NodeName,
    /// What it is for.
    pub description: Option<String>,
    /// What its owner notes of it.
    pub metadata: Option<Value>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Complete,
    /// It failed.
    Fail,
    /// It was stopped.
    Abort,
}

impl Ending {
    fn kind(self) -> EventKind {
        match self {
            Self::Complete => EventKind::Complete,
            Self::Fail => EventKind::Fail,
            Self::Abort => EventKind::Abort,
        }
    }
}

impl Lineage {
    /// Makes a job; of one that is there what is told is changed, and the rest stays. Answers whether it is new.
    pub async fn put_job(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewJob,
    ) -> Result<(Job, bool), UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        if !tx.lake_index().is_in_use(&project).await? {
            return Err(UseCaseError::NoProjectAround(project));
        }
        let known = tx.lineage().jobs(&project, std::slice::from_ref(&new.name)).await?.pop();
        let is_new = known.is_none();
        let mut job = known.unwrap_or_else(|| Job::new(new.name, now));
        job.description = new.description.or(job.description);
        job.metadata = new.metadata.or(job.metadata);
        job.updated_at = now;
        tx.lineage().put_jobs(&project, std::slice::from_ref(&job)).await?;
        let entry = caller.entry(now, if is_new { "job.created" } else { "job.updated" }, &project, job.name.name());
        tx.audit().append(&[entry]).await?;
        tx.commit().await?;
        Ok((job, is_new))
    }

    /// One job.
    pub async fn job(&self, caller: &Caller, project: &ProjectId, name: &NodeName) -> Result<Job, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let mut tx = self.store.read().await?;
        let found = tx.lineage().jobs(&project.id, std::slice::from_ref(name)).await?.pop();
        Ok(found.ok_or_else(|| RunError::NoJob(name.name().to_owned()))?)
    }

    /// A job's runs, newest first.
    pub async fn runs_of(
        &self,
        caller: &Caller,
        project: &ProjectId,
        job: &NodeName,
        filter: RunFilter,
    ) -> Result<Vec<Run>, UseCaseError> {
        self.job(caller, project, job).await?;
        self.runs(caller, project, &RunFilter { job: Some(job.clone()), ..filter }).await
    }

    /// A run of a job.
    pub async fn run_of(
        &self,
        caller: &Caller,
        project: &ProjectId,
        job: &NodeName,
        id: RunId,
    ) -> Result<FullRun, UseCaseError> {
        let found = self.run(caller, project, id).await?.filter(|found| found.run.job == *job);
        Ok(found.ok_or_else(|| RunError::NotFound(id.to_string()))?)
    }

    /// Begins a run of a job, which is made if nobody knows it.
    pub async fn start_run(
        &self,
        caller: &Caller,
        project: &ProjectId,
        job: &NodeName,
        id: Option<RunId>,
        metadata: Option<Value>,
    ) -> Result<RunId, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        let id = id.unwrap_or_else(|| RunId::new(self.ids.next_id()));
        let facets = metadata.iter().map(|metadata| ("metadata".to_owned(), metadata.clone())).collect();
        let told = event_of_run(EventKind::Start, self.clock.now(), id, job, &facets, (&[], &[]));
        self.tell(caller, &project, told, metadata, |known| match known {
            Some(run) if run.job != *job => Err(RunError::OfAnotherJob(id)),
            Some(run) if run.state.is_final() => Err(RunError::Ended { run: id, state: run.state }),
            _ => Ok(()),
        })
        .await?;
        Ok(id)
    }

    /// Ends a run. What it read and wrote is told with it: as datasets of OpenLineage.
    pub async fn end_run(
        &self,
        caller: &Caller,
        project: &ProjectId,
        job: &NodeName,
        id: RunId,
        ending: Ending,
        told: Ended,
    ) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?.id;
        let facets = told.metadata.iter().map(|metadata| ("metadata".to_owned(), metadata.clone())).collect();
        let (inputs, outputs) = (datasets(&told.inputs)?, datasets(&told.outputs)?);
        let event = event_of_run(ending.kind(), self.clock.now(), id, job, &facets, (&inputs, &outputs));
        self.tell(caller, &project, event, told.metadata, |known| match known {
            Some(run) if run.job == *job && run.state.is_final() => Err(RunError::Ended { run: id, state: run.state }),
            Some(run) if run.job == *job => Ok(()),
            _ => Err(RunError::NotFound(id.to_string())),
        })
        .await
    }

    /// Takes in what is told of a run, if it may be so by what is known. Its datasets are there when this is done.
    async fn tell(
        &self,
        caller: &Caller,
        project: &ProjectId,
        raw: Value,
        metadata: Option<Value>,
        check: impl FnOnce(Option<&Run>) -> Result<(), RunError> + Send,
    ) -> Result<(), UseCaseError> {
        let text = raw.to_string();
        let mut event = LineageEvent::parse(raw)?;
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        if !tx.lake_index().is_in_use(project).await? {
            return Err(UseCaseError::NoProjectAround(project.clone()));
        }
        let mut merged = known(&mut *tx, project, std::iter::once(&event)).await?;
        check(merged.runs.values().next())?;
        merged.job_and_run(&event, now);
        if let (Some(run), Some(metadata)) = (merged.runs.values_mut().next(), metadata) {
            run.metadata = Some(metadata);
        }
        put_jobs_and_runs(&mut *tx, project, merged.jobs.values(), merged.runs.values()).await?;
        super::queue::put_datasets(&mut *tx, project, merged, &mut [&mut event], now).await?;
        if let Some(most) = self.forward {
            tx.lineage().forward(project, &[text], now, most).await?;
        }
        if let LineageEvent::Run(event) = &event {
            let teller = Teller { project, request: &caller.request_id, now };
            let (before, after) = (teller.job_before(event), teller.job(event));
            let [taking, taken] = [Stage::Processing, Stage::Completed].map(|stage| teller.lineage(event, stage));
            // A run begins before its lineage is told, and has ended once that is done.
            let told: Vec<_> = [before, taking, taken].into_iter().chain(after).collect();
            let operation = format!("run.{}", event.kind.as_str().to_ascii_lowercase());
            let entry = caller.entry(now, &operation, project, format!("{} {}", event.job.name(), event.run));
            tx.audit().append(&[entry]).await?;
            tx.events().append(&told).await?;
        }
        tx.commit().await?;
        if self.forward.is_some() {
            self.came.notify_one();
        }
        Ok(())
    }
}

/// What is told when a run ends.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// What its owner notes of it.
    pub metadata: Option<Value>,
    /// What it read.
    pub inputs: Vec<ToldDataset>,
    /// What it wrote.
    pub outputs: Vec<ToldDataset>,
}

/// A dataset, told of by hand.
#[derive(Debug, Clone)]
pub struct ToldDataset {
    /// Its name.
    pub name: NodeName,
    /// What it is.
    pub description: Option<String>,
    /// Where it is.
    pub uri: Option<String>,
    /// What else was said of it: `format`, `schema`, `tags`.
    pub more: Map<String, Value>,
}

impl ToldDataset {
    /// Where a dataset is that nobody told the place of: it is a table here.
    pub fn default_uri(name: &NodeName) -> String {
        format!("ducklake://tables/{}", name.name())
    }
}

fn datasets(told: &[ToldDataset]) -> Result<Vec<Value>, UseCaseError> {
    if told.len() > gadwall_domain::lineage::MAX_DATASETS {
        return Err(UseCaseError::Invalid("a run names too many datasets".to_owned()));
    }
    let dataset = |told: &ToldDataset| {
        let uri = told.uri.clone().unwrap_or_else(|| ToldDataset::default_uri(&told.name));
        let mut facets = Map::new();
        facets.insert("dataSource".to_owned(), json!({ "name": told.name.namespace(), "uri": uri }));
        if let Some(description) = &told.description {
            facets.insert("documentation".to_owned(), json!({ "description": description }));
        }
        if !told.more.is_empty() {
            facets.insert("told".to_owned(), Value::Object(told.more.clone()));
        }
        json!({ "namespace": told.name.namespace(), "name": told.name.name(), "facets": facets })
    };
    Ok(told.iter().map(dataset).collect())
}
