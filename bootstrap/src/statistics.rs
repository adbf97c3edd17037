//! How busy the machine is and how much lies on its disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ports::system::{LakeFiles, SystemLoad, SystemStatistics};

/// Two looks at the processors that are closer together than this say nothing.
const LOAD_AGE: Duration = Duration::from_millis(500);
/// Counting files is work; so long its result is good enough.
const FILES_AGE: Duration = Duration::from_secs(30);
/// Ticks of processor time in a second, as Linux tells them on every platform there is.
pub(crate) const TICKS: f64 = 100.0;

/// Reads `/proc` and looks at the lakes' folder. Each is looked at by one caller at a time and kept for a moment, so that
/// those who ask often cost little.
#[derive(Debug, Clone)]
pub(crate) struct LocalStatistics {
    lakes: PathBuf,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    load: Mutex<LoadState>,
    files: Mutex<Option<(Instant, Option<LakeFiles>)>>,
}

#[derive(Debug)]
struct LoadState {
    last: Sample,
    load: SystemLoad,
}

/// Processor time so far, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at: Instant,
    process: u64,
    busy: u64,
    all: u64,
}

impl LocalStatistics {
    /// Looks at the lakes in this folder, and at the disk that they lie on.
    pub(crate) fn new(lakes: PathBuf) -> Self {
        let load = LoadState { last: Sample::take(), load: SystemLoad::default() };
        Self { lakes, kept: Arc::new(Kept { load: Mutex::new(load), files: Mutex::new(None) }) }
    }

    fn look_at_load(&self) -> SystemLoad {
        let mut state = self.kept.load.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Sample::take();
        if now.at - state.last.at >= LOAD_AGE {
            state.load.process_cpu = now.process_percent(&state.last);
            state.load.system_cpu = now.system_percent(&state.last);
            state.last = now;
        }
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        state.load.system_memory = memory_percent(&meminfo).unwrap_or(0.0);
        state.load.disk = disk_percent(&self.lakes).unwrap_or(0.0);
        state.load
    }

    fn look_at_files(&self) -> Option<LakeFiles> {
        let mut kept = self.kept.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, files)) = &*kept
            && at.elapsed() < FILES_AGE
        {
            return *files;
        }
        let files = lake_files(&self.lakes);
        *kept = Some((Instant::now(), files));
        files
    }
}

#[async_trait]
impl SystemStatistics for LocalStatistics {
    async fn load(&self) -> SystemLoad {
        let own = self.clone();
        // A panic while looking would be a bug; zeros then read as nothing known.
        tokio::task::spawn_blocking(move || own.look_at_load()).await.unwrap_or_default()
    }

    async fn lake_files(&self) -> Option<LakeFiles> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || own.look_at_files()).await.unwrap_or_default()
    }
}

impl Sample {
    pub(crate) fn take() -> Self {
        let process = fs::read_to_string("/proc/self/stat").ok().and_then(|text| process_ticks(&text));
        let system = fs::read_to_string("/proc/stat").ok().and_then(|text| system_ticks(&text));
        let (busy, all) = system.unwrap_or_default();
        Self { at: Instant::now(), process: process.unwrap_or(0), busy, all }
    }

    /// How busy the machine was since an earlier look; none if that was a moment ago.
    pub(crate) fn since(before: &Self) -> Option<(Self, f64)> {
        let now = Self::take();
        (now.at - before.at >= LOAD_AGE).then(|| (now, now.system_percent(before)))
    }

    fn process_percent(&self, before: &Self) -> f64 {
        let seconds = (self.at - before.at).as_secs_f64();
        if seconds > 0.0 { 100.0 * share(self.process.saturating_sub(before.process)) / TICKS / seconds } else { 0.0 }
    }

