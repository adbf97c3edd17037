//! Contracts over lakes and metadata in memory.
