//! Governed tables and their records.
