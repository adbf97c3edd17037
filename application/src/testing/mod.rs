//! What tests need: small in-memory adapters, a clock that stands still, builders, and the contract suites
//! that every adapter has to pass, these ones too.
//!
//! | port | here |
//! |---|---|
//! | `MetadataStore` | [`MemoryMetadata`] |
//! | `ObjectStorage` | [`MemoryObjects`] |
//! | `ResultStore` | [`MemoryResults`] |
//! | `SchemaRegistry` | [`MemoryRegistry`] |
//! | `Lake`, `ViewEngine` | [`MemoryLake`] |
//! | `Clock`, `IdGenerator` | [`FixedClock`], [`SeqIds`] |

pub mod builders;
pub mod contract;
mod lake;
pub mod lines;
mod metadata;
mod objects;
mod registry;
mod results;
mod system;

pub use lake::MemoryLake;
pub use metadata::MemoryMetadata;
pub use objects::MemoryObjects;
pub use registry::MemoryRegistry;
pub use results::MemoryResults;
pub use system::{FixedClock, SeqIds};
