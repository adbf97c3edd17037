//! What surrounds every handler, from the outside in: context, the door, panics, aliases, bodies, then the routes.

pub(crate) mod alias;
pub(crate) mod allow;
pub(crate) mod body;
pub(crate) mod compress;
pub(crate) mod context;
pub(crate) mod deprecation;
pub(crate) mod door;
pub(crate) mod idempotency;
pub(crate) mod object_path;
pub(crate) mod recheck;
