//! Settings of the lakes' maintenance.

use std::time::Duration;

use crate::config::kind::{Kind, seconds};

section! {
    /// What keeps the lakes' files few and their past as long as wanted. Projects may want otherwise, but for the last three.
    pub struct Maintenance = "maintenance" {
        /// Whether projects are maintained without being asked.
        enabled: bool = true, Kind::Switch;
        /// How often each is.
        interval: Duration = seconds(6 * 3_600), Kind::span(60, 31_536_000);
        /// How long each snapshot is kept.
        keep_snapshots_for: Duration = seconds(365 * 86_400), Kind::span(0, 3_153_600_000);
        /// How many of the newest snapshots are kept, however old they are.
        keep_snapshots: u64 = 100, Kind::integer(1, 1_000_000);
        /// How large merged files become.
        target_file_size: u64 = 128 << 20, Kind::bytes(1_024, 16 << 30);
        /// Files below this size are small.
        small_file_size: u64 = 16 << 20, Kind::bytes(1_024, 16 << 30);
        /// So many small files of a table that could be one are merged.
        min_small_files: u64 = 10, Kind::integer(2, 1_000_000);
        /// A file is written anew once that much of its rows are deleted, in percent.
        delete_percentage: u8 = 30, Kind::integer(1, 100);
        /// Up to so much later than its time a project's run begins, by chance.
        jitter: Duration = seconds(1_800), Kind::span(0, 86_400);
        /// How often it is looked for projects whose time has come.
        check_interval: Duration = seconds(30), Kind::span(1, 3_600);
        /// How long files stay that no snapshot shows any more: queries that began before still read them. Production refuses less
        /// than a day.
        keep_files_for: Duration = seconds(86_400), Kind::span(0, 31_536_000);
    }
}
