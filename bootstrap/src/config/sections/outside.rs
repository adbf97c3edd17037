//! Settings of services beside this one. What nothing uses yet is accepted and checked, since older deployments set it.
//! None has a password for a default: the older services had, and everyone knows it.

use std::time::Duration;

use crate::config::choices::SslMode;
use crate::config::kind::{Kind, seconds};
use crate::config::secret::Secret;

section! {
    /// PostgreSQL, for the lakes' catalogs, and for the metadata store unless `metadata.url` names another.
    pub struct Postgres = "postgres" {
        /// Its host.
        host: String = "localhost".to_owned(), Kind::Host;
        /// Its port.
        port: u16 = 5432, Kind::integer(1, 65_535);
        /// The database.
        database: String = "ducklakedb".to_owned(), Kind::Text;
        /// The role to connect as. It must be allowed to create roles and schemas.
        user: String = "postgres".to_owned(), Kind::Text;
        /// The role's password.
        password: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// How TLS is used.
        ssl_mode: SslMode = SslMode::Prefer, Kind::Choice(SslMode::WORDS);
        /// Connections for what concerns all lakes, such as the writers' turns.
        max_connections: u32 = 16, Kind::integer(2, 1_000);
        /// Longest time that the database may take for a statement of a catalog.
        statement_timeout: Duration = seconds(30), Kind::span(1, 3_600);
    }
}

section! {
    /// An S3 server (AWS, MinIO, …) for datasets and for results of queries in the background.
    pub struct Storage = "storage" {
        /// Whether they lie there instead of in the data directory.
        enabled: bool = false, Kind::Switch;
        /// Its address.
        endpoint: String = "localhost:9000".to_owned(), Kind::Endpoint;
        /// Name of the key.
        access_key: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// The key.
        secret_key: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// Whether to speak HTTPS, where the address doesn't say.
        secure: bool = false, Kind::Switch;
        /// The bucket. It must be there, and may be shared.
        default_bucket: String = "ducklake-data".to_owned(), Kind::Text;
        /// What every key in the bucket begins with. Nobody but the servers that share it may write there.
        prefix: String = "gadwall".to_owned(), Kind::Text;
        /// Its region.
        region: String = "us-east-1".to_owned(), Kind::Text;
        /// The KMS key that the server encrypts objects with (SSE-KMS); goes with `features.enable_s3_encryption`.
        kms_key_id: Option<String> = None, Kind::Text, otherwise "none";
        /// Whether the bucket is named in the path. If not, it is part of the host: `bucket.endpoint`.
        path_style: bool = true, Kind::Switch;
        /// Longest wait for a connection.
        connect_timeout: Duration = seconds(5), Kind::span(1, 300);
        /// Longest wait for an answer, tries again included, and for the next bytes of one.
        request_timeout: Duration = seconds(30), Kind::span(1, 3600);
    }
}

section! {
    /// The service that knows the schemas of governed records.
    pub struct Ontology = "ontology" {
        /// Its address; `/schemas/{id}` and `/health` come after it.
        url: String = "http://localhost:8001".to_owned(), Kind::Url;
        /// Longest wait for its answer, with all that is tried again.
        timeout: Duration = seconds(5), Kind::span(1, 300);
        /// Whether built-in schemas stand in for it: then nothing is asked.
        use_mock: bool = true, Kind::Switch;
        /// So long a schema holds without it being asked again.
        fresh_for: Duration = seconds(300), Kind::span(1, 86_400);
        /// So long the last schema stands in for one that doesn't answer; then built-in ones do, where there are any.
        stale_for: Duration = seconds(7 * 86_400), Kind::span(1, 365 * 86_400);
    }
}
