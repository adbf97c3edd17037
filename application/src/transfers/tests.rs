//! Transfers over fakes.
