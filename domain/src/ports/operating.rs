//! What operators look at and turn: logs, the machine, the engines, pools of connections.

use async_trait::async_trait;
use thiserror::Error;

use super::lake::LakeError;

/// The least important events that are logged, in the words that operators use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggingLevel {
    /// Everything. Only the configuration can ask for it.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What may need attention.
    Warning,
    /// What failed.
    Error,
    /// What failed: nothing is more important here.
    Critical,
}

impl LoggingLevel {
    /// Those that may be set, by their words.
    const SETTABLE: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The level of that word, exactly so.
    pub fn parse(word: &str) -> Option<Self> {
        Self::SETTABLE.into_iter().find(|level| level.as_str() == word)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// A part of the program whose events have a level of their own, such as `gadwall_http` or `sqlx::query`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleName(String);

impl ModuleName {
    /// The longest name.
    const LONGEST: usize = 128;

    /// Letters, digits and underscores, with `::` between parts.
    pub fn parse(text: &str) -> Option<Self> {
        let is_part =
            |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        (text.len() <= Self::LONGEST && text.split("::").all(is_part)).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why the level stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogControlError {
    /// Too many modules have a level of their own.
    #[error("{0} modules have a level of their own already; set the level without a module to forget them")]
    TooManyModules(usize),
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSetting {
    /// The level of all but the modules below.
    pub level: LoggingLevel,
    /// Modules with a level of their own, by name.
    pub modules: Vec<(ModuleName, LoggingLevel)>,
}

/// Changes what this process logs, at once.
pub trait LogControl: Send + Sync {
    /// What is logged now.
    fn setting(&self) -> LogSetting;

    /// Sets the level of a module, or of everything: then no module has a level of its own any more.
    fn set(&self, level: LoggingLevel, module: Option<&ModuleName>) -> Result<(), LogControlError>;
}

/// How busy the machine is and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MachineFigures {
    /// Processor time since the last look; 100 is all cores.
    pub cpu_percent: f64,
    /// Processor cores.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_total: u64,
    /// Of it, what can be had.
    pub memory_available: u64,
    /// Bytes of the disk that holds the data.
    pub disk_total: u64,
    /// Of them, those in use.
    pub disk_used: u64,
    /// Of them, those that can be had.
    pub disk_free: u64,
}

impl MachineFigures {
    /// Memory in use, in bytes.
    pub fn memory_used(&self) -> u64 {
        self.memory_total.saturating_sub(self.memory_available)
    }
}

/// What this process has. Zero where the system doesn't tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessFigures {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Address space in bytes.
    pub address_space: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, connections among them.
    pub open_files: u64,
    /// Most open files that it may have.
    pub max_files: u64,
    /// Processor time so far, in seconds.
    pub cpu_seconds: f64,
    /// When it was started, in seconds since 1970.
    pub started: f64,
}

/// Looks at the machine and this process.
#[async_trait]
pub trait MachineMonitor: Send + Sync {
    /// The machine.
    async fn machine(&self) -> MachineFigures;
    /// This process.
    async fn process(&self) -> ProcessFigures;
    /// Gives memory that is free inside the process back to the machine, where that can be asked for.
    async fn give_back(&self) -> bool;
}

/// The engines of the lakes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineFigures {
    /// Engines that are open.
    pub engines: u64,
    /// Connections that are at work.
    pub connections: u64,
    /// Memory by what it is for, in bytes.
    pub memory: Vec<(String, u64)>,
    /// Bytes put aside on disk.
    pub spilled: u64,
    /// Statements that wait for a place.
    pub waiting: u64,
    /// Writes that wait for their turn, or have it.
    pub queued_writes: u64,
    /// How many writes a lake's queue takes.
    pub queue_limit: u64,
}

impl EngineFigures {
    /// All memory in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Looks at the engines, and opens them anew.
#[async_trait]
pub trait EngineControl: Send + Sync {
    /// What they have now. What can't be found out in time is zero.
    async fn figures(&self) -> EngineFigures;

    /// Lets work end, closes the engines, and opens them again; answers how many there were. Work that takes too long is
    /// interrupted. If that doesn't help, all stays as it was.
    async fn reopen(&self) -> Result<u64, LakeError>;
}

/// Connections to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFigures {
    /// What they are for.
    pub name: &'static str,
    /// The database: `sqlite` or `postgresql`.
    pub system: &'static str,
    /// Those in use.
    pub used: u32,
    /// Those that wait to be used.
    pub idle: u32,
    /// The most that there may be.
    pub max: u32,
}

/// Looks at pools of connections.
pub trait PoolMonitor: Send + Sync {
    /// Each pool.
    fn pools(&self) -> Vec<PoolFigures>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_exactly() {
        for word in ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] {
            assert_eq!(LoggingLevel::parse(word).map(LoggingLevel::as_str), Some(word));
        }
        for word in ["debug", "WARN", "TRACE", "", " INFO"] {
            assert_eq!(LoggingLevel::parse(word), None, "{word}");
        }
    }

    #[test]
    fn modules_are_paths_and_nothing_that_a_filter_could_read_otherwise() {
        for fine in ["gadwall", "gadwall_http::layers", "h2"] {
            assert!(ModuleName::parse(fine).is_some(), "{fine}");
        }
        for bad in ["", "a,b=trace", "a=b", "[span]", "a:b", "::a", "a::", &"x".repeat(129)] {
            assert!(ModuleName::parse(bad).is_none(), "{bad}");
        }
    }
}
