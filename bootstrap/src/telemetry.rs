//! Logs: one line for each event, for people or for machines; and traces beside them.

use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use gadwall_domain::ports::operating::{LogControl, LogControlError, LogSetting, LoggingLevel, ModuleName};
use gadwall_telemetry::Traces;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{Config, LogFormat, LogLevel, Logging};
use crate::traces;

/// Modules that may have a level of their own at once.
const MAX_MODULES: usize = 32;

/// Where the filter of this process's log can be changed, once logging was started. A process has one log.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// What a server tells the world of itself, until it is finished.
#[derive(Debug)]
pub struct Telemetry(Option<Traces>);

impl Telemetry {
    /// Sends the last spans.
    pub async fn finish(self) {
        if let Some(traces) = self.0 {
            // It waits for the collector.
            let _ = tokio::task::spawn_blocking(move || traces.finish()).await;
        }
    }
}

/// Starts logging, and traces if there is a collector for them. To be called on the runtime.
///
/// # Errors
/// When the settings of traces can't be used.
pub fn start_all(config: &Config) -> anyhow::Result<Telemetry> {
    let traces = traces::start(&config.traces)?;
    start_with(&config.logging, traces.as_ref());
    Ok(Telemetry(traces))
}

/// Starts logging to standard error. A second call in one process changes nothing.
pub fn start(logging: &Logging) {
    start_with(logging, None);
}

fn start_with(logging: &Logging, traces: Option<&Traces>) {
    let (subscriber, handle) = subscriber(logging, traces);
    if tracing::subscriber::set_global_default(subscriber).is_err() || FILTER.set(handle).is_err() {
        tracing::debug!("logging was started before");
    }
}

type Filter = reload::Handle<Targets, Registry>;

/// Who hears what happens, and how to change what of it is logged.
fn subscriber(logging: &Logging, traces: Option<&Traces>) -> (Box<dyn Subscriber + Send + Sync>, Filter) {
    let setting = LogSetting { level: level(logging.level), modules: Vec::new() };
    let (filter, handle) = reload::Layer::new(filter(&setting));
    let registry = tracing_subscriber::registry();
    let subscriber: Box<dyn Subscriber + Send + Sync> = match traces {
        // One filter for all costs less than one for each.
        None => Box::new(registry.with(filter).with(lines(logging.format))),
        // Spans are sent whatever the log leaves out.
        Some(traces) => Box::new(registry.with(lines(logging.format).with_filter(filter)).with(traces.layer())),
    };
    (subscriber, handle)
}

/// What writes the log.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Colours are for eyes; in a file or a journal they are noise that no search finds its way through.
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).boxed(),
        LogFormat::Human => lines.with_target(false).boxed(),
    }
}

pub(crate) fn level(configured: LogLevel) -> LoggingLevel {
    match configured {
        LogLevel::Trace => LoggingLevel::Trace,
        LogLevel::Debug => LoggingLevel::Debug,
        LogLevel::Info => LoggingLevel::Info,
        LogLevel::Warn => LoggingLevel::Warning,
        LogLevel::Error => LoggingLevel::Error,
    }
}

fn least(level: LoggingLevel) -> LevelFilter {
    match level {
        LoggingLevel::Trace => LevelFilter::TRACE,
        LoggingLevel::Debug => LevelFilter::DEBUG,
        LoggingLevel::Info => LevelFilter::INFO,
        LoggingLevel::Warning => LevelFilter::WARN,
        LoggingLevel::Error | LoggingLevel::Critical => LevelFilter::ERROR,
    }
}

fn filter(setting: &LogSetting) -> Targets {
    let own = least(setting.level);
    // Libraries say a lot on INFO that only matters when they are the suspect.
    let others = own.min(LevelFilter::WARN);
    let modules = setting.modules.iter().map(|(name, level)| (name.as_str(), least(*level)));
    Targets::new().with_default(others).with_target("gadwall", own).with_targets(modules)
}

/// The log of this process.
#[derive(Debug)]
pub(crate) struct ProcessLog(Mutex<LogSetting>);

