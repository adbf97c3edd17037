//! What a process holds, read from `/proc`, and whether it came to rest.

use std::fmt;
use std::fs;
use std::time::Duration;

/// What a process held at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// Memory, and the other things.
    pub(super) held: [f64; 4],
    /// What of the memory is the engine's, in MB; not a number where it didn't say.
    pub(super) engine: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([memory, files, threads, connections], engine) = (self.held, self.engine);
        write!(f, "{memory:>6.0} MB, {engine:.0} of it the engine's, {files:>4} files, {threads:>4} threads")?;
        if connections.is_nan() { Ok(()) } else { write!(f, ", {connections} connections") }
    }
}

/// A thing that is held.
#[derive(Debug, Clone, Copy)]
pub struct Thing {
    /// What it is called.
    pub name: &'static str,
    /// What it may end above its level, however low that is.
    pub floor: f64,
}

/// When levels are taken, and how far the last may be above the first.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What passes before anything counts: caches fill, connections open, threads start.
    pub warm_up: Duration,
    /// How long of it nobody rests, so that what fills is full by its end: caches of pages, threads for the most that is done at once,
    /// and the engine's queues of freed blocks. At the usual pace that takes twenty minutes.
    pub hurry: Duration,
    /// How long each level is looked at: it is the median of that time, so that one large query is none.
    pub window: Duration,
    /// How much of the first level the last may be above it.
    pub share: f64,
    /// Things, in the order of those of a sample.
    pub things: [Thing; 4],
}

impl Rule {
    /// Half an hour or so: within 10 % of minute 5.
    ///
    /// The floors are what comes and goes with single requests at the moment of looking: an arena of the allocator and a
    /// few results (32 MB), sockets and files of requests that are under way (24), threads that tokio keeps for ten seconds (8),
    /// and connections that a pool opens early (4). Of an idle thing 10 % is less than one of these.
    pub fn long() -> Self {
        let things = [("memory, MB", 32.0), ("open files", 24.0), ("threads", 8.0), ("PostgreSQL", 4.0)];
        let things = things.map(|(name, floor)| Thing { name, floor });
        Self {
            warm_up: Duration::from_secs(285),
            hurry: Duration::from_secs(140),
            window: Duration::from_secs(30),
            share: 0.10,
            things,
        }
    }

    /// Two minutes or so, beside other work: after a quarter to warm up, the last quarter may be half above the second.
    ///
    /// So little time doesn't tell a slow leak from a cache that fills, and isn't meant to. What leaks with each request, a file, a
    /// thread or a buffer, is many times that by then: some thousands of requests have been served.
    pub fn short(length: Duration) -> Self {
        let things = [("memory, MB", 160.0), ("open files", 64.0), ("threads", 32.0), ("PostgreSQL", 16.0)];
        let things = things.map(|(name, floor)| Thing { name, floor });
        Self { warm_up: length / 4, hurry: Duration::ZERO, window: length / 4, share: 0.5, things }
    }
}

/// What became of a thing.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// Which.
    pub thing: Thing,
    /// Its level after the warm-up.
    pub first: f64,
    /// Its level at the end.
    pub last: f64,
    /// The most that was seen.
    pub most: f64,
    /// Where its last level may be at most.
    pub limit: f64,
}

impl Verdict {
    /// Whether it came to rest.
    pub fn is_good(&self) -> bool {
        self.last <= self.limit
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, first, last, most, limit } = self;
        let told = if self.is_good() { "" } else { "  IT GROWS" };
        let name = thing.name;
        write!(
            f,
            "  {name:<12} {first:>8.0} after the warm-up, {last:>8.0} at the end (limit {limit:.0}, most {most:.0}){told}"
        )
    }
}

