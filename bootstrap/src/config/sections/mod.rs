//! The settings, section by section.
//!
//! `section!` declares a field together with its default, what it accepts, and its documentation, so that the
//! structs, the loader and the documentation can't drift apart. Older environment names are in `legacy.rs`.

/// Declares a section: the struct, its `Default`, and its list of keys. A field reads
/// `/// meaning` `name: Type = default, kind [, otherwise "words"] [, planned "capability"];`
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident = $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $kind:expr
                $(, otherwise $otherwise:literal)? $(, planned $planned:expr)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            pub(in crate::config) const SECTION: crate::config::key::Section = crate::config::key::Section {
                name: $section,
                doc: &[$($about),+],
                keys: &[$(
                    crate::config::key::Key {
                        path: concat!($section, ".", stringify!($field)),
                        kind: $kind,
                        doc: &[$($doc),+],
                        otherwise: section!(@first $($otherwise)?),
                        planned: section!(@first $($planned)?),
                    },
                )+],
            };
        }
    };
    (@first) => { None };
    (@first $value:expr) => { Some($value) };
}

mod backup;
mod events;
mod features;
mod front;
mod lake;
mod maintenance;
mod outside;
mod serving;

pub use backup::Backup;
pub use events::{Events, Lineage, LineageForward};
pub use features::Features;
pub use front::{Cors, RateLimit, Tls};
pub use lake::{Breaker, Ducklake, Engine, Metadata, Query};
pub use maintenance::Maintenance;
pub use outside::{Ontology, Postgres, Storage};
pub use serving::{Audit, Auth, Logging, Metrics, Projects, Quota, Server, Traces};

use super::Config;
use super::key::Section;

/// Names of the capabilities whose settings are accepted before anything uses them.
pub(super) mod planned {
    pub(in crate::config) const CATALOG_NAMES: &str = "names of one's own for the catalogs";
    pub(in crate::config) const DETAILS: &str = "faults explained to clients";
    pub(in crate::config) const FLAGS: &str = "feature flags";
}

/// Every section, in the order of the documentation.
pub(super) static SECTIONS: &[Section] = &[
    Config::SECTION,
    Server::SECTION,
    Tls::SECTION,
    Cors::SECTION,
    RateLimit::SECTION,
    Auth::SECTION,
    Audit::SECTION,
    Events::SECTION,
    LineageForward::SECTION,
    Projects::SECTION,
    Quota::SECTION,
    Logging::SECTION,
    Traces::SECTION,
    Metrics::SECTION,
    Engine::SECTION,
    Breaker::SECTION,
    Query::SECTION,
    Ducklake::SECTION,
    Maintenance::SECTION,
    Backup::SECTION,
    Metadata::SECTION,
    Postgres::SECTION,
    Storage::SECTION,
    Ontology::SECTION,
    Features::SECTION,
];
