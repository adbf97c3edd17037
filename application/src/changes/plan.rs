//! What a table's commits mean to somebody who follows its changes.

use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::table::TableRef;
use serde_json::{Value, json};

/// A step on the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Its rows changed in these snapshots.
    Rows { from: SnapshotId, to: SnapshotId },
    /// Something else happened to it.
    Marker(Marker),
    /// Snapshots are gone that would have told of changes.
    Gap { position: SnapshotId },
    /// All up to here is told.
    Checkpoint(SnapshotId),
    /// Nothing more will come under this name.
    End,
}

/// Something that happened to a table besides its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// In which snapshot.
    pub snapshot: SnapshotId,
    /// When.
    pub at: DateTime<Utc>,
    /// What: `table.altered`, …
    pub kind: &'static str,
    /// Whether its rows must be read anew, as the changes don't tell how they came about.
    pub resync: bool,
    /// Particulars.
    pub change: Value,
}

/// The steps of commits that follow a snapshot, and the last snapshot they cover.
pub(super) fn plan(commits: &[Commit], table: &TableRef, after: SnapshotId) -> (Vec<Step>, SnapshotId) {
    let mut planned = Planned { steps: Vec::new(), run: None };
    let mut last = after;
    for commit in commits {
        // Snapshots are numbered without gaps.
        if commit.snapshot.get() > last.get() + 1 {
            planned.end_run();
            if let Ok(position) = SnapshotId::new(i64::try_from(commit.snapshot.get() - 1).unwrap_or(i64::MAX)) {
                planned.steps.push(Step::Gap { position });
            }
        }
        last = commit.snapshot;
        if planned.take(commit, table) {
            return (planned.steps, last);
        }
    }
    planned.end_run();
    if !planned.steps.is_empty() && planned.steps.last() != Some(&Step::Checkpoint(last)) {
        planned.steps.push(Step::Checkpoint(last));
    }
    (planned.steps, last)
}

struct Planned {
    steps: Vec<Step>,
    /// Snapshots in a row in which nothing but rows changed.
    run: Option<(SnapshotId, SnapshotId)>,
}

impl Planned {
    fn end_run(&mut self) {
        if let Some((from, to)) = self.run.take() {
            self.steps.push(Step::Rows { from, to });
            self.steps.push(Step::Checkpoint(to));
        }
    }

    /// Adds a commit; answers whether the table ends in it.
    fn take(&mut self, commit: &Commit, table: &TableRef) -> bool {
        let ours = |write: &&WriteRecord| concerns(&write.change, table);
        let writes: Vec<&WriteRecord> = commit.writes.iter().filter(ours).collect();
        // One that says nothing of itself may have changed anything.
        let rows = commit.writes.is_empty() || writes.iter().any(|write| is_of_rows(&write.change));
        let markers: Vec<&Change> =
            writes.iter().map(|write| &write.change).filter(|change| !is_of_rows(change)).collect();
        if markers.is_empty() {
            if rows {
                self.run =
                    Some(self.run.map_or((commit.snapshot, commit.snapshot), |(from, _)| (from, commit.snapshot)));
            }
            return false;
        }
        self.end_run();
        for change in markers {
            self.steps.push(Step::Marker(marker(commit, change)));
            if is_end(change) {
                self.steps.extend([Step::Checkpoint(commit.snapshot), Step::End]);
                return true;
            }
        }
        if rows {
            self.run = Some((commit.snapshot, commit.snapshot));
            self.end_run();
        } else {
            self.steps.push(Step::Checkpoint(commit.snapshot));
        }
        false
    }
}

fn marker(commit: &Commit, change: &Change) -> Marker {
    let resync =
        matches!(change, Change::TableRestored { .. } | Change::TableUndeleted { .. } | Change::RowsPurged { .. });
    Marker {
        snapshot: commit.snapshot,
        at: commit.committed_at,
        kind: change.event_type(),
        resync,
        change: json!(change),
    }
}

/// Whether it happened to the table, or to the bucket it is in.
fn concerns(change: &Change, table: &TableRef) -> bool {
    match change {
        Change::BucketDropped { bucket } => *bucket == table.bucket,
        Change::TableRenamed { table: from, to } => from == table || to == table,
        // Its rows are as they were.
        Change::FilesCompacted { .. } => false,
        other => other.table() == Some(table),
    }
}

