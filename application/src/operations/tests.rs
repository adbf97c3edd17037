//! Operations over fakes.
