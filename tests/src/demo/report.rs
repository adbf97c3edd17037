//! What the demo found.

use std::fmt;
use std::time::Duration;

use super::table::Table;

/// One file that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// `bucket.table`.
    pub table: String,
    /// The format it was sent in.
    pub format: &'static str,
    /// Rows, as many as the file holds.
    pub rows: u64,
    /// Bytes of the request's body.
    pub bytes: usize,
    /// From the request to its answer, which comes once the rows are durable.
    pub elapsed: Duration,
}

/// One query that was asked of both.
#[derive(Debug, Clone)]
pub struct Queried {
    /// What it asks.
    pub title: &'static str,
    /// Rows of the answer.
    pub rows: usize,
    /// Time of the request.
    pub elapsed: Duration,
    /// Time DuckDB took on the files.
    pub direct: Duration,
    /// The first difference; none if the answers are the same.
    pub difference: Option<String>,
}

/// What the demo found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The project that now holds the data.
    pub project: String,
    /// Its key.
    pub api_key: String,
    /// The files, as loaded.
    pub loads: Vec<Loaded>,
    /// The queries, as answered.
    pub queries: Vec<Queried>,
}

impl Report {
    /// Whether every answer was the same.
    pub fn all_same(&self) -> bool {
        self.queries.iter().all(|query| query.difference.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut loads = Table::new(["dataset", "format", "rows", "bytes", "seconds", "rows/s"], 2);
        for load in &self.loads {
            let seconds = load.elapsed.as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
            let rate = load.rows as f64 / seconds.max(f64::EPSILON);
            loads.row([
                load.table.clone(),
                load.format.to_owned(),
                load.rows.to_string(),
                load.bytes.to_string(),
                format!("{seconds:.3}"),
                format!("{rate:.0}"),
            ]);
        }
        let mut queries = Table::new(["query", "rows", "ms Gadwall", "ms DuckDB", "same?"], 1);
        for query in &self.queries {
            let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
            queries.row([
                query.title.to_owned(),
                query.rows.to_string(),
                ms(query.elapsed),
                ms(query.direct),
                if query.difference.is_none() { "yes" } else { "NO" }.to_owned(),
            ]);
        }
        write!(f, "{loads}\n{queries}")?;
        if !self.all_same() {
            writeln!(f)?;
        }
        for query in &self.queries {
            if let Some(difference) = &query.difference {
                writeln!(f, "{}: {difference}", query.title)?;
            }
        }
        Ok(())
    }
}
