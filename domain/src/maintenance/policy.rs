//! What a project wants of its maintenance.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number that can't be in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct PolicyError {
    /// Which part of the policy.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// A whole number between bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Amount<LEAST, MOST> {
    /// The number, if it is within the bounds; `field` is what it is of.
    ///
    /// # Errors
    /// When it isn't.
    pub fn new(field: &'static str, number: u64) -> Result<Self, PolicyError> {
        if (LEAST..=MOST).contains(&number) {
            Ok(Self(number))
        } else {
            Err(PolicyError { field, reason: format!("is a whole number from {LEAST} to {MOST}, not {number}") })
        }
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// Seconds between two runs.
pub type Interval = Amount<60, 31_536_000>;
/// Seconds for which each snapshot is kept.
pub type KeepFor = Amount<0, 3_153_600_000>;
/// Newest snapshots that are kept, however old they are.
pub type KeepSnapshots = Amount<1, 1_000_000>;
/// Bytes of a file.
pub type FileSize = Amount<1_024, 17_179_869_184>;
/// Small files that are worth being merged.
pub type MinFiles = Amount<2, 1_000_000>;

/// The share of a file's rows that are deleted from which on it is written anew.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct DeleteRatio(f64);

impl DeleteRatio {
    /// A share above 0, up to 1.
    ///
    /// # Errors
    /// When it isn't.
    pub fn new(ratio: f64) -> Result<Self, PolicyError> {
        if ratio > 0.0 && ratio <= 1.0 {
            Ok(Self(ratio))
        } else {
            Err(PolicyError { field: "delete_ratio", reason: "is a number above 0, up to 1".to_owned() })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// What holds for a project's lake.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaintenancePolicy {
    /// Whether it is maintained without being asked.
    pub enabled: bool,
    /// How often.
    pub interval: Interval,
    /// How long each snapshot is kept.
    pub keep_for: KeepFor,
    /// How many snapshots are kept, however old they are.
    pub keep_snapshots: KeepSnapshots,
    /// How large merged files become.
    pub target_file_size: FileSize,
    /// Files below it are small; below [`MaintenancePolicy::target_file_size`].
    pub small_file_size: FileSize,
    /// So many small files that could be one are merged.
    pub min_small_files: MinFiles,
    /// From which share of deleted rows on files are written anew.
    pub delete_ratio: DeleteRatio,
}

/// What a project wants otherwise; what it leaves out is as the defaults say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChanges {
    /// [`MaintenancePolicy::enabled`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// [`MaintenancePolicy::interval`], in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// [`MaintenancePolicy::keep_for`], in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_snapshots_for_seconds: Option<u64>,
    /// [`MaintenancePolicy::keep_snapshots`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_snapshots: Option<u64>,
    /// [`MaintenancePolicy::target_file_size`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_file_bytes: Option<u64>,
    /// [`MaintenancePolicy::small_file_size`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_file_bytes: Option<u64>,
    /// [`MaintenancePolicy::min_small_files`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_small_files: Option<u64>,
    /// [`MaintenancePolicy::delete_ratio`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_ratio: Option<f64>,
}

impl MaintenancePolicy {
    /// The policy with changes.
    ///
    /// # Errors
    /// When a number is out of its bounds, or small files are no smaller than merged ones.
    pub fn with(self, changes: &PolicyChanges) -> Result<Self, PolicyError> {
        fn changed<const LEAST: u64, const MOST: u64>(
            field: &'static str,
            now: Amount<LEAST, MOST>,
            wanted: Option<u64>,
        ) -> Result<Amount<LEAST, MOST>, PolicyError> {
            wanted.map_or(Ok(now), |number| Amount::new(field, number))
        }
        let policy = Self {
            enabled: changes.enabled.unwrap_or(self.enabled),
            interval: changed("interval_seconds", self.interval, changes.interval_seconds)?,
            keep_for: changed("keep_snapshots_for_seconds", self.keep_for, changes.keep_snapshots_for_seconds)?,
            keep_snapshots: changed("keep_snapshots", self.keep_snapshots, changes.keep_snapshots)?,
            target_file_size: changed("target_file_bytes", self.target_file_size, changes.target_file_bytes)?,
            small_file_size: changed("small_file_bytes", self.small_file_size, changes.small_file_bytes)?,
            min_small_files: changed("min_small_files", self.min_small_files, changes.min_small_files)?,
            delete_ratio: changes.delete_ratio.map_or(Ok(self.delete_ratio), DeleteRatio::new)?,
        };
        if policy.small_file_size >= policy.target_file_size {
            // Else what was merged would be small again, and merged for ever.
            let reason = format!("is less than target_file_bytes, which is {}", policy.target_file_size.get());
            return Err(PolicyError { field: "small_file_bytes", reason });
        }
        Ok(policy)
    }

    /// How long it is from one run to the next.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.interval.get())
    }

    /// How long each snapshot is kept.
    pub fn keep_for(&self) -> Duration {
        Duration::from_secs(self.keep_for.get())
    }
}

impl Default for MaintenancePolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Amount(6 * 3_600),
            keep_for: Amount(30 * 86_400),
            keep_snapshots: Amount(100),
            target_file_size: Amount(128 << 20),
            small_file_size: Amount(16 << 20),
            min_small_files: Amount(10),
            delete_ratio: DeleteRatio(0.3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_as_it_is() {
        let changes = PolicyChanges { keep_snapshots: Some(5), ..PolicyChanges::default() };
        let policy = MaintenancePolicy::default().with(&changes).unwrap();
        assert_eq!(policy.keep_snapshots.get(), 5);
        assert_eq!(policy.keep_for, MaintenancePolicy::default().keep_for);
    }

    #[test]
    fn numbers_out_of_their_bounds_are_told_by_name() {
        let refused = |changes: PolicyChanges| MaintenancePolicy::default().with(&changes).unwrap_err().field;
        let none = PolicyChanges::default;
        assert_eq!(refused(PolicyChanges { interval_seconds: Some(1), ..none() }), "interval_seconds");
        assert_eq!(refused(PolicyChanges { keep_snapshots: Some(0), ..none() }), "keep_snapshots");
        assert_eq!(refused(PolicyChanges { min_small_files: Some(1), ..none() }), "min_small_files");
        assert_eq!(refused(PolicyChanges { target_file_bytes: Some(1), ..none() }), "target_file_bytes");
        assert_eq!(refused(PolicyChanges { small_file_bytes: Some(1 << 30), ..none() }), "small_file_bytes");
        for ratio in [0.0, -1.0, 1.1, f64::NAN] {
            assert_eq!(refused(PolicyChanges { delete_ratio: Some(ratio), ..none() }), "delete_ratio");
        }
    }

    #[test]
    fn unknown_wishes_are_refused() {
        assert!(serde_json::from_str::<PolicyChanges>(r#"{"keep":1}"#).is_err());
    }
}