    fn system_percent(&self, before: &Self) -> f64 {
        percent(self.busy.saturating_sub(before.busy), self.all.saturating_sub(before.all))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
fn share(number: u64) -> f64 {
    number as f64
}

/// From 0 to 100; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (100.0 * share(part) / share(whole)).min(100.0) }
}

/// The fields `utime` and `stime`. The program's name before them may hold anything, also spaces and brackets.
fn process_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Busy and all ticks out of the line `cpu  user nice system idle iowait irq softirq steal …`.
fn system_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // What guests used is part of the first two already.
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.get(3..)?.iter().take(2).sum();
    Some((all - idle, all))
}

/// The number in the line `Name:   12345 kB`.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn memory_percent(meminfo: &str) -> Option<f64> {
    let (total, available) = (kilobytes(meminfo, "MemTotal:")?, kilobytes(meminfo, "MemAvailable:")?);
    Some(percent(total.saturating_sub(available), total))
}

/// As `df` has it: of what can be used, how much is.
fn disk_percent(folder: &Path) -> Option<f64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    Some(percent(used, used + disk.f_bavail))
}

fn lake_files(folder: &Path) -> Option<LakeFiles> {
    let about = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?;
    let time = |time: std::io::Result<SystemTime>| time.ok().map(DateTime::<Utc>::from);
    let mut files = LakeFiles { bytes: 0, created: time(about.created()), modified: time(about.modified()) };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What goes away while it is looked at isn't there any more.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else {
                files.bytes += about.len();
                files.modified = files.modified.max(time(about.modified()));
            }
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let stat = "17 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(process_ticks(stat), Some(300));
        assert_eq!(process_ticks("17 (x) S 1"), None);
        let all = "cpu  100 10 40 800 50 0 0 0 7 7\ncpu0 1 2 3 4\n";
        assert_eq!(system_ticks(all), Some((150, 1_000)));
        assert_eq!(system_ticks(""), None);
    }

    #[test]
    fn load_is_what_happened_between_two_looks() {
        let at = Instant::now();
        let before = Sample { at, process: 100, busy: 1_000, all: 10_000 };
        let after = Sample { at: at + Duration::from_secs(2), process: 400, busy: 1_250, all: 11_000 };
        assert!((after.process_percent(&before) - 150.0).abs() < 1e-9);
        assert!((after.system_percent(&before) - 25.0).abs() < 1e-9);
        assert!(before.process_percent(&before).abs() < 1e-9 && before.system_percent(&before).abs() < 1e-9);
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let meminfo = "MemTotal:        1000 kB\nMemFree:  1 kB\nMemAvailable:     250 kB\n";
        assert!((memory_percent(meminfo).unwrap() - 75.0).abs() < 1e-9);
        assert_eq!(memory_percent("MemTotal: 1000 kB"), None);
    }

    #[tokio::test]
    async fn files_are_counted_in_all_folders_and_the_count_is_kept_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let lakes = dir.path().join("lakes");
        assert_eq!(LocalStatistics::new(lakes.clone()).lake_files().await, None);
        fs::create_dir_all(lakes.join("a/b")).unwrap();
        fs::write(lakes.join("one"), [0; 10]).unwrap();
        fs::write(lakes.join("a/b/two"), [0; 32]).unwrap();
        let statistics = LocalStatistics::new(lakes.clone());
        let files = statistics.lake_files().await.unwrap();
        assert_eq!(files.bytes, 42);
        assert!(files.modified.is_some());
        fs::write(lakes.join("three"), [0; 10]).unwrap();
        assert_eq!(statistics.lake_files().await.unwrap().bytes, 42);
        assert_eq!(LocalStatistics::new(lakes).lake_files().await.unwrap().bytes, 52);
    }

    #[tokio::test]
    async fn percentages_are_between_nothing_and_all() {
        let dir = tempfile::tempdir().unwrap();
        let load = LocalStatistics::new(dir.path().to_owned()).load().await;
        assert!((0.0..=100.0).contains(&load.system_memory) && (0.0..=100.0).contains(&load.disk), "{load:?}");
    }
}
