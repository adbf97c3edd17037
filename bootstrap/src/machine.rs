//! The machine and this process, as `/proc` tells of them.

use std::ffi::CStr;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use gadwall_domain::ports::operating::{MachineFigures, MachineMonitor, ProcessFigures};

use crate::statistics::{Sample, TICKS, kilobytes};

/// Looks at the machine, and at the disk that this folder lies on.
#[derive(Debug, Clone)]
pub(crate) struct LocalMachine {
    data: PathBuf,
    /// Memory that the process could use, in bytes: the machine's or the container's.
    memory: u64,
    cpu: Arc<Mutex<(Sample, f64)>>,
}

impl LocalMachine {
    pub(crate) fn new(data: PathBuf, memory: u64) -> Self {
        Self { data, memory, cpu: Arc::new(Mutex::new((Sample::take(), 0.0))) }
    }

    fn look(&self) -> MachineFigures {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |name: &str| kilobytes(&meminfo, name).unwrap_or(0) * 1024;
        let total = if self.memory == 0 { bytes("MemTotal:") } else { self.memory };
        let mut figures = MachineFigures {
            cpu_percent: self.cpu(),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_total: total,
            memory_available: bytes("MemAvailable:").min(total),
            ..MachineFigures::default()
        };
        if let Ok(disk) = rustix::fs::statvfs(&self.data) {
            figures.disk_total = disk.f_blocks * disk.f_frsize;
            figures.disk_used = disk.f_blocks.saturating_sub(disk.f_bfree) * disk.f_frsize;
            figures.disk_free = disk.f_bavail * disk.f_frsize;
        }
        figures
    }

    fn cpu(&self) -> f64 {
        let mut known = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sample, percent)) = Sample::since(&known.0) {
            *known = (sample, percent);
        }
        known.1
    }
}

#[async_trait]
impl MachineMonitor for LocalMachine {
    async fn machine(&self) -> MachineFigures {
        let own = self.clone();
        // A panic while looking would be a bug; zeros then read as nothing known.
        tokio::task::spawn_blocking(move || own.look()).await.unwrap_or_default()
    }

    async fn process(&self) -> ProcessFigures {
        tokio::task::spawn_blocking(process).await.unwrap_or_default()
    }

    async fn give_back(&self) -> bool {
        tokio::task::spawn_blocking(trim).await.unwrap_or(false)
    }
}

fn process() -> ProcessFigures {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let status = read("status");
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let bytes = |name: &str| kilobytes(&status, name).unwrap_or(0) * 1024;
    let (ticks, began) = ticks(&read("stat")).unwrap_or_default();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
    ProcessFigures {
        resident: bytes("VmRSS:"),
        address_space: bytes("VmSize:"),
        threads: threads.unwrap_or(0),
        // The one that reads the folder is among them.
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1)) as u64,
        max_files: most_files(&read("limits")).unwrap_or(0),
        cpu_seconds: seconds(ticks),
        started: boot_time(&boot).map_or(0.0, |boot| boot + seconds(began)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time to be shown")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS
}

/// Processor time, and when the process was started after the machine; in ticks.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some((number(11)? + number(12)?, number(19)?))
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn most_files(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_ascii_whitespace().next()?.parse().ok())
}

/// Has the allocator give back what it holds for later.
fn trim() -> bool {
    /// All arenas: `MALLCTL_ARENAS_ALL`.
    const PURGE: &CStr = c"arena.4096.purge";
    #[expect(unsafe_code, reason = "the allocator's own function for such wishes")]
    // SAFETY: the name ends in NUL, this wish takes and gives no value, and it may be uttered at any time by any thread.
    let failed = unsafe {
        let nothing = std::ptr::null_mut();
        tikv_jemalloc_sys::mallctl(PURGE.as_ptr(), nothing, std::ptr::null_mut(), nothing, 0)
    };
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_past_any_name() {
        let stat = "17 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 8 0 12345 1 2";
        assert_eq!(ticks(stat), Some((300, 12_345)));
        assert_eq!(ticks("17 (x) S 1"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
        assert_eq!(
            most_files("Max open files            1024                 4096                 files"),
            Some(1_024)
        );
    }

    #[tokio::test]
    async fn what_there_is_adds_up() {
        let dir = tempfile::tempdir().unwrap();
        let machine = LocalMachine::new(dir.path().to_owned(), 0);
        let (figures, process) = (machine.machine().await, machine.process().await);
        assert!(figures.cores > 0 && figures.memory_total >= figures.memory_available, "{figures:?}");
        assert!(figures.disk_total >= figures.disk_used, "{figures:?}");
        assert!((0.0..=100.0).contains(&figures.cpu_percent), "{figures:?}");
        assert!(process.resident > 0 && process.threads > 0 && process.open_files > 0, "{process:?}");
        assert!(process.address_space >= process.resident && process.started > 0.0, "{process:?}");
    }
}
