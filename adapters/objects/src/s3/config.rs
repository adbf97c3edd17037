//! What a client of an S3 server has to know.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// How often a request is tried again that met a fault which may pass.
const RETRIES: usize = 4;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Where the bucket is, and how to speak to it.
#[derive(Clone)]
pub struct S3Config {
    /// The server's address with `http://` or `https://`; AWS itself where there is none.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// The bucket. It must be there.
    pub bucket: String,
    /// What all keys begin with; a bucket can be shared.
    pub prefix: String,
    /// The key's name.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// The KMS key that the server encrypts what is written with; as the bucket says where there is none.
    pub kms_key_id: Option<String>,
    /// Whether the bucket is named in the path, not in the host.
    pub path_style: bool,
    /// Whether an address with `http://` is fine.
    pub allow_http: bool,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer, and for the next bytes of one.
    pub request_timeout: Duration,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Config")
    }
}

impl S3Config {
    pub(super) fn client(&self) -> object_store::Result<AmazonS3> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Not a limit for the whole answer: large objects take their time, as long as they move.
        let options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_connect_timeout(self.connect_timeout)
            .with_read_timeout(self.request_timeout)
            .with_timeout_disabled();
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, ..BackoffConfig::default() },
            max_retries: RETRIES,
            retry_timeout: self.request_timeout,
        };
        let mut builder = AmazonS3Builder::new()
            .with_region(&self.region)
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(self.addressed(endpoint));
        }
        if let Some(key) = &self.kms_key_id {
            builder = builder.with_sse_kms_encryption(key);
        }
        builder.build()
    }

    /// The address that requests go to: of the bucket's own host, if it has one.
    fn addressed(&self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => format!("{scheme}://{}.{host}", self.bucket),
            _ => endpoint.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gadwall_test_services::Recorder;
    use object_store::ObjectStoreExt as _;
    use object_store::path::Path;

    use super::*;

    #[tokio::test]
    async fn whatever_makes_an_object_asks_for_it_to_be_encrypted() {
        let recorder = Recorder::start().await.unwrap();
        let config = S3Config {
            endpoint: Some(recorder.url()),
            region: "us-east-1".to_owned(),
            bucket: "b".to_owned(),
            prefix: String::new(),
            access_key: "k".to_owned(),
            secret_key: "s".to_owned(),
            kms_key_id: Some("the-key".to_owned()),
            path_style: true,
            allow_http: true,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        };
        let store = config.client().unwrap();
        store.put(&Path::from("whole"), "x".into()).await.unwrap();
        let mut parts = store.put_multipart(&Path::from("parts")).await.unwrap();
        parts.put_part("x".into()).await.unwrap();
        parts.complete().await.unwrap();
        let made: Vec<_> =
            recorder.seen().into_iter().filter(gadwall_test_services::Recorded::makes_an_object).collect();
        assert_eq!(made.len(), 2, "{made:?}");
        for request in made {
            assert_eq!(request.header("x-amz-server-side-encryption"), Some("aws:kms"), "{request:?}");
            assert_eq!(request.header("x-amz-server-side-encryption-aws-kms-key-id"), Some("the-key"), "{request:?}");
        }
    }
}
