//! One client's small requests and DuckLake in this process, in turn: what else the machine does meets both alike, so that a
//! difference of less than a millisecond can be told.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::local::{Local, once, statement_of};
use super::measure::{Figures, MakeRequest, Seen, Span};
use super::wire::Wire;
use super::{Work, parameter};

/// How long both took.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    work: Work,
    server: Figures,
    lake: Figures,
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, server, lake } = self;
        writeln!(
            f,
            "{}, in turn with DuckLake in process: p50 {:.2} ms and {:.2} ms, {:.2} ms more",
            work.label(),
            server.p50,
            lake.p50,
            server.p50 - lake.p50
        )
    }
}

/// Measures it. Nobody else is served by this thread meanwhile.
pub(super) async fn run(
    host: &str,
    requests: &MakeRequest,
    lake: &Local,
    work: Work,
    length: Duration,
) -> Result<Turns> {
    let connection = lake.connect()?;
    let mut statement = connection.prepare(statement_of(work))?;
    let mut wire = Wire::connect(host).await?;
    let (mut served, mut local) = (Seen::default(), Seen::default());
    let span = Span::of(length);
    // What was asked before, with smaller numbers, would be answered from the cache of results.
    let mut number = u64::from(u16::MAX);
    while !span.is_over() {
        number += 1;
        let request = requests(number);
        let begun = Instant::now();
        let answer = wire.exchange(&request).await?;
        ensure!(answer.status == 200, "a small request was answered by {}", answer.status);
        served.take(span, begun, true);
        let begun = Instant::now();
        once(&mut statement, work, parameter(number))?;
        local.take(span, begun, true);
    }
    Ok(Turns { work, server: Figures::of(span, vec![served]), lake: Figures::of(span, vec![local]) })
}
