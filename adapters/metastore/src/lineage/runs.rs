//! Runs, and what they read and write.

use async_trait::async_trait;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::lineage::{Direction, NodeName, Run, RunId, RunState, Use};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{RunFilter, RunRepository};
use gadwall_domain::ports::metadata::StoreError;

use super::nodes::{name, run_id};
use super::{direction, key};
use crate::error::value_fault;
use crate::row::Row;
use crate::rows::{json, micros, number, optional_json, optional_snapshot, optional_time, time, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

macro_rules! runs {
    ($($which:tt)+) => {
        concat!(
            "SELECT r.id, j.namespace, j.name, r.state, r.started_at, r.ended_at, r.parent, r.metadata, r.facets,
                    r.snapshot, r.created_at, r.updated_at
               FROM lineage_runs r JOIN lineage_jobs j ON j.project = r.project AND j.id = r.job WHERE ",
            $($which)+
        )
    };
}

/// What else selects, and in which order.
macro_rules! list {
    ($by:literal) => {
        runs!(concat!(
            "r.project = $1 AND ",
            $by,
            " AND ($3 IS NULL OR r.state = $3) AND (r.created_at < $4 OR (r.created_at = $4 AND r.id < $5))
              ORDER BY r.created_at DESC, r.id DESC LIMIT $6"
        ))
    };
}

pub(crate) const LIST: &str = list!("$2 IS NULL");
pub(crate) const OF_JOB: &str = list!("r.job = $2");
const OF_SNAPSHOT: &str = list!("r.snapshot = $7 AND ($2 IS NULL OR r.job = $2)");
/// Sorts behind every UUID.
const PAST_ALL_IDS: &str = "~";

#[async_trait]
impl RunRepository for SqlTx {
    async fn runs(&mut self, project: &ProjectId, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
        let keys = ids.iter().map(ToString::to_string);
        let rows = self.of_keys(runs!("r.id"), project, keys, " AND r.project = $1").await?;
        rows.iter().map(run).collect()
    }

    async fn put_runs(&mut self, project: &ProjectId, runs: &[Run]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs {
            let snapshot = run.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
            rows.push([
                project.folded().into(),
                run.id.to_string().into(),
                key(&run.job).into(),
                run.state.as_str().into(),
                run.started_at.map(micros).into(),
                run.ended_at.map(micros).into(),
                run.parent.map(|parent| parent.to_string()).into(),
                run.metadata.as_ref().map(|metadata| to_json("metadata", metadata)).transpose()?.into(),
                to_json("facets", &run.facets)?.into(),
                snapshot.into(),
                micros(run.created_at).into(),
                micros(run.updated_at).into(),
            ]);
        }
        let into = "INSERT INTO lineage_runs (project, id, job, state, started_at, ended_at, parent, metadata, facets,
                                              snapshot, created_at, updated_at)";
        let otherwise = " ON CONFLICT (project, id) DO UPDATE SET state = excluded.state,
            started_at = excluded.started_at, ended_at = excluded.ended_at, parent = excluded.parent,
            metadata = excluded.metadata, facets = excluded.facets, snapshot = excluded.snapshot,
            updated_at = excluded.updated_at";
        self.insert_all(into, rows, otherwise).await
    }

    async fn list_runs(&mut self, project: &ProjectId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let text = match (filter.snapshot, &filter.job) {
            (Some(_), _) => OF_SNAPSHOT,
            (None, Some(_)) => OF_JOB,
            (None, None) => LIST,
        };
        let statement = sql(text)
            .bind(project.folded())
            .bind(filter.job.as_ref().map(key))
            .bind(filter.state.map(RunState::as_str))
            .bind(filter.after.map_or(i64::MAX, |(at, _)| micros(at)))
            .bind(filter.after.map_or_else(|| PAST_ALL_IDS.to_owned(), |(_, id)| id.to_string()))
            .bind(i64::from(filter.limit));
        let statement = match filter.snapshot {
            Some(snapshot) => statement.bind(number("snapshot", SnapshotId::get(snapshot))?),
            None => statement,
        };
        self.all(statement).await?.iter().map(run).collect()
    }

    async fn put_uses(&mut self, project: &ProjectId, uses: &[Use]) -> Result<(), StoreError> {
        let keyed: Vec<_> = uses.iter().map(|used| (used, key(&used.job), key(&used.dataset))).collect();
        let of_run = |(used, _, dataset): &(&Use, String, String)| {
            let run = used.run?.to_string();
            Some([
                project.folded().clone().into(),
                run.into(),
                direction(used.direction).into(),
                dataset.clone().into(),
                micros(used.at).into(),
            ])
        };
        let into = "INSERT INTO lineage_uses (project, run, direction, dataset, at)";
        let otherwise = " ON CONFLICT (project, run, direction, dataset) DO NOTHING";
        self.insert_all(into, keyed.iter().filter_map(of_run).collect(), otherwise).await?;
        let mut edges: Vec<_> = keyed
            .into_iter()
            .map(|(used, job, dataset)| (job, direction(used.direction), dataset, micros(used.at)))
            .collect();
        edges.sort();
        edges.dedup_by(|later, kept| {
            let same = (&later.0, later.1, &later.2) == (&kept.0, kept.1, &kept.2);
            if same {
                kept.3 = kept.3.max(later.3);
            }
            same
        });
        let rows = edges
            .into_iter()
            .map(|(job, direction, dataset, at)| {
                [project.folded().clone().into(), job.into(), direction.into(), dataset.into(), at.into()]
            })
            .collect();
        let into = "INSERT INTO lineage_edges (project, job, direction, dataset, at)";
        let otherwise = " ON CONFLICT (project, job, direction, dataset) DO UPDATE SET at = excluded.at";
        self.insert_all(into, rows, otherwise).await
    }

    async fn uses_of(&mut self, project: &ProjectId, run: RunId) -> Result<Vec<(Direction, NodeName)>, StoreError> {
        let statement = sql("SELECT u.direction, d.namespace, d.name
               FROM lineage_uses u JOIN lineage_datasets d ON d.project = u.project AND d.id = u.dataset
              WHERE u.project = $1 AND u.run = $2 ORDER BY u.direction, d.namespace, d.name");
        let rows = self.all(statement.bind(project.folded()).bind(run.to_string())).await?;
        rows.iter().map(|row| Ok((direction_of(row)?, name(row, "namespace", "name")?))).collect()
    }
}

pub(super) fn direction_of(row: &Row) -> Result<Direction, StoreError> {
    match row.get::<i64>("direction")? {
        0 => Ok(Direction::Input),
        1 => Ok(Direction::Output),
        _ => Err(value_fault("direction", "it is neither 0 nor 1")),
    }
}

fn run(row: &Row) -> Result<Run, StoreError> {
    let state: &str = row.get("state")?;
    Ok(Run {
        id: run_id(row, "id")?.ok_or_else(|| value_fault("id", "it is missing"))?,
        job: name(row, "namespace", "name")?,
        state: RunState::parse(state).ok_or_else(|| value_fault("state", "an unknown word"))?,
        started_at: optional_time(row, "started_at")?,
        ended_at: optional_time(row, "ended_at")?,
        parent: run_id(row, "parent")?,
        metadata: optional_json(row, "metadata")?,
        facets: json(row, "facets")?,
        snapshot: optional_snapshot(row, "snapshot")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