/// Compares levels; none of what can't be told.
pub(super) fn verdicts(samples: &[Sample], rule: Rule) -> Vec<Verdict> {
    let end = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let level = |thing: usize, from: Duration, until: Duration| {
        let within = samples.iter().filter(|sample| sample.at >= from && sample.at <= until);
        let mut seen: Vec<f64> = within.map(|sample| sample.held[thing]).filter(|held| held.is_finite()).collect();
        seen.sort_by(f64::total_cmp);
        seen.get(seen.len() / 2).copied()
    };
    let of = |(number, thing): (usize, Thing)| {
        let first = level(number, rule.warm_up, rule.warm_up + rule.window)?;
        let last = level(number, end.saturating_sub(rule.window), end)?;
        let most = samples.iter().map(|sample| sample.held[number]).fold(0.0, f64::max);
        let limit = first + (first * rule.share).max(thing.floor);
        Some(Verdict { thing, first, last, most, limit })
    };
    rule.things.into_iter().enumerate().filter_map(of).collect()
}

/// What a process holds now; not a number where that can't be told. Connections are those to a port elsewhere.
pub(super) fn look(pid: u32, port: Option<u16>) -> [f64; 4] {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
    };
    let files: Option<Vec<String>> = fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|all| {
        // One that is closed meanwhile still was open.
        let target = |file: fs::DirEntry| fs::read_link(file.path()).unwrap_or_default();
        all.flatten().map(|file| target(file).to_string_lossy().into_owned()).collect()
    });
    let count = |count: usize| u32::try_from(count).map_or(f64::NAN, f64::from);
    let connections = port.zip(files.as_ref()).map_or(f64::NAN, |(port, files)| count(connections(pid, port, files)));
    let files = files.map_or(f64::NAN, |files| count(files.len()));
    [number("VmRSS:") / 1024.0, files, number("Threads:"), connections]
}

/// How many of a process's files are connections to a port.
fn connections(pid: u32, port: u16, files: &[String]) -> usize {
    const ESTABLISHED: &str = "01";
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let there = format!(":{port:04X}");
    let inodes = tables.iter().flat_map(|table| table.lines()).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (remote, state) = (words.nth(2)?, words.next()?);
        (remote.ends_with(&there) && state == ESTABLISHED).then(|| words.nth(5)).flatten()
    });
    inodes.filter(|inode| files.iter().any(|file| *file == format!("socket:[{inode}]"))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(all: impl IntoIterator<Item = f64>) -> Vec<Sample> {
        let sample =
            |(second, held): (u64, f64)| Sample { at: Duration::from_secs(second), engine: 0.0, held: [held; 4] };
        (0..).zip(all).map(sample).collect()
    }

    fn short() -> Rule {
        Rule::short(Duration::from_mins(2))
    }

    #[test]
    fn what_grows_is_told_and_what_only_warms_up_is_not() {
        let level = 1_000.0;
        let grown = seconds((0..=120).map(|second| level + 20.0 * f64::from(second)));
        assert!(verdicts(&grown, short()).iter().any(|verdict| !verdict.is_good()));
        let warmed = seconds((0..=120).map(|second| level * f64::from(second.min(30))));
        assert!(verdicts(&warmed, short()).iter().all(Verdict::is_good));
        let spike = seconds((0..=120).map(|second| if second == 110 { 9.0 * level } else { level }));
        let verdicts = verdicts(&spike, short());
        assert!(verdicts.len() == 4 && verdicts.iter().all(Verdict::is_good), "{verdicts:?}");
    }

    #[test]
    fn little_has_a_floor_and_what_is_not_known_no_verdict() {
        let long = Rule::long();
        let threads = |last: f64| seconds((0..=600).map(|second| if second > 500 { last } else { 10.0 }));
        let verdict = |samples: &[Sample]| verdicts(samples, long)[2].is_good();
        assert!(verdict(&threads(18.0)) && !verdict(&threads(19.0)));
        let unknown: Vec<_> =
            threads(10.0).into_iter().map(|sample| Sample { held: [1.0, 1.0, 1.0, f64::NAN], ..sample }).collect();
        assert_eq!(verdicts(&unknown, long).len(), 3);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _open: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let [memory, files, threads, connections] = look(std::process::id(), Some(address.port()));
        assert!(memory > 1.0 && files > 3.0 && threads >= 1.0, "{memory} {files} {threads}");
        assert!((connections - 3.0).abs() < 0.5, "{connections}");
    }
}
