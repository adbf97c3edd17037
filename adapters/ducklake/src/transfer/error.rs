//! What the engine says of a client's files, told to the client.

use std::sync::Arc;

use gadwall_domain::ports::lake::EngineFile;
use gadwall_domain::ports::transfer::TransferError;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowsError;
use gadwall_domain::transfer::FileFormat;

use crate::engine::Engine;
use crate::error::{Failure, classify, lake_error, message};

/// Longest reason that is told, in characters.
const MAX_REASON: usize = 400;

/// Tells errors about some files.
pub(super) struct FileErrors {
    engine: Arc<Engine>,
    format: &'static str,
    /// Where files lie, and what their owner calls them.
    names: Vec<(String, String)>,
}

impl FileErrors {
    pub(super) fn new(engine: &Arc<Engine>, format: &FileFormat, files: &[EngineFile]) -> Self {
        let names = files.iter().map(|file| (file.location.clone(), file.name.clone())).collect();
        Self { engine: Arc::clone(engine), format: format.name(), names }
    }

    /// The files aren't what they should be.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> TransferError {
        RowsError::Malformed { format: self.format, reason: reason.into() }.into()
    }

    /// An error of reading them. The files are the client's: whatever the engine says of them is the client's, too.
    pub(super) fn tell(&self, error: &duckdb::Error) -> TransferError {
        match classify(error) {
            Failure::Interrupted => QueryError::Cancelled.into(),
            Failure::OutOfMemory => QueryError::OutOfMemory.into(),
            Failure::StorageFull | Failure::ReadOnly | Failure::Unavailable | Failure::Contended => {
                lake_error(error).into()
            }
            Failure::Fault if message(error).starts_with("FATAL") => lake_error(error).into(),
            Failure::Fault | Failure::Damaged | Failure::Statement => self.malformed(self.reason(&message(error))),
        }
    }

    /// The part of a message that is about the files, without their places.
    fn reason(&self, message: &str) -> String {
        let mut text = message.to_owned();
        for (location, name) in &self.names {
            text = text.replace(location.as_str(), name);
        }
        let text = self.engine.scrub.apply(&text, "\0");
        // What follows names settings that no request has.
        let said = text.lines().take_while(|line| !line.starts_with("Possible"));
        let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
        said.join("; ").chars().take(MAX_REASON).collect()
    }
}
