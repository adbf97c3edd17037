//! `/jobs`: jobs and their runs, told of by hand.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::lineage::{Ended, Ending, FullRun, Lineage, MAX_LISTED, NewJob, ToldDataset};
use gadwall_domain::lineage::{Job, NodeName, Run, RunId, RunState};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{NodeFilter, RunFilter};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::{Map, Value};

use super::models::JsonObject;
use super::paging::{next_cursor, next_link, read_cursor};
use super::short_tables::{Done, done};
use super::{Area, number};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct JobsApi {
    pub(crate) access: Arc<Access>,
    pub(crate) lineage: Arc<Lineage>,
}

/// A job to be known.
#[derive(Debug, Object)]
struct PutJob {
    /// Its name.
    name: String,
    /// Its namespace; `ducklake` unless told.
    namespace: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Anything to keep beside it.
    metadata: Option<JsonObject>,
}

/// A job.
#[derive(Debug, Object)]
#[oai(rename = "Job")]
struct JobBody {
    /// Its name.
    name: String,
    /// Its namespace.
    namespace: String,
    /// What it is for.
    description: Option<String>,
    /// What is kept beside it.
    metadata: Option<Any<Value>>,
    /// When it was first heard of.
    created_at: DateTime<Utc>,
    /// When it was last heard of.
    updated_at: DateTime<Utc>,
    /// How often it ran.
    total_runs: u64,
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        Self {
            name: job.name.name().to_owned(),
            namespace: job.name.namespace().to_owned(),
            description: job.description,
            metadata: job.metadata.map(Any),
            created_at: job.created_at,
            updated_at: job.updated_at,
            total_runs: job.total_runs,
        }
    }
}

/// A page of jobs.
#[derive(Debug, Object)]
struct JobList {
    /// By name.
    jobs: Vec<JobBody>,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// The request.
    request_id: String,
}

#[derive(ApiResponse)]
enum JobPage {
    /// The page; `Link` has the address of the next one.
    #[oai(status = 200)]
    Page(Json<JobList>, #[oai(header = "Link")] Option<String>),
}

/// A run in a list.
#[derive(Debug, Object)]
#[oai(rename = "JobRun")]
struct RunInList {
    /// Its id.
    run_id: String,
    /// `NEW`, `RUNNING`, `COMPLETE`, `FAIL` or `ABORT`.
    state: String,
    /// When it began.
    started_at: Option<DateTime<Utc>>,
    /// When it ended, if it has.
    ended_at: Option<DateTime<Utc>>,
    /// What is kept beside it.
    metadata: Option<Any<Value>>,
}

impl From<Run> for RunInList {
    fn from(run: Run) -> Self {
        Self {
            run_id: run.id.to_string(),
            state: run.state.as_str().to_owned(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            metadata: run.metadata.map(Any),
        }
    }
}

/// A job with its newest runs.
#[derive(Debug, Object)]
struct JobWithRuns {
    /// The job.
    #[oai(flatten)]
    job: JobBody,
    /// Its runs, newest first.
    runs: Vec<RunInList>,
    /// The request.
    request_id: String,
}

/// A page of runs.
#[derive(Debug, Object)]
struct RunList {
    /// Newest first.
    runs: Vec<RunInList>,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// The request.
    request_id: String,
}

#[derive(ApiResponse)]
enum RunPage {
    /// The page; `Link` has the address of the next one.
    #[oai(status = 200)]
    Page(Json<RunList>, #[oai(header = "Link")] Option<String>),
}

/// A dataset of a run.
#[derive(Debug, Object)]
struct RunDataset {
    /// Its namespace.
    namespace: String,
    /// Its name.
    name: String,
    /// Where it is.
    uri: String,
}

/// A run.
#[derive(Debug, Object)]
#[oai(rename = "JobRunDetail")]
struct RunBody {
    /// The run.
    #[oai(flatten)]
    run: RunInList,
    /// Its job.
    job_name: String,
    /// What it reads.
    inputs: Vec<RunDataset>,
    /// What it writes.
    outputs: Vec<RunDataset>,
    /// The snapshot that it made, if it is a write of Gadwall's own.
    #[oai(skip_serializing_if_is_none)]
    snapshot_id: Option<u64>,
    /// The request.
    request_id: String,
}

/// A run to begin.
#[derive(Debug, Object)]
struct StartRun {
    /// Its id, a UUID; one is made unless told.
    run_id: Option<String>,
    /// Taken for older clients; the job is the one in the path.
    job_name: Option<String>,
    /// Anything to keep beside it.
    metadata: Option<JsonObject>,
}

/// How a run ended.
#[derive(Debug, Object)]
struct CompleteRun {
    /// Whether it ended well; true unless told.
    success: Option<bool>,
    /// Anything to keep beside it. `inputs` and `outputs` are what it read and wrote: names, or objects with `name`,
    /// `namespace`, `description`, `uri`, `format`, `schema`, `tags`.
    metadata: Option<JsonObject>,
}

/// How a run ended otherwise.
#[derive(Debug, Object)]
struct EndRun {
    /// As when it completes.
    metadata: Option<JsonObject>,
}

/// What was done with a run.
#[derive(Debug, Object)]
struct RunDone {
    /// In words.
    message: String,
    /// The run.
    run_id: String,
    /// The request.
    request_id: String,
}

#[OpenApi(tag = "Area::Lineage")]
impl JobsApi {
    /// Make a job known
    ///
    /// Of one that is known what is told is changed, and the rest stays.
    #[oai(path = "/jobs", method = "post", operation_id = "put_job")]
    async fn put(&self, auth: Auth, body: Json<PutJob>) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        let PutJob { name, namespace, description, metadata } = body.0;
        let name = job_name(namespace.as_deref(), &name)?;
        let new = NewJob { name, description, metadata: metadata.map(|Any(metadata)| Value::Object(metadata)) };
        let (job, is_new) = self.lineage.put_job(auth.caller(), &project, new).await?;
        let what = if is_new { "created" } else { "updated" };
        Ok(done(&auth, format!("Job {} {what} successfully", job.name.name())))
    }