/// Whether rows came and went, and the lake can tell which.
fn is_of_rows(change: &Change) -> bool {
    matches!(
        change,
        Change::RowsAppended { .. }
            | Change::RowsUpserted { .. }
            | Change::RowsReplaced { .. }
            | Change::RowsUpdated { .. }
            | Change::RowsDeleted { .. }
            | Change::TableTruncated { .. }
            | Change::FilesRegistered { .. }
    )
}

fn is_end(change: &Change) -> bool {
    matches!(change, Change::TableDropped { .. } | Change::TableRenamed { .. } | Change::BucketDropped { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::{bucket, noon, origin, table};

    fn snapshot(number: i64) -> SnapshotId {
        SnapshotId::new(number).unwrap()
    }

    fn commit(number: i64, changes: Vec<Change>) -> Commit {
        let writes = changes.into_iter().map(|change| WriteRecord::new(origin("r"), change)).collect();
        Commit { snapshot: snapshot(number), committed_at: noon(), writes }
    }

    fn rows(name: &str) -> Change {
        Change::RowsAppended { table: table(name), rows: 1 }
    }

    fn told(commits: &[Commit], after: i64) -> (Vec<String>, u64) {
        let (steps, last) = plan(commits, &table("b.t"), snapshot(after));
        let word = |step: &Step| match step {
            Step::Rows { from, to } => format!("{from}-{to}"),
            Step::Marker(marker) => {
                format!("{} {}{}", marker.kind, marker.snapshot, if marker.resync { "!" } else { "" })
            }
            Step::Gap { position } => format!("gap {position}"),
            Step::Checkpoint(snapshot) => format!("at {snapshot}"),
            Step::End => "end".to_owned(),
        };
        (steps.iter().map(word).collect(), last.get())
    }

    #[test]
    fn rows_are_read_in_runs_and_markers_stand_between_them() {
        let restored = Change::TableRestored {
            table: table("B.T"),
            from: snapshot(1),
            columns: Vec::new(),
            primary_key: Vec::new(),
            inserted: 1,
            deleted: 1,
        };
        let commits = [
            commit(5, vec![rows("b.t")]),
            commit(6, vec![rows("b.other")]),
            commit(7, vec![rows("b.other"), rows("B.T")]),
            commit(8, vec![restored]),
            commit(9, vec![rows("b.t")]),
            commit(10, vec![Change::BucketCreated { bucket: bucket("c"), description: None }]),
        ];
        let expected = ["5-7", "at 7", "table.restored 8!", "at 8", "9-9", "at 9", "at 10"];
        assert_eq!(told(&commits, 4), (expected.map(str::to_owned).to_vec(), 10));
        assert_eq!(told(&commits[1..2], 5), (Vec::new(), 6), "what others do is no step");
    }

    #[test]
    fn a_gap_is_told_and_what_nobody_speaks_of_is_looked_at() {
        let commits = [commit(5, Vec::new()), commit(9, vec![rows("b.t")])];
        let expected = ["5-5", "at 5", "gap 8", "9-9", "at 9"];
        assert_eq!(told(&commits, 4), (expected.map(str::to_owned).to_vec(), 9));
    }

    #[test]
    fn a_table_ends_when_it_is_dropped_or_renamed_or_its_bucket_goes() {
        let renamed = Change::TableRenamed { table: table("b.t"), to: table("b.u") };
        for (change, kind) in [
            (Change::TableDropped { table: table("b.t") }, "table.deleted"),
            (Change::BucketDropped { bucket: bucket("b") }, "bucket.deleted"),
            (renamed, "table.renamed"),
        ] {
            let commits = [commit(5, vec![rows("b.t")]), commit(6, vec![change]), commit(7, vec![rows("b.t")])];
            let expected = ["5-5", "at 5", &format!("{kind} 6"), "at 6", "end"];
            assert_eq!(told(&commits, 4), (expected.map(str::to_owned).to_vec(), 6));
        }
    }
}
