//! The edges between jobs and datasets, and between columns.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gadwall_domain::lineage::{ColumnEdge, Direction, Influence, NodeKind, NodeName};
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
            $by,
            " IN ("
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
            $by,
            " IN ("
        )
    };
}

pub(crate) const EDGES_OF_JOBS: &str = edges!("e.job");
pub(crate) const EDGES_OF_DATASETS: &str = edges!("e.dataset");

#[async_trait]
impl GraphRepository for SqlTx {
    async fn edges_at(
        &mut self,
        project: &ProjectId,
        kind: NodeKind,
        names: &[NodeName],
        limit: u32,
    ) -> Result<Vec<Edge>, StoreError> {
        let before = match kind {
            NodeKind::Job => EDGES_OF_JOBS,
            NodeKind::Dataset => EDGES_OF_DATASETS,
        };
        let after = |number| format!(") AND e.project = ${number} LIMIT ${}", number + 1);
        let rows = self.of_keys(before, project, names.iter().map(key), after, Some(limit)).await?;
        rows.iter().map(edge).collect()
    }

    async fn put_columns(&mut self, project: &ProjectId, edges: &[ColumnEdge]) -> Result<(), StoreError> {
        let mut newest: BTreeMap<(String, String), i64> = BTreeMap::new();
        for edge in edges {
            let at = newest.entry((key(&edge.to), key(&edge.job))).or_insert(i64::MIN);
            *at = micros(edge.at).max(*at);
        }
        self.forget_columns_before(project, &newest).await?;
        let mut rows = BTreeMap::new();
        for edge in edges {
            let (to, job, at) = (key(&edge.to), key(&edge.job), micros(edge.at));
            if newest.get(&(to.clone(), job.clone())).is_some_and(|newest| at < *newest) {
                continue;
            }
            let row = (
                to,
                job,
                edge.to_field.as_deref().unwrap_or_default(),
                key(&edge.from),
                edge.from_field.as_str(),
                edge.influence.as_str(),
                edge.transformation.as_deref().unwrap_or_default(),
            );
            rows.insert(row, at);
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
        let after = |number| {
            format!(
                ") AND c.project = ${number} ORDER BY c.to_dataset, c.to_field, c.from_dataset, c.from_field LIMIT ${}",
                number + 1
            )
        };
        let rows = self.of_keys(before, project, datasets.iter().map(key), after, Some(limit)).await?;
        rows.iter().map(column_edge).collect()
    }
}

impl SqlTx {
    /// Removes what was told of datasets by jobs before these times.
    async fn forget_columns_before(
        &mut self,
        project: &ProjectId,
        newest: &BTreeMap<(String, String), i64>,
    ) -> Result<(), StoreError> {
        let mut newest = newest.iter().peekable();
        while newest.peek().is_some() {
            let some: Vec<[Value<'_>; 3]> = newest
                .by_ref()
                .take(super::AT_ONCE)
                .map(|((to, job), at)| [to.as_str().into(), job.as_str().into(), (*at).into()])
                .collect();
            let number = some.len() * 3 + 1;
            let after = format!(
                ") DELETE FROM lineage_columns WHERE project = ${number} AND (to_dataset, job) IN (SELECT t, j FROM newest)
                    AND at < (SELECT n.at FROM newest n WHERE n.t = lineage_columns.to_dataset AND n.j = lineage_columns.job)"
            );
            self.run(with_rows("WITH newest (t, j, at) AS (", some, &after).bind(project.folded())).await?;
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
