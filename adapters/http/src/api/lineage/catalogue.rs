//! What is known: namespaces, jobs, datasets and runs, in the shapes of Marquez.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::error::UseCaseError;
use gadwall_application::lineage::{Lineage, MAX_LISTED, Way};
use gadwall_domain::lineage::{Job, NodeId, NodeName, RunError, RunId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{NodeFilter, RunFilter};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::bodies::{MarquezDataset, MarquezJob, MarquezRun};
use crate::api::jobs::{job_name, name_cursor, read_name, read_run, run_cursor, run_id};
use crate::api::paging::{next_cursor, read_cursor};
use crate::api::{Area, number, project_id, snapshot_id};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct CatalogueApi {
    pub(crate) access: Arc<Access>,
    pub(crate) lineage: Arc<Lineage>,
}

/// A namespace.
#[derive(Debug, Object)]
#[oai(rename = "LineageNamespace", rename_all = "camelCase")]
struct NamespaceBody {
    /// Its name.
    name: String,
    /// Whose it is: the project.
    owner_name: String,
    /// What it is; nobody tells.
    description: Option<String>,
    /// Always false.
    is_hidden: bool,
}

/// Namespaces.
#[derive(Debug, Object)]
struct NamespaceList {
    /// By name.
    namespaces: Vec<NamespaceBody>,
}

/// A page of jobs, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct MarquezJobs {
    /// By name.
    jobs: Vec<MarquezJob>,
    /// How many are in this page.
    total_count: u64,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A page of datasets, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct MarquezDatasets {
    /// By name.
    datasets: Vec<MarquezDataset>,
    /// How many are in this page.
    total_count: u64,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A page of runs, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct MarquezRuns {
    /// Newest first.
    runs: Vec<MarquezRun>,
    /// How many are in this page.
    total_count: u64,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A job or dataset that was searched for.
#[derive(Debug, Object)]
#[oai(rename = "LineageHit", rename_all = "camelCase")]
struct Hit {
    /// Its name.
    name: String,
    /// `JOB` or `DATASET`.
    #[oai(rename = "type")]
    kind: String,
    /// Its namespace.
    namespace: String,
    /// When it was last heard of.
    updated_at: DateTime<Utc>,
    /// Its id in graphs.
    node_id: String,
}

/// What was found.
#[derive(Debug, Object)]
#[oai(rename = "LineageHits", rename_all = "camelCase")]
struct Hits {
    /// How many.
    total_count: u64,
    /// Datasets, then jobs, by name.
    results: Vec<Hit>,
}

#[OpenApi(tag = "Area::Lineage")]
impl CatalogueApi {
    /// List namespaces
    #[oai(path = "/api/v1/namespaces", method = "get", operation_id = "list_lineage_namespaces")]
    async fn namespaces(&self, auth: Auth) -> ApiResult<Json<NamespaceList>> {
        let project = self.project(&auth)?;
        let found = self.lineage.namespaces(auth.caller(), &project).await?;
        let body = |name| NamespaceBody { name, owner_name: project.to_string(), description: None, is_hidden: false };
        Ok(Json(NamespaceList { namespaces: found.into_iter().map(body).collect() }))
    }

    /// Look at a namespace
    #[oai(path = "/api/v1/namespaces/:namespace", method = "get", operation_id = "get_lineage_namespace")]
    async fn namespace(&self, auth: Auth, namespace: Path<String>) -> ApiResult<Json<NamespaceBody>> {
        let project = self.project(&auth)?;
        let known = self.lineage.namespaces(auth.caller(), &project).await?;
        let nothing = || UseCaseError::from(RunError::NoNode(format!("namespace {}", namespace.0)));
        let name = known.into_iter().find(|known| *known == namespace.0).ok_or_else(nothing)?;
        Ok(Json(NamespaceBody { name, owner_name: project.to_string(), description: None, is_hidden: false }))
    }

    /// List a namespace's jobs
    #[oai(path = "/api/v1/namespaces/:namespace/jobs", method = "get", operation_id = "list_lineage_jobs")]
    async fn jobs(
        &self,
        auth: Auth,
        namespace: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `nextCursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<MarquezJobs>> {
        let project = self.project(&auth)?;
        let filter = page_of(namespace.0, limit.0, after.0.as_deref())?;
        let found = self.lineage.jobs(auth.caller(), &project, &filter).await?;
        let next_cursor = next_cursor(&found, filter.limit, |last| name_cursor(&last.name));
        let jobs: Vec<MarquezJob> = found.into_iter().map(|job| MarquezJob::new(job, &[], &[], None)).collect();
        Ok(Json(MarquezJobs { total_count: jobs.len() as u64, jobs, next_cursor }))
    }

    /// Look at a job
    #[oai(path = "/api/v1/namespaces/:namespace/jobs/:job", method = "get", operation_id = "get_lineage_job")]
    async fn job(&self, auth: Auth, namespace: Path<String>, job: Path<String>) -> ApiResult<Json<MarquezJob>> {
        let project = self.project(&auth)?;
        let name = job_name(Some(&namespace.0), &job.0)?;
        let found = self.lineage.job(auth.caller(), &project, &name).await?;
        Ok(Json(self.whole_job(&auth, &project, found).await?))
    }

    /// List a job's runs
    #[oai(path = "/api/v1/namespaces/:namespace/jobs/:job/runs", method = "get", operation_id = "list_lineage_runs")]
    async fn runs(
        &self,
        auth: Auth,
        namespace: Path<String>,
        job: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `nextCursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<MarquezRuns>> {
        let project = self.project(&auth)?;
        let name = job_name(Some(&namespace.0), &job.0)?;
        let filter = RunFilter {
            after: read_cursor(after.0.as_deref(), read_run)?,
            limit: number("limit", limit.0, 1..=MAX_LISTED, 100)?,
            ..RunFilter::default()
        };
        let limit = filter.limit;
        let found = self.lineage.runs_of(auth.caller(), &project, &name, filter).await?;
        let next_cursor = next_cursor(&found, limit, run_cursor);
        let runs: Vec<MarquezRun> = found.into_iter().map(Into::into).collect();
        Ok(Json(MarquezRuns { total_count: runs.len() as u64, runs, next_cursor }))
    }

    /// Look at a run, whatever its job
    #[oai(path = "/api/v1/runs/:run", method = "get", operation_id = "get_lineage_run")]
    async fn run(&self, auth: Auth, run: Path<String>) -> ApiResult<Json<MarquezRun>> {
        let project = self.project(&auth)?;
        let id: RunId = run_id(&run.0)?;
        let found = self.lineage.run(auth.caller(), &project, id).await?;
        let found = found.ok_or_else(|| UseCaseError::from(RunError::NotFound(id.to_string())))?;
        Ok(Json(found.run.into()))
    }

    /// List a namespace's datasets
    #[oai(path = "/api/v1/namespaces/:namespace/datasets", method = "get", operation_id = "list_lineage_datasets")]
    async fn datasets(
        &self,
        auth: Auth,
        namespace: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `nextCursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<MarquezDatasets>> {
        let project = self.project(&auth)?;
        let filter = page_of(namespace.0, limit.0, after.0.as_deref())?;
        let found = self.lineage.datasets(auth.caller(), &project, &filter).await?;
        let next_cursor = next_cursor(&found, filter.limit, |last| name_cursor(&last.name));
        let datasets: Vec<MarquezDataset> = found.into_iter().map(Into::into).collect();
        Ok(Json(MarquezDatasets { total_count: datasets.len() as u64, datasets, next_cursor }))
    }

    /// Look at a dataset
    #[oai(
        path = "/api/v1/namespaces/:namespace/datasets/:dataset",
        method = "get",
        operation_id = "get_lineage_dataset"
    )]
    async fn dataset(
        &self,
        auth: Auth,
        namespace: Path<String>,
        dataset: Path<String>,
    ) -> ApiResult<Json<MarquezDataset>> {
        let project = self.project(&auth)?;
        let name = job_name(Some(&namespace.0), &dataset.0)?;
        let found = self.lineage.dataset(auth.caller(), &project, &name).await?;
        let nothing = || UseCaseError::from(RunError::NoNode(NodeId::dataset(name).to_string()));
        Ok(Json(found.ok_or_else(nothing)?.into()))
    }

    /// Search jobs and datasets by name
    #[oai(path = "/api/v1/search", method = "get", operation_id = "search_lineage")]
    async fn search(
        &self,
        auth: Auth,
        /// What the name has in it, in any case.
        q: Query<String>,
        /// Only `JOB` or `DATASET`.
        filter: Query<Option<String>>,
        /// At most so many of each: 1 to 1000, 10 unless told.
        limit: Query<Option<i64>>,
    ) -> ApiResult<Json<Hits>> {
        let project = self.project(&auth)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 10)?;
        let asked = NodeFilter { contains: Some(q.0), limit, ..NodeFilter::default() };
        let wants = |kind: &str| filter.0.as_deref().is_none_or(|filter| filter.eq_ignore_ascii_case(kind));
        let mut results = Vec::new();
        if wants("DATASET") {
            let found = self.lineage.datasets(auth.caller(), &project, &asked).await?;
            results.extend(found.into_iter().map(|set| hit("DATASET", &NodeId::dataset(set.name), set.updated_at)));
        }
        if wants("JOB") {
            let found = self.lineage.jobs(auth.caller(), &project, &asked).await?;
            results.extend(found.into_iter().map(|job| hit("JOB", &NodeId::job(job.name), job.updated_at)));
        }
        Ok(Json(Hits { total_count: results.len() as u64, results }))
    }

    /// List the runs that made a snapshot
    #[oai(path = "/projects/:project/snapshots/:snapshot/runs", method = "get", operation_id = "list_snapshot_runs")]
    async fn runs_of_snapshot(
        &self,
        auth: Auth,
        project: Path<String>,
        snapshot: Path<String>,
    ) -> ApiResult<Json<MarquezRuns>> {
        let project = project_id(&project.0)?;
        let snapshot = Some(snapshot_id("snapshot", &snapshot.0)?);
        let filter = RunFilter { snapshot, limit: MAX_LISTED, ..RunFilter::default() };
        let found = self.lineage.runs(auth.caller(), &project, &filter).await?;
        let runs: Vec<MarquezRun> = found.into_iter().map(Into::into).collect();
        Ok(Json(MarquezRuns { total_count: runs.len() as u64, runs, next_cursor: None }))
    }
}

impl CatalogueApi {
    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }

    /// A job with its newest run and what it reads and writes.
    async fn whole_job(&self, auth: &Auth, project: &ProjectId, job: Job) -> ApiResult<MarquezJob> {
        let latest = match job.latest_run {
            Some(id) => self.lineage.run(auth.caller(), project, id).await?.map(|found| found.run),
            None => None,
        };
        let node = NodeId::job(job.name.clone());
        let around = self.lineage.graph(auth.caller(), project, &node.to_string(), 1, Way::Both).await?;
        let ends = |pick: fn(&(NodeId, NodeId)) -> (&NodeId, &NodeId)| -> Vec<NodeName> {
            let of = around.edges.iter().map(pick).filter(|(near, _)| **near == node);
            of.map(|(_, far)| far.name.clone()).collect()
        };
        let (inputs, outputs) = (ends(|(from, to)| (to, from)), ends(|(from, to)| (from, to)));
        Ok(MarquezJob::new(job, &inputs, &outputs, latest))
    }
}

fn page_of(namespace: String, limit: Option<i64>, after: Option<&str>) -> ApiResult<NodeFilter> {
    Ok(NodeFilter {
        namespace: Some(namespace),
        contains: None,
        after: read_cursor(after, read_name)?,
        limit: number("limit", limit, 1..=MAX_LISTED, 100)?,
    })
}

fn hit(kind: &str, node: &NodeId, updated_at: DateTime<Utc>) -> Hit {
    Hit {
        kind: kind.to_owned(),
        namespace: node.name.namespace().to_owned(),
        name: node.name.name().to_owned(),
        node_id: node.to_string(),
        updated_at,
    }
}
