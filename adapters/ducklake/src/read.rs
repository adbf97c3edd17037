//! Reading tables' rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{
    ColumnProfile, LakeStore as _, Measured, Measuring, StoredTable, TableProfile, TableReader,
};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::schema::Column;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use serde_json::Value;

use crate::measure::table;
use crate::profiles::Key;
use crate::query::{self, Work, lake_failed};
use crate::root::Lent;
use crate::store::EmbeddedLakes;

#[async_trait]
impl TableReader for EmbeddedLakes {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        let work = Work::Rows { table: table.clone(), selection: Box::new(selection), at };
        let output = query::start(&self.engine, &self.catalogs, lake, work, timeout).await?;
        Ok((output.rows, output.snapshot))
    }

    async fn changes(
        &self,
        lake: LakeId,
        table: &TableRef,
        from: SnapshotId,
        to: SnapshotId,
        limit: Option<u64>,
        timeout: Duration,
    ) -> Result<RowStream, QueryError> {
        let work = Work::Changes { table: table.clone(), from, to, limit };
        Ok(query::start(&self.engine, &self.catalogs, lake, work, timeout).await?.rows)
    }

    async fn measure(&self, lake: LakeId, measuring: Measuring, timeout: Duration) -> Result<Measured, QueryError> {
        let (catalogs, engine) = (Arc::clone(&self.catalogs), Arc::clone(&self.engine));
        let look = move |connection: &Lent| {
            let lease = catalogs.lease(connection, lake)?;
            Ok(table::measure(connection, &engine.scrub, lake, &lease.known, &measuring, timeout))
        };
        self.engine.run(&self.engine.queries, look).await.map_err(lake_failed)?
    }

    async fn profile(
        &self,
        lake: LakeId,
        table: &TableRef,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<TableProfile, QueryError> {
        let at = match at {
            ReadAt::Head => self.head(lake).await.map_err(lake_failed)?,
            ReadAt::Snapshot(snapshot) => snapshot,
        };
        let stored = self.table(lake, &table.bucket, &table.table, ReadAt::Snapshot(at)).await.map_err(lake_failed)?;
        let Some(stored) = stored else {
            // Read all the same, for the error that fits.
            let work = Work::Profile { table: table.clone(), at: ReadAt::Snapshot(at) };
            query::start(&self.engine, &self.catalogs, lake, work, timeout).await?;
            return Err(QueryError::UnknownTable { name: table.to_string(), candidates: Vec::new() });
        };
        let key = Key { lake, table: stored.name.clone(), version: stored.version };
        if let Some(known) = self.profiles.get(&key) {
            return Ok(TableProfile { snapshot: at, ..known });
        }
        let work = Work::Profile { table: table.clone(), at: ReadAt::Snapshot(at) };
        let output = query::start(&self.engine, &self.catalogs, lake, work, timeout).await?;
        let profile = read_profile(output.rows, &stored, at).await?;
        self.profiles.keep(key, profile.clone());
        Ok(profile)
    }
}

async fn read_profile(rows: RowStream, stored: &StoredTable, snapshot: SnapshotId) -> Result<TableProfile, QueryError> {
    let unreadable = || QueryError::Engine("a profile can't be read".to_owned());
    let (mut total, mut profiles) = (0, Vec::new());
    let mut batches = rows.batches;
    while let Some(batch) = batches.next().await.transpose()? {
        let totals = batch.column(0).as_primitive_opt::<Int64Type>().ok_or_else(unreadable)?;
        let texts = batch.column(1).as_string_opt::<i32>().ok_or_else(unreadable)?;
        for row in 0..batch.num_rows() {
            total = u64::try_from(totals.value(row)).unwrap_or_default();
            let text = if texts.is_null(row) { "[]" } else { texts.value(row) };
            let part: Vec<Value> = serde_json::from_str(text).map_err(|_| unreadable())?;
            profiles.extend(part);
        }
    }
    let columns = stored.columns.iter().zip(profiles).map(|(column, found)| of_column(column, &found, total)).collect();
    Ok(TableProfile { snapshot, rows: total, columns })
}

fn of_column(column: &Column, found: &Value, total: u64) -> ColumnProfile {
    let count = found["count"].as_u64().unwrap_or_default();
    let value = |name: &str| Some(found[name].clone()).filter(|value| !value.is_null());
    let quantiles = found["quantiles"].as_array().filter(|values| values.iter().all(|value| !value.is_null()));
    let top = found["top"].as_array().into_iter().flatten();
    ColumnProfile {
        column: column.name.clone(),
        data_type: column.data_type.spelling(),
        count,
        nulls: total.saturating_sub(count),
        distinct: found["distinct"].as_u64(),
        min: value("min"),
        max: value("max"),
        mean: found["mean"].as_f64(),
        std_dev: found["std_dev"].as_f64(),
        quantiles: quantiles.and_then(|values| <[Value; 3]>::try_from(values.clone()).ok()),
        top: top.filter_map(|pair| Some((pair[0].clone(), pair[1].as_u64()?))).collect(),
    }
}
