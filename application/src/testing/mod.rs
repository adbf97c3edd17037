//! In-memory adapters and contract suites.
