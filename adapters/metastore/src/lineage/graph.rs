//! The edges between jobs and datasets, and between columns.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gadwall_domain::lineage::{ColumnEdge, Direction, Influence, NodeKind, NodeName, Outdated, ToldBy};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{Edge, GraphRepository};
use gadwall_domain::ports::metadata::StoreError;

use super::key;
use super::nodes::name;
use super::runs::direction_of;
use crate::error::value_fault;
use crate::row::Row;
use crate::rows::{micros, time};
use crate::statement::{Value, with_rows};
use crate::tx::SqlTx;

macro_rules! edges {
    ($by:literal) => {
        concat!(
            "SELECT e.direction, j.namespace AS job_namespace, j.name AS job_name, d.namespace, d.name
               FROM lineage_edges e JOIN lineage_jobs j ON j.project = e.project AND j.id = e.job
                                    JOIN lineage_datasets d ON d.project = e.project AND d.id = e.dataset
              WHERE ",
            $by
        )
    };
}

macro_rules! columns {
    ($by:literal) => {
        concat!(
            "SELECT c.to_field, c.from_field, c.influence, c.transformation, c.at, t.namespace AS to_namespace,
                    t.name AS to_name, f.namespace AS from_namespace, f.name AS from_name,
                    j.namespace AS job_namespace, j.name AS job_name
               FROM lineage_columns c JOIN lineage_jobs j ON j.project = c.project AND j.id = c.job
                                      JOIN lineage_datasets t ON t.project = c.project AND t.id = c.to_dataset
                                      JOIN lineage_datasets f ON f.project = c.project AND f.id = c.from_dataset
              WHERE ",
            $by
        )
    };
}

/// What doesn't hold any more: of a dataset, by a job or by all of a namespace, before a time.
const OUTDATED: &str = "WITH outdated (dataset, job, namespace, before) AS (";
const FORGET_OUTDATED: &str = ") DELETE FROM lineage_columns
    WHERE to_dataset IN (SELECT dataset FROM outdated)
      AND EXISTS (SELECT 1 FROM outdated o
                   WHERE o.dataset = lineage_columns.to_dataset AND lineage_columns.at < o.before
                     AND (o.job = lineage_columns.job
                          OR o.namespace = (SELECT j.namespace FROM lineage_jobs j
                                             WHERE j.project = lineage_columns.project AND j.id = lineage_columns.job)))
      AND project = $1";

pub(crate) const EDGES_OF_JOBS: &str = edges!("e.job");
pub(crate) const EDGES_OF_DATASETS: &str = edges!("e.dataset");

#[async_trait]
impl GraphRepository for SqlTx {
    async fn edges_at(
        &mut self,
        project: &ProjectId,
        kind: NodeKind,
        direction: Direction,
        names: &[NodeName],
        limit: u32,
    ) -> Result<Vec<Edge>, StoreError> {
        let before = match kind {
            NodeKind::Job => EDGES_OF_JOBS,
            NodeKind::Dataset => EDGES_OF_DATASETS,
        };
        // One of two words: a value in the text, so that `at_keys` has none more to bind.
        let direction = super::direction(direction);
        let after = format!(" AND e.project = $1 AND e.direction = {direction} LIMIT $2");
        let rows = self.at_keys(before, project, names.iter().map(key), &after, limit).await?;
        rows.iter().map(edge).collect()
    }

    async fn put_columns(
        &mut self,
        project: &ProjectId,
        edges: &[ColumnEdge],
        outdated: &[Outdated],
    ) -> Result<(), StoreError> {
        self.forget_columns(project, outdated).await?;
        // One statement may not tell of an edge twice: the later word holds.
        let mut rows = BTreeMap::new();
        for edge in edges {
            let row = (
                key(&edge.to),
                key(&edge.job),
                edge.to_field.as_deref().unwrap_or_default(),
                key(&edge.from),
                edge.from_field.as_str(),
                edge.influence.as_str(),
                edge.transformation.as_deref().unwrap_or_default(),
            );
            let at = rows.entry(row).or_insert(i64::MIN);
            *at = micros(edge.at).max(*at);
        }
        let rows = rows
            .into_iter()
            .map(|((to, job, to_field, from, from_field, influence, transformation), at)| {
                [
                    project.folded().into(),
                    to.into(),
                    job.into(),
                    to_field.into(),
                    from.into(),
                    from_field.into(),
                    influence.into(),
                    transformation.into(),
                    at.into(),
                ]
            })
            .collect();
        let into =
            "INSERT INTO lineage_columns (project, to_dataset, job, to_field, from_dataset, from_field, influence,
                                                 transformation, at)";
        let otherwise = " ON CONFLICT (project, to_dataset, job, to_field, from_dataset, from_field, influence,
            transformation) DO UPDATE SET at = excluded.at";
        self.insert_all(into, rows, otherwise).await
    }

    async fn columns_at(
        &mut self,
        project: &ProjectId,
        direction: Direction,
        datasets: &[NodeName],
        limit: u32,
    ) -> Result<Vec<ColumnEdge>, StoreError> {
        let before = match direction {
            Direction::Input => columns!("c.to_dataset"),
            Direction::Output => columns!("c.from_dataset"),
        };
        let after = " AND c.project = $1
              ORDER BY c.to_dataset, c.to_field, c.from_dataset, c.from_field LIMIT $2";
        let rows = self.at_keys(before, project, datasets.iter().map(key), after, limit).await?;
        rows.iter().map(column_edge).collect()
    }
}

impl SqlTx {
    /// Removes what doesn't hold any more.
    async fn forget_columns(&mut self, project: &ProjectId, outdated: &[Outdated]) -> Result<(), StoreError> {
        for some in outdated.chunks(super::AT_ONCE) {
            let row = |outdated: &Outdated| -> [Value<'_>; 4] {
                let (job, namespace) = match &outdated.by {
                    ToldBy::Job(job) => (key(job), String::new()),
                    ToldBy::Namespace(namespace) => (String::new(), namespace.clone()),
                };
                [key(&outdated.to).into(), job.into(), namespace.into(), micros(outdated.before).into()]
            };
            let rows = some.iter().map(row).collect();
            self.run(with_rows(OUTDATED, rows, FORGET_OUTDATED).bind(project.folded())).await?;
        }
        Ok(())
    }
}

fn edge(row: &Row) -> Result<Edge, StoreError> {
    Ok(Edge {
        job: name(row, "job_namespace", "job_name")?,
        dataset: name(row, "namespace", "name")?,
        direction: direction_of(row)?,
    })
}

fn column_edge(row: &Row) -> Result<ColumnEdge, StoreError> {
    let told = |column| Ok::<_, StoreError>(Some(row.get::<String>(column)?).filter(|text| !text.is_empty()));
    let influence: &str = row.get("influence")?;
    Ok(ColumnEdge {
        to: name(row, "to_namespace", "to_name")?,
        to_field: told("to_field")?,
        from: name(row, "from_namespace", "from_name")?,
        from_field: row.get("from_field")?,
        influence: Influence::parse(influence).ok_or_else(|| value_fault("influence", "an unknown word"))?,
        transformation: told("transformation")?,
        job: name(row, "job_namespace", "job_name")?,
        at: time(row, "at")?,
    })
}
