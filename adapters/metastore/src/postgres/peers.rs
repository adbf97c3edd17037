//! What servers say to each other through the database that they share: `NOTIFY` and `LISTEN`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::peers::{Ear, Peers};
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use super::error::ConnectError;
use super::open::{self, PostgresConfig};
use super::{store_error, within};
use crate::statement::{Statement, sql};

/// The channel's name.
const CHANNEL: &str = "gadwall";
/// One that listens, one that speaks.
const CONNECTIONS: u32 = 2;
/// How long nothing may be heard before it is looked whether the connection is still there.
const SILENCE: Duration = Duration::from_secs(20);

/// Servers that share a PostgreSQL database.
pub struct PostgresPeers {
    pool: PgPool,
    limit: Duration,
}

impl fmt::Debug for PostgresPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresPeers")
    }
}

impl PostgresPeers {
    /// Those in this database, which is connected to when something is said or heard.
    pub fn new(config: &PostgresConfig) -> Result<Self, ConnectError> {
        let options = open::options(config)?;
        let (statement, lock) = (config.statement_timeout, config.acquire_timeout);
        let options = open::limited(options, statement, lock, statement);
        let pool = open::pool(config, CONNECTIONS).connect_lazy_with(options);
        Ok(Self { pool, limit: config.statement_timeout + config.acquire_timeout })
    }
}

/// Says something to all once the transaction is committed.
pub(crate) fn tell(message: &str) -> Statement<'_> {
    sql("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(message)
}

#[async_trait]
impl Peers for PostgresPeers {
    async fn tell(&self, message: &str) -> Result<(), StoreError> {
        let told = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(message).execute(&self.pool);
        within(self.limit, told).await.map(drop)
    }

    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError> {
        let listening = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        Ok(Box::new(Listening { listener: within(self.limit, listening).await?, limit: self.limit }))
    }
}

struct Listening {
    listener: PgListener,
    limit: Duration,
}

#[async_trait]
impl Ear for Listening {
    async fn next(&mut self) -> Result<String, StoreError> {
        loop {
            match tokio::time::timeout(SILENCE, self.listener.recv()).await {
                Ok(heard) => return heard.map(|heard| heard.payload().to_owned()).map_err(store_error),
                // A connection that is gone without a word is silent, too.
                Err(_) => within(self.limit, sqlx::query("SELECT 1").execute(&mut self.listener)).await.map(drop)?,
            }
        }
    }
}
