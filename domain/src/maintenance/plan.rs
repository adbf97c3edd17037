//! What there is to do, and why. Nothing here looks at a lake or a clock.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{MaintenancePolicy, MaintenanceStep};
use crate::ids::SnapshotId;
use crate::ports::lake::{KeptSnapshot, LakeCondition};
use crate::table::TableRef;

/// Snapshots that somebody needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holds {
    /// Those that have a name, or that a link reads.
    pub these: BTreeSet<SnapshotId>,
    /// Whoever follows tables needs this one and all after it.
    pub from: Option<SnapshotId>,
    /// Whether work is under way that may need any of them.
    pub all: bool,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub step: MaintenanceStep,
    /// To which table, where it is about one.
    pub table: Option<TableRef>,
    /// Files that are written anew, or deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots that end, oldest first.
    pub snapshots: Vec<SnapshotId>,
    /// Why.
    pub why: String,
}

/// Kept snapshots, oldest first, that the policy doesn't want and nobody needs. Never the newest.
pub fn expirable(
    kept: &[KeptSnapshot],
    policy: &MaintenancePolicy,
    holds: &Holds,
    now: DateTime<Utc>,
) -> Vec<SnapshotId> {
    let newest = usize::try_from(policy.keep_snapshots.get()).unwrap_or(usize::MAX).max(1);
    let old = &kept[..kept.len().saturating_sub(newest)];
    let keep_for = TimeDelta::from_std(policy.keep_for()).unwrap_or(TimeDelta::MAX);
    let is_old = |snapshot: &&KeptSnapshot| now.signed_duration_since(snapshot.committed_at) >= keep_for;
    let is_free = |snapshot: &&KeptSnapshot| {
        !holds.all && !holds.these.contains(&snapshot.id) && holds.from.is_none_or(|from| snapshot.id < from)
    };
    old.iter().filter(is_old).filter(is_free).map(|snapshot| snapshot.id).collect()
}

/// All that there is to do, in the order in which it is done.
pub fn plan(condition: &LakeCondition, policy: &MaintenancePolicy, holds: &Holds, now: DateTime<Utc>) -> Vec<Planned> {
    let mut planned = Vec::new();
    for table in condition.tables.iter().filter(|table| table.rewritable_files > 0) {
        let share = policy.delete_ratio.get() * 100.0;
        planned.push(Planned {
            step: MaintenanceStep::RewriteFiles,
            table: Some(table.table.clone()),
            files: table.rewritable_files,
            bytes: table.rewritable_bytes,
            snapshots: Vec::new(),
            why: format!("{share:.0} % of these files' rows or more are deleted"),
        });
    }
    for table in condition.tables.iter().filter(|table| table.mergeable_files > 0) {
        planned.push(Planned {
            step: MaintenanceStep::MergeFiles,
            table: Some(table.table.clone()),
            files: table.mergeable_files,
            bytes: table.mergeable_bytes,
            snapshots: Vec::new(),
            why: format!("{} files have less than {} bytes each", table.mergeable_files, policy.small_file_size.get()),
        });
    }
    let snapshots = expirable(&condition.snapshots, policy, holds, now);
    if !snapshots.is_empty() {
        planned.push(Planned {
            step: MaintenanceStep::ExpireSnapshots,
            table: None,
            files: 0,
            bytes: 0,
            why: format!(
                "they are older than {} s, not among the newest {}, and nobody holds them",
                policy.keep_for.get(),
                policy.keep_snapshots.get()
            ),
            snapshots,
        });
    }
    for (step, files, why) in [
        (MaintenanceStep::DeleteFiles, condition.deletable, "no snapshot shows them, for long enough"),
        (MaintenanceStep::DeleteOrphans, condition.orphans, "interrupted writes left them, and no snapshot knows them"),
    ] {
        if files.files > 0 {
            planned.push(Planned {
                step,
                table: None,
                files: files.files,
                bytes: files.bytes,
                snapshots: Vec::new(),
                why: why.to_owned(),
            });
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintenance::PolicyChanges;

    fn id(number: i64) -> SnapshotId {
        SnapshotId::new(number).unwrap()
    }

    /// Ten snapshots, one a day.
    fn kept() -> Vec<KeptSnapshot> {
        (0..10)
            .map(|day| KeptSnapshot { id: id(day), committed_at: DateTime::UNIX_EPOCH + TimeDelta::days(day) })
            .collect()
    }

    fn expired(keep_days: u64, keep: u64, holds: &Holds) -> Vec<u64> {
        let changes = PolicyChanges {
            keep_snapshots_for_seconds: Some(keep_days * 86_400),
            keep_snapshots: Some(keep),
            ..PolicyChanges::default()
        };
        let policy = MaintenancePolicy::default().with(&changes).unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        expirable(&kept(), &policy, holds, now).into_iter().map(SnapshotId::get).collect()
    }

    #[test]
    fn age_and_number_keep_snapshots_both() {
        assert_eq!(expired(5, 1, &Holds::default()), [0, 1, 2, 3, 4, 5]);
        assert_eq!(expired(0, 8, &Holds::default()), [0, 1]);
        assert_eq!(expired(0, 1, &Holds::default()), [0, 1, 2, 3, 4, 5, 6, 7, 8], "the newest stays");
        assert!(expired(0, 100, &Holds::default()).is_empty());
        assert!(expired(11, 1, &Holds::default()).is_empty());
    }

    #[test]
    fn what_is_held_stays() {
        let tagged = Holds { these: [id(2), id(7)].into(), ..Holds::default() };
        assert_eq!(expired(5, 1, &tagged), [0, 1, 3, 4, 5]);
        let followed = Holds { from: Some(id(3)), ..Holds::default() };
        assert_eq!(expired(0, 1, &followed), [0, 1, 2]);
        assert!(expired(0, 1, &Holds { all: true, ..Holds::default() }).is_empty());
    }
}
