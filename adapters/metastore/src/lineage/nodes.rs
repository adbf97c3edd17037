//! Jobs and datasets.

use async_trait::async_trait;
use gadwall_domain::lineage::{Dataset, Job, NodeName, RunId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{NodeFilter, NodeRepository};
use gadwall_domain::ports::metadata::StoreError;

use super::key;
use crate::error::value_fault;
use crate::row::Row;
use crate::rows::{count, json, micros, number, optional_json, time, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

macro_rules! jobs {
    ($($which:tt)+) => {
        concat!(
            "SELECT j.namespace, j.name, j.description, j.metadata, j.facets, j.created_at, j.updated_at, j.latest_run,
                    j.total_runs
               FROM lineage_jobs j WHERE ",
            $($which)+
        )
    };
}

/// Those of a page: the namespace, the words in the name, and what comes before are optional.
macro_rules! page {
    ($table:literal) => {
        concat!(
            $table,
            ".project = $1 AND ($2 IS NULL OR ",
            $table,
            ".namespace = $2) AND ($3 IS NULL OR lower(",
            $table,
            ".name) LIKE $3 ESCAPE '\\') AND (",
            $table,
            ".namespace > $4 OR (",
            $table,
            ".namespace = $4 AND ",
            $table,
            ".name > $5)) ORDER BY ",
            $table,
            ".namespace, ",
            $table,
            ".name LIMIT $6"
        )
    };
}

#[async_trait]
impl NodeRepository for SqlTx {
    async fn jobs(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Job>, StoreError> {
        let rows = self.of_keys(jobs!("j.id"), project, names.iter().map(key), " AND j.project = $1").await?;
        rows.iter().map(job).collect()
    }

    async fn put_jobs(&mut self, project: &ProjectId, jobs: &[Job]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs {
            rows.push([
                project.folded().into(),
                key(&job.name).into(),
                job.name.namespace().into(),
                job.name.name().into(),
                job.description.as_deref().into(),
                job.metadata.as_ref().map(|metadata| to_json("metadata", metadata)).transpose()?.into(),
                to_json("facets", &job.facets)?.into(),
                micros(job.created_at).into(),
                micros(job.updated_at).into(),
                job.latest_run.map(|run| run.to_string()).into(),
                number("total_runs", job.total_runs)?.into(),
            ]);
        }
        let into = "INSERT INTO lineage_jobs (project, id, namespace, name, description, metadata, facets, created_at,
                                              updated_at, latest_run, total_runs)";
        let otherwise = " ON CONFLICT (project, id) DO UPDATE SET description = excluded.description,
            metadata = excluded.metadata, facets = excluded.facets, updated_at = excluded.updated_at,
            latest_run = excluded.latest_run, total_runs = excluded.total_runs";
        self.insert_all(into, rows, otherwise).await
    }

    async fn list_jobs(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Job>, StoreError> {
        let rows = self.page(jobs!(page!("j")), project, filter).await?;
        rows.iter().map(job).collect()
    }

    async fn datasets(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Dataset>, StoreError> {
        let before = "SELECT * FROM lineage_datasets d WHERE d.id";
        let rows = self.of_keys(before, project, names.iter().map(key), " AND d.project = $1").await?;
        rows.iter().map(dataset).collect()
    }

    async fn put_datasets(&mut self, project: &ProjectId, datasets: &[Dataset]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(datasets.len());
        for dataset in datasets {
            rows.push([
                project.folded().into(),
                key(&dataset.name).into(),
                dataset.name.namespace().into(),
                dataset.name.name().into(),
                to_json("facets", &dataset.facets)?.into(),
                micros(dataset.created_at).into(),
                micros(dataset.updated_at).into(),
            ]);
        }
        let into = "INSERT INTO lineage_datasets (project, id, namespace, name, facets, created_at, updated_at)";
        let otherwise = " ON CONFLICT (project, id) DO UPDATE SET facets = excluded.facets,
            updated_at = excluded.updated_at";
        self.insert_all(into, rows, otherwise).await
    }

    async fn list_datasets(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Dataset>, StoreError> {
        const LIST: &str = concat!("SELECT d.* FROM lineage_datasets d WHERE ", page!("d"));
        let rows = self.page(LIST, project, filter).await?;
        rows.iter().map(dataset).collect()
    }

    async fn namespaces(&mut self, project: &ProjectId) -> Result<Vec<String>, StoreError> {
        let statement = sql("SELECT namespace FROM lineage_jobs WHERE project = $1
              UNION SELECT namespace FROM lineage_datasets WHERE project = $1 ORDER BY namespace");
        let rows = self.all(statement.bind(project.folded())).await?;
        rows.iter().map(|row| row.get::<String>("namespace")).collect()
    }
}

impl SqlTx {
    async fn page(
        &mut self,
        list: &'static str,
        project: &ProjectId,
        filter: &NodeFilter,
    ) -> Result<Vec<Row>, StoreError> {
        let after = filter.after.as_ref();
        let statement = sql(list)
            .bind(project.folded())
            .bind(filter.namespace.as_deref())
            .bind(filter.contains.as_deref().map(containing))
            .bind(after.map_or("", NodeName::namespace))
            .bind(after.map_or("", NodeName::name))
            .bind(i64::from(filter.limit));
        self.all(statement).await
    }
}

/// A pattern of all that has a text in it, whatever the case of its ASCII letters.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_ascii_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// A name of two columns.
pub(super) fn name(row: &Row, namespace: &'static str, name: &'static str) -> Result<NodeName, StoreError> {
    NodeName::new(row.get(namespace)?, row.get(name)?).map_err(|error| value_fault(name, &error))
}

/// A run's id, if there is one.
pub(super) fn run_id(row: &Row, column: &'static str) -> Result<Option<RunId>, StoreError> {
    let Some(text) = row.get::<Option<&str>>(column)? else { return Ok(None) };
    RunId::parse(text).map(Some).ok_or_else(|| value_fault(column, "it is not a UUID"))
}

fn job(row: &Row) -> Result<Job, StoreError> {
    Ok(Job {
        name: name(row, "namespace", "name")?,
        description: row.get("description")?,
        metadata: optional_json(row, "metadata")?,
        facets: json(row, "facets")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        latest_run: run_id(row, "latest_run")?,
        total_runs: count(row, "total_runs")?,
    })
}

fn dataset(row: &Row) -> Result<Dataset, StoreError> {
    Ok(Dataset {
        name: name(row, "namespace", "name")?,
        facets: json(row, "facets")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
