//! The guided demo: real data in several formats, loaded and queried over HTTP, every answer checked.
//!
//! The data is the npm package `vega-datasets`. Each file is sent in its own format to a project of its own; then
//! analytical queries run through the API, and DuckDB answers the same SQL directly on the same files. [`run`] is
//! what `make demo` plays and what an integration test plays faster, with fewer rows.

mod client;
mod compare;
mod datasets;
mod direct;
mod package;
mod queries;
mod report;
pub(crate) mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

pub use client::Client;
pub use report::{Loaded, Queried, Report};

use datasets::{BUCKETS, DATASETS, Dataset};
use direct::Direct;
use queries::QUERIES;

/// A server that runs.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens.
    pub url: String,
    /// The administrator's key.
    pub admin_key: String,
}

/// Told what happens, line by line.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// How the demo runs.
#[derive(Clone)]
pub struct Options {
    /// Where the data is kept between runs; by default beside the build.
    pub cache_dir: Option<PathBuf>,
    /// Takes only this many rows of the largest table (3 million).
    pub flights: Option<u64>,
    /// The project's id; by default a new one.
    pub project: Option<String>,
    /// Where progress goes.
    pub progress: Progress,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("flights", &self.flights)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_dir: None, flights: None, project: None, progress: Arc::new(|_| ()) }
    }
}

/// Plays the demo against a server.
pub async fn run(server: &Server, options: &Options) -> Result<Report> {
    let say = options.progress.as_ref();
    let scratch =
        tempfile::Builder::new().prefix("gadwall-demo-").tempdir().context("no folder for the demo's files")?;
    let (cache, scratch_dir, flights) = (options.cache_dir.clone(), scratch.path().to_owned(), options.flights);
    let progress = Arc::clone(&options.progress);
    let (files, direct) = blocking(move || {
        let files = package::data_dir(cache.as_deref(), progress.as_ref())?;
        let direct = Direct::open(&files, &scratch_dir, flights)?;
        Ok((files, direct))
    })
    .await?;

    let admin = Client::new(&server.url, &server.admin_key)?;
    let (project, client) = create_project(&admin, options.project.clone()).await?;
    say(&format!("project {project} at {}", server.url));
    for bucket in BUCKETS {
        client.post(&format!("/projects/{project}/buckets"), &json!({ "name": bucket }), 201).await?;
    }

    let direct = Arc::new(direct);
    let mut report = Report { project: project.clone(), api_key: client.key().to_owned(), ..Report::default() };
    for dataset in &DATASETS {
        say(&format!("loading {} ({})", dataset.qualified(), dataset.format.label()));
        let loaded = load(&client, &project, dataset, &files, &direct).await?;
        report.loads.push(loaded);
    }
    for query in &QUERIES {
        say(&format!("asking: {}", query.title));
        report.queries.push(ask(&client, &project, query, &direct).await?);
    }
    Ok(report)
}

async fn create_project(admin: &Client, wanted: Option<String>) -> Result<(String, Client)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let id = wanted.unwrap_or_else(|| format!("demo-{now}"));
    let client = admin.project(&id, json!({ "name": "The demo" })).await?;
    Ok((id, client))
}

async fn load(client: &Client, project: &str, dataset: &Dataset, files: &Path, direct: &Arc<Direct>) -> Result<Loaded> {
    let tables = format!("/projects/{project}/buckets/{}/tables", dataset.bucket);
    client.post(&tables, &dataset.definition(), 201).await?;
    let body = dataset.body(&direct.file(files, dataset))?;
    let bytes = body.len();
    let begun = Instant::now();
    let rows_path = format!("{tables}/{}/rows", dataset.table);
    let answer = client.post_body(&rows_path, dataset.format.content_type(), body, 200).await?;
    let elapsed = begun.elapsed();
    let rows = answer.get("rows").and_then(Value::as_u64).context("the answer to an append names no rows")?;
    let (asked, name) = (Arc::clone(direct), dataset.qualified());
    let expected = blocking(move || asked.count(&name)).await?;
    if rows != expected {
        bail!("{} took {rows} rows of a file that holds {expected}", dataset.qualified());
    }
    Ok(Loaded { table: dataset.qualified(), format: dataset.format.label(), rows, bytes, elapsed })
}

async fn ask(client: &Client, project: &str, query: &queries::Query, direct: &Arc<Direct>) -> Result<Queried> {
    let sql = query.sql;
    let begun = Instant::now();
    let answer = client.post(&format!("/projects/{project}/query"), &json!({ "query": sql }), 200).await;
    let elapsed = begun.elapsed();
    let asked = Arc::clone(direct);
    let expected = blocking(move || asked.answer(sql)).await.with_context(|| format!("DuckDB on {:?}", query.title))?;
    let difference = match &answer {
        Ok(answer) => compare::difference(answer, &expected),
        Err(error) => Some(format!("{error:#}")),
    };
    Ok(Queried { title: query.title, rows: expected.rows.len(), elapsed, direct: expected.elapsed, difference })
}

/// Runs what blocks (DuckDB, files, other programs) off the async threads.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.context("a worker of the demo failed")?
}
