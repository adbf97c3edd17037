//! Time, chance and memory, from the operating system.

use std::fs;

use chrono::{DateTime, SubsecRound as _, Utc};
use gadwall_domain::ports::system::{Clock, IdGenerator, MemoryUse, ProcessMonitor};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use uuid::Uuid;

/// The system's clock, in microseconds: what is stored, so that a time reads back as it was answered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// UUIDs that sort by time, and secrets from the system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemIds;

impl IdGenerator for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the one source of ids")]
    fn next_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn secret(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        #[expect(clippy::expect_used, reason = "without randomness no key may be made, so there is no way on")]
        OsRng.try_fill_bytes(&mut bytes).expect("the system's random source answers");
        bytes
    }
}

/// Reads `/proc`; answers zeros where there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessMemory {
    /// Memory that the process could use, in bytes.
    pub(crate) total: u64,
}

impl ProcessMonitor for ProcessMemory {
    fn memory(&self) -> MemoryUse {
        let resident = fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text));
        MemoryUse { resident: resident.unwrap_or(0), total: self.total }
    }
}

/// The line `VmRSS:   12345 kB`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(SystemIds.secret(), SystemIds.secret());
    }
}