impl ProcessLog {
    /// As it was configured.
    pub(crate) fn new(logging: &Logging) -> Self {
        Self(Mutex::new(LogSetting { level: level(logging.level), modules: Vec::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, LogSetting> {
        // It is replaced as a whole, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogControl for ProcessLog {
    fn setting(&self) -> LogSetting {
        self.lock().clone()
    }

    fn set(&self, level: LoggingLevel, module: Option<&ModuleName>) -> Result<(), LogControlError> {
        let mut setting = self.lock();
        let mut next = LogSetting { level, modules: Vec::new() };
        if let Some(module) = module {
            next.clone_from(&setting);
            next.modules.retain(|(name, _)| name != module);
            if next.modules.len() >= MAX_MODULES {
                return Err(LogControlError::TooManyModules(MAX_MODULES));
            }
            next.modules.push((module.clone(), level));
            next.modules.sort_by(|one, other| one.0.cmp(&other.0));
        }
        // Where nothing was started there is no log to be changed, and only the setting is kept.
        if let Some(log) = FILTER.get()
            && log.reload(filter(&next)).is_err()
        {
            tracing::error!("the log does not take another level");
        }
        *setting = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    const DEBUG: Level = Level::DEBUG;
    const INFO: Level = Level::INFO;
    const WARN: Level = Level::WARN;

    #[test]
    fn modules_keep_their_level_until_all_are_set() {
        let log = ProcessLog::new(&Logging::default());
        let module = |name: &str| ModuleName::parse(name).unwrap();
        log.set(LoggingLevel::Debug, Some(&module("sqlx::query"))).unwrap();
        log.set(LoggingLevel::Error, Some(&module("gadwall_http"))).unwrap();
        log.set(LoggingLevel::Warning, Some(&module("gadwall_http"))).unwrap();
        let setting = log.setting();
        let seen: Vec<_> = setting.modules.iter().map(|(name, level)| (name.as_str(), *level)).collect();
        assert_eq!(seen, [("gadwall_http", LoggingLevel::Warning), ("sqlx::query", LoggingLevel::Debug)]);
        let kept = filter(&setting);
        for (target, wanted) in [
            ("sqlx", WARN),
            ("sqlx::query", DEBUG),
            ("gadwall", INFO),
            ("gadwall_http::layers", WARN),
            ("gadwall_ducklake", INFO),
        ] {
            let enabled = [DEBUG, INFO, WARN].map(|level| kept.would_enable(target, &level));
            assert_eq!(enabled, [DEBUG, INFO, WARN].map(|level| level <= wanted), "{target}");
        }
        log.set(LoggingLevel::Critical, None).unwrap();
        assert_eq!(filter(&log.setting()).to_string(), "gadwall=error,error");
        assert_eq!(log.setting().level.as_str(), "CRITICAL");
    }

    #[test]
    fn what_is_set_holds_at_once() {
        start(&Logging::default());
        let log = ProcessLog::new(&Logging::default());
        let seen = || tracing::enabled!(target: "gadwall_http::layers", DEBUG);
        let of_libraries = || tracing::enabled!(target: "sqlx::query", DEBUG);
        assert!(!seen());
        log.set(LoggingLevel::Debug, None).unwrap();
        assert!(seen() && !of_libraries());
        log.set(LoggingLevel::Debug, ModuleName::parse("sqlx::query").as_ref()).unwrap();
        assert!(seen() && of_libraries());
        log.set(LoggingLevel::Error, None).unwrap();
        assert!(!seen() && !of_libraries());
    }

    #[tokio::test]
    async fn beside_traces_the_log_has_levels_too() {
        let endpoint = Some("http://127.0.0.1:9".to_owned());
        let traces = traces::start(&crate::config::Traces { endpoint, ..Default::default() }).unwrap();
        let (subscriber, log) = subscriber(&Logging::default(), traces.as_ref());
        let set = |level| {
            let setting = LogSetting { level, modules: Vec::new() };
            log.reload(filter(&setting)).unwrap();
        };
        tracing::subscriber::with_default(subscriber, || {
            let debug = || tracing::enabled!(target: "gadwall_http::layers", DEBUG);
            let span =
                || !tracing::info_span!(target: "gadwall_http::layers", "request", otel.kind = "server").is_disabled();
            assert!(!debug() && span());
            set(LoggingLevel::Debug);
            assert!(debug() && span());
            // Spans go on where the log is silent.
            set(LoggingLevel::Error);
            assert!(!debug() && span());
        });
    }

    #[test]
    fn only_so_many_modules_have_a_level() {
        let log = ProcessLog::new(&Logging::default());
        let set =
            |number: usize| log.set(LoggingLevel::Debug, Some(&ModuleName::parse(&format!("m{number}")).unwrap()));
        assert!((0..MAX_MODULES).all(|number| set(number).is_ok()));
        assert_eq!(set(MAX_MODULES), Err(LogControlError::TooManyModules(MAX_MODULES)));
        assert!(set(0).is_ok(), "one that is there may change");
        assert_eq!(log.setting().modules.len(), MAX_MODULES);
    }
}