    /// List jobs
    #[oai(path = "/jobs", method = "get", operation_id = "list_jobs")]
    async fn list(
        &self,
        auth: Auth,
        /// Only of this namespace: `ducklake` unless told, `gadwall` for writes to tables.
        namespace: Query<Option<String>>,
        /// Only those whose name has this in it.
        q: Query<Option<String>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<JobPage> {
        let project = self.project(&auth)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let filter = NodeFilter {
            namespace: Some(namespace.0.clone().unwrap_or_else(|| NodeName::DEFAULT_NAMESPACE.to_owned())),
            contains: q.0.clone(),
            after: read_cursor(after.0.as_deref(), read_name)?,
            limit,
        };
        let found = self.lineage.jobs(auth.caller(), &project, &filter).await?;
        let next_cursor = next_cursor(&found, limit, |last| name_cursor(&last.name));
        let asked = [("namespace", namespace.0.as_deref()), ("q", q.0.as_deref())];
        let link = next_link("/jobs", &asked, limit, next_cursor.as_deref());
        let jobs = found.into_iter().map(Into::into).collect();
        Ok(JobPage::Page(Json(JobList { jobs, next_cursor, request_id: request_id(&auth) }), link))
    }

    /// Look at a job and its newest runs
    #[oai(path = "/jobs/:job", method = "get", operation_id = "get_job")]
    async fn get(
        &self,
        auth: Auth,
        job: Path<String>,
        /// Its namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        /// At most so many runs: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
    ) -> ApiResult<Json<JobWithRuns>> {
        let project = self.project(&auth)?;
        let name = job_name(namespace.0.as_deref(), &job.0)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let found = self.lineage.job(auth.caller(), &project, &name).await?;
        let filter = RunFilter { limit, ..RunFilter::default() };
        let runs = self.lineage.runs_of(auth.caller(), &project, &name, filter).await?;
        let runs = runs.into_iter().map(Into::into).collect();
        Ok(Json(JobWithRuns { job: found.into(), runs, request_id: request_id(&auth) }))
    }

    /// List a job's runs
    #[oai(path = "/jobs/:job/runs", method = "get", operation_id = "list_job_runs")]
    async fn runs(
        &self,
        auth: Auth,
        job: Path<String>,
        /// Its namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        /// Only those in this state.
        state: Query<Option<String>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<RunPage> {
        let project = self.project(&auth)?;
        let name = job_name(namespace.0.as_deref(), &job.0)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let word = |word: &str| {
            let wanted = "state is NEW, RUNNING, COMPLETE, FAIL or ABORT";
            RunState::parse(word).ok_or_else(|| ApiError::out_of_range(wanted))
        };
        let filter = RunFilter {
            state: state.0.as_deref().map(word).transpose()?,
            after: read_cursor(after.0.as_deref(), read_run)?,
            limit,
            ..RunFilter::default()
        };
        let found = self.lineage.runs_of(auth.caller(), &project, &name, filter).await?;
        let next_cursor = next_cursor(&found, limit, run_cursor);
        let asked = [("namespace", namespace.0.as_deref()), ("state", state.0.as_deref())];
        let path = format!("/jobs/{}/runs", super::paging::percent_encoded(&job.0));
        let link = next_link(&path, &asked, limit, next_cursor.as_deref());
        let runs = found.into_iter().map(Into::into).collect();
        Ok(RunPage::Page(Json(RunList { runs, next_cursor, request_id: request_id(&auth) }), link))
    }

    /// Begin a run
    ///
    /// A job that nobody knows is made.
    #[oai(path = "/jobs/:job/runs", method = "post", operation_id = "start_job_run")]
    async fn start(
        &self,
        auth: Auth,
        job: Path<String>,
        /// Its namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        body: Json<Option<StartRun>>,
    ) -> ApiResult<Json<RunDone>> {
        let project = self.project(&auth)?;
        let name = job_name(namespace.0.as_deref(), &job.0)?;
        let (id, metadata) = match body.0 {
            Some(StartRun { run_id, metadata, job_name: _ }) => (run_id, metadata),
            None => (None, None),
        };
        let id = id.as_deref().map(run_id).transpose()?;
        let metadata = metadata.map(|Any(metadata)| Value::Object(metadata));
        let run = self.lineage.start_run(auth.caller(), &project, &name, id, metadata).await?;
        Ok(run_done(&auth, run, format!("Run of job {} started successfully", name.name())))
    }

    /// Look at a run
    #[oai(path = "/jobs/:job/runs/:run", method = "get", operation_id = "get_job_run")]
    async fn run(
        &self,
        auth: Auth,
        job: Path<String>,
        run: Path<String>,
        /// The job's namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
    ) -> ApiResult<Json<RunBody>> {
        let project = self.project(&auth)?;
        let name = job_name(namespace.0.as_deref(), &job.0)?;
        let found = self.lineage.run_of(auth.caller(), &project, &name, run_id(&run.0)?).await?;
        let FullRun { run, inputs, outputs, places } = found;
        let dataset = |dataset: &NodeName| RunDataset {
            namespace: dataset.namespace().to_owned(),
            name: dataset.name().to_owned(),
            uri: places.get(dataset).cloned().unwrap_or_else(|| ToldDataset::default_uri(dataset)),
        };
        Ok(Json(RunBody {
            job_name: run.job.name().to_owned(),
            inputs: inputs.iter().map(dataset).collect(),
            outputs: outputs.iter().map(dataset).collect(),
            snapshot_id: run.snapshot.map(gadwall_domain::ids::SnapshotId::get),
            run: run.into(),
            request_id: request_id(&auth),
        }))
    }

    /// End a run, well or not
    #[oai(path = "/jobs/:job/runs/:run/complete", method = "put", operation_id = "complete_job_run")]
    async fn complete(
        &self,
        auth: Auth,
        job: Path<String>,
        run: Path<String>,
        /// The job's namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        body: Json<Option<CompleteRun>>,
    ) -> ApiResult<Json<RunDone>> {
        let (success, metadata) = match body.0 {
            Some(body) => (body.success.unwrap_or(true), body.metadata),
            None => (true, None),
        };
        let ending = if success { Ending::Complete } else { Ending::Fail };
        self.end(&auth, namespace.0.as_deref(), (&job.0, &run.0), ending, metadata).await
    }

    /// End a run that failed
    #[oai(path = "/jobs/:job/runs/:run/fail", method = "put", operation_id = "fail_job_run")]
    async fn fail(
        &self,
        auth: Auth,
        job: Path<String>,
        run: Path<String>,
        /// The job's namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        body: Json<Option<EndRun>>,
    ) -> ApiResult<Json<RunDone>> {
        let metadata = body.0.and_then(|body| body.metadata);
        self.end(&auth, namespace.0.as_deref(), (&job.0, &run.0), Ending::Fail, metadata).await
    }

    /// End a run that was stopped
    #[oai(path = "/jobs/:job/runs/:run/abort", method = "put", operation_id = "abort_job_run")]
    async fn abort(
        &self,
        auth: Auth,
        job: Path<String>,
        run: Path<String>,
        /// The job's namespace; `ducklake` unless told.
        namespace: Query<Option<String>>,
        body: Json<Option<EndRun>>,
    ) -> ApiResult<Json<RunDone>> {
        let metadata = body.0.and_then(|body| body.metadata);
        self.end(&auth, namespace.0.as_deref(), (&job.0, &run.0), Ending::Abort, metadata).await
    }
}

impl JobsApi {
    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }

    async fn end(
        &self,
        auth: &Auth,
        namespace: Option<&str>,
        (job, run): (&str, &str),
        ending: Ending,
        metadata: Option<JsonObject>,
    ) -> ApiResult<Json<RunDone>> {
        let project = self.project(auth)?;
        let name = job_name(namespace, job)?;
        let id = run_id(run)?;
        let metadata = metadata.map(|Any(metadata)| metadata);
        let sets = |field: &str| told_datasets(metadata.as_ref(), field);
        let told = Ended { inputs: sets("inputs")?, outputs: sets("outputs")?, metadata: None };
        let told = Ended { metadata: metadata.map(Value::Object), ..told };
        self.lineage.end_run(auth.caller(), &project, &name, id, ending, told).await?;
        let what = match ending {
            Ending::Complete => "completed",
            Ending::Fail => "failed",
            Ending::Abort => "aborted",
        };
        Ok(run_done(auth, id, format!("Run {what} successfully")))
    }
}

/// The datasets that a run's metadata names.
fn told_datasets(metadata: Option<&Map<String, Value>>, field: &str) -> ApiResult<Vec<ToldDataset>> {
    let wrong = || {
        let text = format!("metadata.{field} is a list of names, or of objects with a name");
        ApiError::out_of_range(text)
    };
    let told = match metadata.and_then(|metadata| metadata.get(field)) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(told)) => told,
        Some(_) => return Err(wrong()),
    };
    let dataset = |told: &Value| -> ApiResult<ToldDataset> {
        if let Value::String(name) = told {
            let name = job_name(None, name)?;
            return Ok(ToldDataset { name, description: None, uri: None, more: Map::new() });
        }
        let text = |field: &str| told[field].as_str();
        let name = job_name(text("namespace"), text("name").ok_or_else(wrong)?)?;
        let known = ["name", "namespace", "description", "uri"];
        let more = told.as_object().into_iter().flatten().filter(|(field, _)| !known.contains(&field.as_str()));
        Ok(ToldDataset {
            name,
            description: text("description").map(str::to_owned),
            uri: text("uri").map(str::to_owned),
            more: more.map(|(field, value)| (field.clone(), value.clone())).collect(),
        })
    };
    told.iter().map(dataset).collect()
}

fn request_id(auth: &Auth) -> String {
    auth.caller().request_id.to_string()
}

fn run_done(auth: &Auth, run: RunId, message: String) -> Json<RunDone> {
    Json(RunDone { message, run_id: run.to_string(), request_id: request_id(auth) })
}

/// The name of a job or dataset.
pub(super) fn job_name(namespace: Option<&str>, name: &str) -> ApiResult<NodeName> {
    Ok(NodeName::new(namespace.unwrap_or(NodeName::DEFAULT_NAMESPACE), name)?)
}

/// A run's id.
pub(super) fn run_id(text: &str) -> ApiResult<RunId> {
    RunId::parse(text).ok_or_else(|| ApiError::out_of_range("a run's id is a UUID"))
}

/// Where the page after a node begins.
pub(super) fn name_cursor(name: &NodeName) -> String {
    serde_json::json!([name.namespace(), name.name()]).to_string()
}

/// The node of a cursor.
pub(super) fn read_name(cursor: &str) -> Option<NodeName> {
    let (namespace, name): (String, String) = serde_json::from_str(cursor).ok()?;
    NodeName::new(&namespace, &name).ok()
}

/// Where the page after a run begins.
pub(super) fn run_cursor(run: &Run) -> String {
    format!("{}.{}", run.created_at.timestamp_micros(), run.id)
}

/// The run of a cursor.
pub(super) fn read_run(cursor: &str) -> Option<(DateTime<Utc>, RunId)> {
    let (micros, id) = cursor.split_once('.')?;
    let at = micros.parse().ok().and_then(DateTime::from_timestamp_micros)?;
    Some((at, RunId::parse(id)?))
}
