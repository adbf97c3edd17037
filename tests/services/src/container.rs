//! Servers in containers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use crate::folder::variable;
use crate::s3::Keys;

/// PostgreSQL in a container, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct PostgresContainer {
    url: String,
    _container: ContainerAsync<GenericImage>,
}

impl PostgresContainer {
    /// Starts one; `None` where no Docker engine answers.
    pub(crate) async fn start(user: &str, password: &str) -> Result<Option<Self>> {
        if !engine_answers() {
            return Ok(None);
        }
        let image = GenericImage::new("postgres", "18-alpine")
            .with_exposed_port(5432.tcp())
            // The image starts the server twice; only the second one listens to the network.
            .with_wait_for(WaitFor::message_on_stdout("PostgreSQL init process complete"))
            .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
            .with_env_var("POSTGRES_USER", user)
            .with_env_var("POSTGRES_PASSWORD", password)
            .with_env_var("POSTGRES_DB", "postgres");
        let container = image.start().await.context("the container of PostgreSQL doesn't start")?;
        let (host, port) = (container.get_host().await?, container.get_host_port_ipv4(5432).await?);
        let url = format!("postgres://{user}:{password}@{host}:{port}/postgres");
        Ok(Some(Self { url, _container: container }))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// MinIO in a container, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct MinioContainer {
    pub(crate) endpoint: String,
    pub(crate) keys: Keys,
    _container: ContainerAsync<GenericImage>,
}

impl MinioContainer {
    /// Starts one that has a bucket; `None` where no Docker engine answers.
    pub(crate) async fn start(bucket: &str) -> Result<Option<Self>> {
        if !engine_answers() {
            return Ok(None);
        }
        let keys = Keys { access_key: "gadwall".to_owned(), secret_key: "swordfish".to_owned() };
        // A folder that is there when it starts is a bucket to it.
        let script = format!("mkdir -p /data/{bucket} && exec minio server /data");
        let image = GenericImage::new("minio/minio", "latest")
            .with_entrypoint("sh")
            .with_exposed_port(9000.tcp())
            .with_wait_for(WaitFor::message_on_either_std("API:"))
            .with_env_var("MINIO_ROOT_USER", &keys.access_key)
            .with_env_var("MINIO_ROOT_PASSWORD", &keys.secret_key)
            .with_cmd(["-c", &script]);
        let container = image.start().await.context("the container of MinIO doesn't start")?;
        let (host, port) = (container.get_host().await?, container.get_host_port_ipv4(9000).await?);
        Ok(Some(Self { endpoint: format!("http://{host}:{port}"), keys, _container: container }))
    }
}

/// Whether a Docker engine answers at the address that `DOCKER_HOST` names, or at the usual one.
pub(crate) fn engine_answers() -> bool {
    let address = variable("DOCKER_HOST").unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    match address.split_once("://") {
        Some(("unix", path)) => UnixStream::connect(path).is_ok_and(is_engine),
        Some((_, host)) => TcpStream::connect(host).is_ok_and(is_engine),
        None => false,
    }
}

fn is_engine(mut stream: impl Read + Write) -> bool {
    let mut answer = [0; 15];
    let asked = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer.ends_with(b"200 OK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_container_serves_where_an_engine_answers() {
        match PostgresContainer::start("gadwall", "swordfish").await.unwrap() {
            Some(container) => drop(crate::postgres::connect(container.url()).await.unwrap()),
            None => eprintln!("not tested: no Docker engine answers, so nothing can run in a container"),
        }
    }

    #[test]
    fn only_an_engine_is_taken_for_one() {
        let answered = |answer: &str| is_engine(Talk(answer.as_bytes().to_vec().into()));
        assert!(answered("HTTP/1.1 200 OK\r\n\r\nOK"));
        assert!(!answered("HTTP/1.1 403 Forbidden\r\n\r\n") && !answered(""));
    }

    struct Talk(std::collections::VecDeque<u8>);

    impl Read for Talk {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Talk {
        fn write(&mut self, asked: &[u8]) -> std::io::Result<usize> {
            Ok(asked.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
