//! Settings that are allowed alone but not together.

use std::time::Duration;

use super::error::{ConfigError, Problem};
use super::human::show_span;
use super::{CatalogKind, ClientCertificates, Config, Environment};

/// Shortest key of an administrator in production: what 16 random characters hold can't be guessed.
const MIN_ADMIN_KEY: usize = 16;
/// How long production keeps files that no snapshot shows, at least.
const MIN_FILE_AGE: Duration = Duration::from_hours(24);

impl Config {
    /// Whether the settings go together. Loading has done this already; it is for a configuration made by hand.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check(self.contradictions())
    }

    pub(super) fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut unless = |fine: bool, key: &str, message: String| {
            if !fine {
                problems.push(Problem::of(key, message));
            }
        };
        let production = self.environment == Environment::Production;
        let keys = &self.auth.admin_keys;

        unless(!(production && self.debug), "debug", "debug must be false in production".to_owned());
        unless(!production || self.auth.enabled, "auth.enabled", "auth.enabled must be true in production".to_owned());
        unless(
            !self.auth.enabled || !keys.is_empty() || self.environment == Environment::Development,
            "auth.admin_keys",
            format!(
                "auth.admin_keys is empty: {} needs at least one key. Set ADMIN_API_KEY, or the key in the file",
                self.environment
            ),
        );
        unless(
            !production || keys.iter().all(|key| key.expose().len() >= MIN_ADMIN_KEY),
            "auth.admin_keys",
            format!("auth.admin_keys has a key that is too short: production needs {MIN_ADMIN_KEY} characters"),
        );
        unless(
            self.engine.query_timeout <= self.engine.max_query_timeout,
            "engine.query_timeout",
            format!(
                "engine.query_timeout ({}) is longer than engine.max_query_timeout ({})",
                show_span(self.engine.query_timeout),
                show_span(self.engine.max_query_timeout)
            ),
        );
        let metadata = &self.metadata;
        unless(
            metadata.instance_timeout >= metadata.instance_renewal * 3,
            "metadata.instance_timeout",
            format!(
                "metadata.instance_timeout ({}) is shorter than three times metadata.instance_renewal ({}): a server \
                 that is alive would be taken for dead",
                show_span(metadata.instance_timeout),
                show_span(metadata.instance_renewal)
            ),
        );
        let cloud = self.ducklake.catalog == CatalogKind::Postgres;
        unless(
            !cloud || self.ducklake.secret_key.as_ref().is_some_and(|key| key.expose().len() >= MIN_ADMIN_KEY),
            "ducklake.secret_key",
            format!(
                "ducklake.secret_key has fewer than {MIN_ADMIN_KEY} characters, but ducklake.catalog is postgres: the \
                 projects' passwords in the database are derived from it. Set GADWALL_SECRET_KEY"
            ),
        );
        unless(
            !cloud || self.ducklake.data_inlining_row_limit == 0,
            "ducklake.data_inlining_row_limit",
            "ducklake.data_inlining_row_limit must be 0 while ducklake.catalog is postgres".to_owned(),
        );
        for (key, fine, message) in self.lake_refusals().into_iter().chain(self.tls_contradictions()) {
            unless(fine, key, message.to_owned());
        }
        unless(
            !self.metrics.export || self.metrics.endpoint.is_some() || self.traces.endpoint.is_some(),
            "metrics.export",
            "metrics.export is true, but neither metrics.endpoint nor traces.endpoint says where to".to_owned(),
        );
        for (key, fine, message) in self.maintenance_contradictions() {
            unless(fine, key, message);
        }
        for (key, value) in
            [("storage.access_key", &self.storage.access_key), ("storage.secret_key", &self.storage.secret_key)]
        {
            unless(
                !self.storage.enabled || value.is_some(),
                key,
                format!("{key} is not set, but storage.enabled is true: files in S3 need it"),
            );
        }
        unless(
            !self.features.enable_s3_encryption || !self.storage.enabled || self.storage.kms_key_id.is_some(),
            "storage.kms_key_id",
            "storage.kms_key_id is not set, but features.enable_s3_encryption is true: without a KMS key the engine's files \
             would not be encrypted (for the server's own keys, make encryption the bucket's default instead)"
                .to_owned(),
        );
        unless(
            self.features.enable_s3_encryption || self.storage.kms_key_id.is_none(),
            "features.enable_s3_encryption",
            "features.enable_s3_encryption is false, but storage.kms_key_id is set: nothing would be encrypted with it"
                .to_owned(),
        );
        problems.extend(self.auth.issuer_problems(self.environment));
        problems
    }

    /// What older services did with their one lake: with it left out, what should stay would be changed, or what is shown would
    /// be of another time.
    fn lake_refusals(&self) -> [(&'static str, bool, &'static str); 3] {
        let lakes = &self.ducklake;
        [
            (
                "ducklake.read_only",
                !lakes.read_only,
                "ducklake.read_only is true, but this server writes, too. Leave it out, and give keys with the scope read to \
                 those who may only read",
            ),
            (
                "ducklake.snapshot_version",
                lakes.snapshot_version.is_none(),
                "ducklake.snapshot_version is set, but each project has snapshots of its own. Leave it out, and ask for \
                 ?snapshot= or a tag",
            ),
            (
                "ducklake.snapshot_time",
                lakes.snapshot_time.is_none(),
                "ducklake.snapshot_time is set, but lakes are read as they are now. Leave it out, and ask for ?as_of=",
            ),
        ]
    }

    /// What maintenance needs: a key, whether it is so, and what to say if it isn't.
    fn maintenance_contradictions(&self) -> [(&'static str, bool, String); 2] {
        let maintenance = &self.maintenance;
        [
            (
                "maintenance.small_file_size",
                maintenance.small_file_size < maintenance.target_file_size,
                format!(
                    "maintenance.small_file_size ({}) is not less than maintenance.target_file_size ({}): what was merged would \
                     be merged again",
                    maintenance.small_file_size, maintenance.target_file_size
                ),
            ),
            (
                "maintenance.keep_files_for",
                self.environment != Environment::Production || maintenance.keep_files_for >= MIN_FILE_AGE,
                format!(
                    "maintenance.keep_files_for ({}) is too short: production keeps files for {} that queries may still read",
                    show_span(maintenance.keep_files_for),
                    show_span(MIN_FILE_AGE)
                ),
            ),
        ]
    }

    /// What TLS needs: a key, whether it is there, and what to say if it isn't.
    fn tls_contradictions(&self) -> [(&'static str, bool, &'static str); 4] {
        let tls = &self.tls;
        let asks_clients = tls.client_certificates != ClientCertificates::None;
        [
            (
                "tls.key",
                tls.certificate.is_none() || tls.key.is_some(),
                "tls.key is not set, but tls.certificate is: the certificate's private key is needed",
            ),
            (
                "tls.certificate",
                tls.certificate.is_some() || (tls.key.is_none() && tls.client_ca.is_none() && !asks_clients),
                "tls.certificate is not set, but other settings of tls are: without it TLS is off",
            ),
            (
                "tls.client_ca",
                !asks_clients || tls.client_ca.is_some(),
                "tls.client_ca is not set, but tls.client_certificates asks for certificates: nobody could have signed one",
            ),
            (
                "tls.client_certificates",
                asks_clients || tls.client_ca.is_none(),
                "tls.client_certificates is none, but tls.client_ca is set: say optional or required",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Secret;

    fn keys_at_fault(config: &Config) -> Vec<String> {
        config.contradictions().into_iter().filter_map(|problem| problem.key).collect()
    }

    fn with_key(environment: Environment, key: &str) -> Config {
        let mut config = Config::defaults(environment);
        config.auth.admin_keys = vec![Secret::new(key)];
        config
    }

    #[test]
    fn defaults_are_fine_on_a_laptop_and_need_a_key_elsewhere() {
        assert!(Config::default().validate().is_ok());
        for environment in [Environment::Staging, Environment::Production] {
            assert_eq!(keys_at_fault(&Config::defaults(environment)), ["auth.admin_keys"]);
        }
    }

    #[test]
    fn nothing_is_written_unencrypted_that_was_to_be() {
        let mut config = Config::default();
        config.storage.access_key = Some(Secret::new("name"));
        config.storage.secret_key = Some(Secret::new("key"));
        config.storage.enabled = true;
        config.features.enable_s3_encryption = true;
        assert_eq!(keys_at_fault(&config), ["storage.kms_key_id"]);
        config.storage.kms_key_id = Some("key".to_owned());
        assert!(config.validate().is_ok());
        config.features.enable_s3_encryption = false;
        assert_eq!(keys_at_fault(&config), ["features.enable_s3_encryption"]);
    }

    #[test]
    fn files_in_s3_need_a_key() {
        let mut config = Config::default();
        config.storage.enabled = true;
        config.storage.access_key = Some(Secret::new("name"));
        assert_eq!(keys_at_fault(&config), ["storage.secret_key"]);
        config.storage.secret_key = Some(Secret::new("key"));
        assert!(config.validate().is_ok());
    }

    #[test]
    fn tls_is_whole_or_off() {
        let file = || Some(std::path::PathBuf::from("file.pem"));
        let mut config = Config::default();
        config.tls.key = file();
        assert_eq!(keys_at_fault(&config), ["tls.certificate"]);
        config.tls.certificate = file();
        assert!(config.validate().is_ok());
        config.tls.client_certificates = ClientCertificates::Required;
        assert_eq!(keys_at_fault(&config), ["tls.client_ca"]);
        config.tls.client_ca = file();
        assert!(config.validate().is_ok());
        config.tls.client_certificates = ClientCertificates::None;
        config.tls.key = None;
        assert_eq!(keys_at_fault(&config), ["tls.key", "tls.client_certificates"]);
    }

    #[test]
    fn who_is_alive_is_heard_of_in_time() {
        let mut config = Config::default();
        config.metadata.instance_timeout = config.metadata.instance_renewal * 3;
        assert!(config.validate().is_ok());
        config.metadata.instance_timeout -= Duration::from_secs(1);
        assert_eq!(keys_at_fault(&config), ["metadata.instance_timeout"]);
    }

    #[test]
    fn production_refuses_what_is_only_comfortable() {
        let mut config = with_key(Environment::Production, "0123456789abcdef");
        assert!(config.validate().is_ok());
        config.debug = true;
        config.auth.enabled = false;
        assert_eq!(keys_at_fault(&config), ["debug", "auth.enabled"]);
        config.environment = Environment::Staging;
        assert!(config.validate().is_ok());
    }

    #[test]
    fn a_short_key_is_refused_in_production_without_being_shown() {
        let config = with_key(Environment::Production, "swordfish");
        let error = config.validate().unwrap_err();
        assert_eq!(error.problems().len(), 1);
        assert!(!format!("{error} {error:?} {config:?}").contains("swordfish"));
        assert!(with_key(Environment::Staging, "swordfish").validate().is_ok());
    }

    #[test]
    fn the_usual_query_timeout_fits_under_the_longest() {
        let mut config = Config::default();
        config.engine.max_query_timeout = Duration::from_secs(5);
        assert_eq!(keys_at_fault(&config), ["engine.query_timeout"]);
    }
}
