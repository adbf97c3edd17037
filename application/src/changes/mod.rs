//! Following a table: its changes row by row, from a snapshot on, as they are committed.

mod consumers;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ConsumerName, ProjectId};
use gadwall_domain::ports::lake::Lake;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::table::TableRef;

use crate::access::Access;
use crate::caller::Caller;
use crate::data::Data;
use crate::error::UseCaseError;
use crate::events::{EventStream, Events, Frame, Interest, Watching};

pub use consumers::{Consumers, KnownConsumer};
pub use plan::Marker;

use plan::{Step, plan};

/// Commits looked at in one go.
const AT_ONCE: u32 = 200;
/// How often it is looked for commits that nobody told of: of others, into a linked bucket, or past this server.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// Those who commit much are looked at so often at most.
const PAUSE: Duration = Duration::from_millis(20);

/// The use cases of following tables.
pub struct Changes {
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    data: Arc<Data>,
    events: Arc<Events>,
    consumers: Arc<Consumers>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

/// From where on somebody follows a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// From now on.
    Now,
    /// What comes after this snapshot.
    After(SnapshotId),
    /// Where a consumer is.
    Consumer(ConsumerName),
}

/// A part of what is told.
#[derive(Debug)]
pub enum Part {
    /// Rows: `snapshot_id`, `rowid`, `change_type`, then the table's columns. The next part is taken once they are read.
    Rows(RowStream),
    /// Something else happened to the table.
    Marker(Marker),
    /// Changes up to this snapshot are gone: read the table anew.
    Gap(SnapshotId),
    /// All up to this snapshot is told: follow on from here.
    Checkpoint(SnapshotId),
    /// A word to show that the stream lives, or why it ends.
    Word(Arc<Frame>),
}

impl Changes {
    /// Follows tables of these lakes.
    pub fn new(
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        data: Arc<Data>,
        events: Arc<Events>,
        consumers: Arc<Consumers>,
    ) -> Self {
        Self { lakes, access, data, events, consumers }
    }

    /// Begins to follow a table; until all is told that is there now, or on and on. Reading rows may take so long.
    pub async fn follow(
        self: &Arc<Self>,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        begin: Begin,
        follow: bool,
        timeout: Duration,
    ) -> Result<ChangeStream, UseCaseError> {
        let place = self.access.open_to_read(caller, project, &table.bucket).await?;
        if let Some(link) = place.link.as_ref().filter(|link| link.snapshot.is_some()) {
            return Err(UseCaseError::Invalid(format!(
                "bucket {} is linked as of one snapshot: nothing changes",
                link.name
            )));
        }
        let head = self.lakes.head(place.project.lake).await?;
        let cursor = match begin {
            Begin::Now => head,
            Begin::After(snapshot) => snapshot,
            Begin::Consumer(name) => self.consumers.get(caller, project, table, &name).await?.consumer.snapshot,
        };
        if cursor > head {
            return Err(UseCaseError::NoSnapshot { project: project.clone(), snapshot: cursor.to_string() });
        }
        // It was there at the cursor, or is there now.
        let was_there = self.data.exists(&place, table, ReadAt::Snapshot(cursor)).await?;
        if !was_there {
            self.data.require(&place, table).await?;
        }
        let viewer = self.events.viewer(caller, Some(project)).await?;
        let watching = Watching {
            interest: Interest::of(&["rows.*", "table.*", "files.*", "bucket.*", "error"]),
            after: None,
            replay: Some(0),
            client_id: None,
            answers: false,
            follow: true,
        };
        let bell = self.events.watch(viewer, watching).await?;
        Ok(ChangeStream {
            changes: Arc::clone(self),
            caller: caller.clone(),
            project: project.clone(),
            table: table.clone(),
            cursor,
            steps: VecDeque::new(),
            bell,
            follow,
            timeout,
            ended: false,
        })
    }
}

/// A table that is followed.
pub struct ChangeStream {
    changes: Arc<Changes>,
    caller: Caller,
    project: ProjectId,
    table: TableRef,
    /// All up to here was looked at.
    cursor: SnapshotId,
    steps: VecDeque<Step>,
    /// Tells that something happened, that the stream lives, and when it is over.
    bell: EventStream,
    follow: bool,
    timeout: Duration,
    ended: bool,
}

impl fmt::Debug for ChangeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream").field("table", &self.table).finish_non_exhaustive()
    }
}

impl ChangeStream {
    /// The id under which those who look after streams see it.
    pub fn client_id(&self) -> &str {
        self.bell.id()
    }

    /// Notes that its client took something; answers the last word, if it must go.
    pub fn alive(&mut self) -> Option<Arc<Frame>> {
        let last = self.bell.pass_over();
        self.ended |= last.is_some();
        last
    }

    /// What is next; waits for it. None at the end.
    pub async fn next(&mut self) -> Result<Option<Part>, UseCaseError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(last) = self.alive() {
                return Ok(Some(Part::Word(last)));
            }
            if let Some(step) = self.steps.pop_front() {
                match self.part(step).await? {
                    Some(part) => return Ok(Some(part)),
                    None => continue,
                }
            }
            if self.look().await? {
                continue;
            }
            if !self.follow {
                self.ended = true;
                continue;
            }
            match tokio::time::timeout(LOOK_AFTER, self.bell.next()).await {
                // Nobody told; looked at all the same.
                Err(_) => {}
                Ok(None) => self.ended = true,
                Ok(Some(frame)) if matches!(frame.kind.as_str(), "heartbeat" | "ping") => {
                    return Ok(Some(Part::Word(frame)));
                }
                Ok(Some(frame)) if frame.kind == "error" => {
                    self.ended = true;
                    return Ok(Some(Part::Word(frame)));
                }
                Ok(Some(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Looks for commits; answers whether there were some.
    async fn look(&mut self) -> Result<bool, UseCaseError> {
        // A link may have ended since, and a project.
        let place = self.changes.access.open_to_read(&self.caller, &self.project, &self.table.bucket).await?;
        let lake = place.project.lake;
        if self.changes.lakes.known_head(lake).is_some_and(|head| head <= self.cursor) {
            return Ok(false);
        }
        let commits = self.changes.lakes.commits_after(lake, self.cursor, AT_ONCE).await?;
        if commits.is_empty() {
            return Ok(false);
        }
        let (steps, last) = plan(&commits, &place.table(&self.table), self.cursor);
        self.steps.extend(steps);
        self.cursor = last;
        Ok(true)
    }

    async fn part(&mut self, step: Step) -> Result<Option<Part>, UseCaseError> {
        Ok(Some(match step {
            Step::Marker(marker) => Part::Marker(marker),
            Step::Gap { position } => Part::Gap(position),
            Step::Checkpoint(snapshot) => Part::Checkpoint(snapshot),
            Step::End => {
                self.ended = true;
                return Ok(None);
            }
            Step::Rows { from, to } => {
                let data = &self.changes.data;
                let span = (from, Some(to));
                match data.changes(&self.caller, &self.project, &self.table, span, None, self.timeout).await {
                    Ok((rows, _)) => Part::Rows(rows),
                    // Gone since they were looked for; or the table is another one by now that was built anew.
                    Err(UseCaseError::NoSnapshot { .. } | UseCaseError::Query(QueryError::NoSnapshot(_))) => {
                        Part::Gap(to)
                    }
                    Err(error) => return Err(error),
                }
            }
        }))
    }
}
