//! How far it is, on standard error.

use std::io::Write as _;
use std::time::{Duration, Instant};

use gadwall_domain::names::ProjectId;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(2);

/// Tells something. That nobody listens is fine.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Counts what is done of something.
pub(super) struct Progress {
    of: String,
    all: Option<u64>,
    done: u64,
    there: u64,
    bytes: u64,
    told: Instant,
}

impl Progress {
    /// So many of these things.
    pub(super) fn new(project: &ProjectId, what: &str, all: u64) -> Self {
        Self { all: Some(all), ..Self::uncounted(project, what) }
    }

    /// Nobody knows how many.
    pub(super) fn uncounted(project: &ProjectId, what: &str) -> Self {
        Self { of: format!("{project}: {what}"), all: None, done: 0, there: 0, bytes: 0, told: Instant::now() }
    }

    /// One more; whether it was there before.
    pub(super) fn one(&mut self, bytes: u64, was_there: bool) {
        self.done += 1;
        self.there += u64::from(was_there);
        self.bytes += bytes;
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell();
        }
    }

    /// That was all.
    pub(super) fn end(self) {
        self.tell();
    }

    fn tell(&self) {
        let Self { of, done, there, bytes, .. } = self;
        let all = self.all.map(|all| format!(" of {all}")).unwrap_or_default();
        say(&format!("{of}: {done}{all}, {there} of them were there, {bytes} bytes compared"));
    }
}
