//! What a query took, in figures: they are known once its last row was read.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a query took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Rows of its result.
    pub rows: u64,
    /// From when the engine began with it to its last row; a reader that takes its time counts.
    pub execution: Duration,
    /// What the engine measured, if it was asked to and could.
    pub profile: Option<QueryProfile>,
}

/// What an engine measures of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryProfile {
    /// Rows that the scans of tables and files handed on: after what a scan itself filters out.
    pub rows_scanned: u64,
    /// Bytes of these rows in the columns that were needed, as the engine holds them: a text counts 16.
    pub bytes_scanned: u64,
    /// The most memory that the engine held while the query ran, for all that ran at that time.
    pub peak_memory: u64,
    /// The most that the engine had put aside on disk meanwhile, for all that ran.
    pub peak_spill: u64,
}

/// Where the figures will be once they are known. Those of a query that didn't come to its end never are.
#[derive(Debug, Clone, Default)]
pub struct FiguresLater(Arc<OnceLock<Figures>>);

impl FiguresLater {
    /// Known already.
    pub fn known(figures: Figures) -> Self {
        Self(Arc::new(OnceLock::from(figures)))
    }

    /// Tells them. Told twice, the first ones stand.
    pub fn tell(&self, figures: Figures) {
        // Whoever told them before was right.
        let _ = self.0.set(figures);
    }

    /// The figures, if they are known by now.
    pub fn get(&self) -> Option<Figures> {
        self.0.get().copied()
    }
}
