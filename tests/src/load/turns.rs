//! One client's small requests and DuckLake in this process, in turn: what else the machine does meets both alike, so that a
//! difference of less than a millisecond can be told.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::local::{Local, once, statement_of};
use super::measure::{Figures, MakeRequest, Seen, Span};
use super::wire::Wire;
use super::{Work, parameter};

/// How long each took.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    work: Work,
    server: Figures,
    /// With a statement that was prepared before, which a request can't have.
    prepared: Figures,
    /// With the statement's text, which is all that a request has.
    text: Figures,
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, server, prepared, text } = self;
        writeln!(
            f,
            "{}, in turn with DuckLake in process: p50 {:.2} ms; {:.2} ms more than the {:.2} ms of its text, {:.2} ms \
             more than the {:.2} ms of one prepared before",
            work.label(),
            server.p50,
            server.p50 - text.p50,
            text.p50,
            server.p50 - prepared.p50,
            prepared.p50
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
    let (mut served, mut prepared, mut text) = (Seen::default(), Seen::default(), Seen::default());
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
        prepared.take(span, begun, true);
        let begun = Instant::now();
        once(&mut connection.prepare(statement_of(work))?, work, parameter(number))?;
        text.take(span, begun, true);
    }
    let figures = |seen| Figures::of(span, vec![seen]);
    Ok(Turns { work, server: figures(served), prepared: figures(prepared), text: figures(text) })
}
