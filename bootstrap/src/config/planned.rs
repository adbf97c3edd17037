//! Names of the capabilities whose settings are accepted before anything uses them.

pub(super) const POSTGRES: &str = "lakes on PostgreSQL";
pub(super) const OBJECTS: &str = "files in S3";
pub(super) const ONTOLOGY: &str = "the ontology service";
pub(super) const TIME_TRAVEL: &str = "reading a whole lake as of a snapshot";
pub(super) const FLAGS: &str = "feature flags";
