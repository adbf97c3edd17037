//! Settings of services beside this one. Nothing uses them yet; older deployments set them, so they are accepted and
//! checked. None has a password for a default: the older services had, and everyone knows it.

use std::time::Duration;

use super::planned;
use crate::config::kind::{Kind, seconds};
use crate::config::secret::Secret;

section! {
    /// PostgreSQL, for the lakes' catalog. (The metadata store's is `metadata.url`.)
    pub struct Postgres = "postgres" {
        /// Its host.
        host: String = "localhost".to_owned(), Kind::Host, planned planned::POSTGRES;
        /// Its port.
        port: u16 = 5432, Kind::integer(1, 65_535), planned planned::POSTGRES;
        /// The database.
        database: String = "ducklakedb".to_owned(), Kind::Text, planned planned::POSTGRES;
        /// The role to connect as.
        user: String = "postgres".to_owned(), Kind::Text, planned planned::POSTGRES;
        /// The role's password.
        password: Option<Secret> = None, Kind::Secret, otherwise "none", planned planned::POSTGRES;
    }
}

section! {
    /// An S3 server (AWS, MinIO, …) for the lakes' files and for datasets.
    pub struct Storage = "storage" {
        /// Whether files lie there instead of in the data directory.
        enabled: bool = false, Kind::Switch, planned planned::OBJECTS;
        /// Its address.
        endpoint: String = "localhost:9000".to_owned(), Kind::Endpoint, planned planned::OBJECTS;
        /// Name of the key.
        access_key: Option<Secret> = None, Kind::Secret, otherwise "none", planned planned::OBJECTS;
        /// The key.
        secret_key: Option<Secret> = None, Kind::Secret, otherwise "none", planned planned::OBJECTS;
        /// Whether to speak HTTPS.
        secure: bool = false, Kind::Switch, planned planned::OBJECTS;
        /// The bucket where none is named.
        default_bucket: String = "ducklake-data".to_owned(), Kind::Text, planned planned::OBJECTS;
        /// Its region.
        region: String = "us-east-1".to_owned(), Kind::Text, planned planned::OBJECTS;
    }
}

section! {
    /// The service that knows the schemas of governed records.
    pub struct Ontology = "ontology" {
        /// Its address.
        url: String = "http://localhost:8001".to_owned(), Kind::Url, planned planned::ONTOLOGY;
        /// Longest wait for its answer.
        timeout: Duration = seconds(5), Kind::span(1, 300), planned planned::ONTOLOGY;
        /// Whether built-in schemas stand in for it.
        use_mock: bool = true, Kind::Switch, planned planned::ONTOLOGY;
    }
}
