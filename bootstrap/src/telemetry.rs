//! Logs: one line for each event, for people or for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Logging};

/// Starts logging to standard error. A second call in one process changes nothing.
pub fn start(logging: &Logging) {
    // Libraries say a lot on INFO that only matters when they are the suspect.
    let directives = format!("warn,gadwall={level}", level = logging.level.as_directive());
    let filter = EnvFilter::builder().parse_lossy(directives);
    let registry = tracing_subscriber::registry().with(filter);
    // Colours are for eyes; in a file or a journal they are noise that no search finds its way through.
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let started = match logging.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init(),
        LogFormat::Human => registry.with(lines.with_target(false)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
