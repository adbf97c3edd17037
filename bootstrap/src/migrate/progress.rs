//! How far it is, on standard error.

use std::io::Write as _;
use std::time::{Duration, Instant};

use gadwall_domain::names::ProjectId;
use serde::Serialize;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(2);

/// Tells something. That nobody listens is fine.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What was done of something.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Done {
    number: u64,
    /// Of them, those that an earlier run had copied.
    were_there: u64,
    bytes: u64,
}

/// Counts what is done of something.
pub(super) struct Progress {
    of: String,
    all: Option<u64>,
    done: Done,
    told: Instant,
}

impl Progress {
    /// So many of these things.
    pub(super) fn new(project: &ProjectId, what: &str, all: u64) -> Self {
        Self { all: Some(all), ..Self::uncounted(project, what) }
    }

    /// Nobody knows how many.
    pub(super) fn uncounted(project: &ProjectId, what: &str) -> Self {
        Self { of: format!("{project}: {what}"), all: None, done: Done::default(), told: Instant::now() }
    }

    /// One more; whether it was there before.
    pub(super) fn one(&mut self, bytes: u64, was_there: bool) {
        self.done.number += 1;
        self.done.were_there += u64::from(was_there);
        self.done.bytes += bytes;
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell();
        }
    }

    /// That was all.
    pub(super) fn end(self) -> Done {
        self.tell();
        self.done
    }

    fn tell(&self) {
        let (of, Done { number, were_there, bytes }) = (&self.of, self.done);
        let all = self.all.map(|all| format!(" of {all}")).unwrap_or_default();
        say(&format!("{of}: {number}{all}, {were_there} of them were there, {bytes} bytes compared"));
    }
}
