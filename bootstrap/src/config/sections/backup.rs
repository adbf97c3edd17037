//! Where backups are kept.

use crate::config::kind::Kind;

section! {
    /// Backups of projects (`gadwall backup`).
    pub struct Backup = "backup" {
        /// Where they are kept: a folder, on another disk than the data, or `s3://bucket/prefix`, which is reached with the address and
        /// the keys of `storage`. One installation has it to itself. Without, none are made.
        target: Option<String> = None, Kind::Text, otherwise "none";
    }
}
