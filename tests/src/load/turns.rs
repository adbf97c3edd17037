//! One client's small requests and DuckLake in this process, in turn: what else the machine does meets both alike, so that a
//! difference of less than a millisecond can be told.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::local::{Local, once, statement_of};
use super::measure::{Figures, MakeRequest, Seen, Span};
use super::wire::Wire;
use super::{Work, parameter};

/// Who does it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Server,
    Prepared,
    Text,
}

/// The server's turn comes after each of the others, and theirs after the server's: whoever does in process what was just done
/// there finds the processor's caches warm.
const TURNS: [Way; 4] = [Way::Server, Way::Text, Way::Server, Way::Prepared];

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
    let mut seen = [Seen::default(), Seen::default(), Seen::default()];
    let span = Span::of(length);
    // What was asked before, with smaller numbers, would be answered from the cache of results.
    let mut number = u64::from(u16::MAX);
    while !span.is_over() {
        for way in TURNS {
            number += 1;
            let request = requests(number);
            let begun = Instant::now();
            match way {
                Way::Server => {
                    let answer = wire.exchange(&request).await?;
                    ensure!(answer.status == 200, "a small request was answered by {}", answer.status);
                }
                Way::Prepared => once(&mut statement, work, parameter(number))?,
                Way::Text => once(&mut connection.prepare(statement_of(work))?, work, parameter(number))?,
            }
            seen[way as usize].take(span, begun, true);
        }
    }
    let [server, prepared, text] = seen.map(|seen| Figures::of(span, vec![seen]));
    Ok(Turns { work, server, prepared, text })
}
