//! What the load test measured.

use std::fmt;
use std::time::Duration;

use super::Turns;
use super::measure::Figures;
use crate::demo::table::Table;

/// One measurement.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was asked for.
    pub request: &'static str,
    /// Clients at once.
    pub clients: usize,
    /// Who did it.
    pub by: &'static str,
    /// The figures.
    pub figures: Figures,
    /// This rate as a multiple of Gadwall's at the same request and clients.
    pub ratio: f64,
}

/// What the load test measured.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// From the start with an empty data folder to the first answer.
    pub first_start: Duration,
    /// From the start with a project that is there to the first answer.
    pub restart: Duration,
    /// Memory held with one open project and nothing to do, in MB.
    pub idle_mb: Option<f64>,
    /// Memory held after the load, in MB.
    pub loaded_mb: Option<f64>,
    /// The measurements.
    pub measured: Vec<Measured>,
    /// Small requests beside the same in process.
    pub turns: Vec<Turns>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |value: Option<f64>| value.map_or("unknown".to_owned(), |mb| format!("{mb:.0} MB"));
        writeln!(f, "start to first answer, empty folder     {} ms", self.first_start.as_millis())?;
        writeln!(f, "start to first answer, one project      {} ms", self.restart.as_millis())?;
        writeln!(f, "memory, idle with one open project      {}", mb(self.idle_mb))?;
        writeln!(f, "memory, after the load                  {}\n", mb(self.loaded_mb))?;
        let headings = ["request", "by", "clients", "per second", "p50 ms", "p99 ms", "failed", "× Gadwall"];
        let mut table = Table::new(headings, 2);
        for measured in &self.measured {
            let figures = measured.figures;
            table.row([
                measured.request.to_owned(),
                measured.by.to_owned(),
                measured.clients.to_string(),
                format!("{:.0}", figures.per_second),
                format!("{:.2}", figures.p50),
                format!("{:.2}", figures.p99),
                figures.failed.to_string(),
                format!("{:.2}", measured.ratio),
            ]);
        }
        write!(f, "{table}")?;
        self.turns.iter().try_for_each(|turns| write!(f, "{turns}"))
    }
}
