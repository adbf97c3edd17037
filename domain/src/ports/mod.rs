//! What the domain needs of the outside, as traits.
//!
//! | port | is | adapters |
//! |---|---|---|
//! | [`metadata::MetadataStore`] | projects, keys, events, audit, index of the lake | SQLite, memory |
//! | [`sharing::SharingRepository`] | who reads whose buckets | SQLite, PostgreSQL, memory |
//! | [`lineage::LineageRepository`] | jobs, runs, and what they read and write | SQLite, PostgreSQL, memory |
//! | [`maintenance::MaintenanceRepository`] | what projects want of their maintenance | SQLite, PostgreSQL, memory |
//! | [`usage::UsageRepository`] | what queries did, by day | SQLite, PostgreSQL, memory |
//! | [`events::EventTokens`], [`events::ChangeConsumers`] | who watches events, who follows tables | SQLite, PostgreSQL, memory |
//! | [`lake::LakeStore`] | a project's tables and their snapshots | DuckLake, memory |
//! | [`lake::QueryEngine`] | runs checked SQL | DuckLake |
//! | [`lake::LakeMaintenance`] | keeps a lake's files few and its past short | DuckLake, memory |
//! | [`objects::ObjectStorage`] | the files of a project's datasets | local files, memory |
//! | [`contracts::ContractRepository`] | what tables are held to, and what looks found | SQLite, PostgreSQL, memory |
//! | [`ontology::SchemaRegistry`] | the schemas that govern tables | HTTP, memory |
//! | [`results::ResultStore`] | results that are fetched later | local files, memory |
//! | [`transfer::BulkTransfer`] | reads and writes whole files | DuckLake |
//! | [`backup::BackupTarget`] | where backups are kept | folders, S3 |
//! | [`backup::LakeArchive`], [`backup::CatalogReader`] | copies lakes out and in | DuckLake |
//! | [`backup::MetadataArchive`] | copies projects' metadata out and in | SQLite, PostgreSQL |
//! | [`doctor::LakeDoctor`] | finds and mends what is wrong with a catalog | DuckLake |
//! | [`background::Background`] | work that goes on after its answer | tokio |
//! | [`system::Clock`], [`system::IdGenerator`] | time and chance | system, fixed |
//! | [`peers::Peers`] | servers that talk to each other | PostgreSQL |
//! | [`webhooks::WebhookSender`] | tells addresses of events | HTTP |
//! | [`turns::Turns`] | one at a time changes a dataset | process, PostgreSQL |
//! | [`tokens::TokenVerifier`] | is this token of a known issuer? | OIDC |
//! | [`operating::LogControl`], [`operating::MachineMonitor`] | what is logged; the machine and this process | tracing, `/proc` |
//! | [`operating::EngineControl`] | the engines: what they have, and to open them anew | DuckLake |
//! | [`operating::PoolMonitor`] | connections to databases | SQLite, PostgreSQL |
//! | [`system::HealthProbe`] | is this part working? | each adapter |

pub mod background;
pub mod backup;
pub mod contracts;
pub mod doctor;
pub mod events;
pub mod lake;
pub mod lineage;
pub mod maintenance;
pub mod metadata;
pub mod objects;
pub mod ontology;
pub mod operating;
pub mod peers;
pub mod results;
pub mod sharing;
pub mod system;
pub mod tokens;
pub mod transfer;
pub mod turns;
pub mod usage;
pub mod webhooks;
