//! Turns among all servers that share a database: advisory locks, each held by a transaction that does nothing else.
//!
//! A server that dies loses its connections, and with them its turns; one that stands still loses them after a while.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::dataset::DatasetName;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::turns::{Turn, TurnError, Turns};
use sha2::{Digest as _, Sha256};
use sqlx::{PgPool, Postgres, Transaction};

use super::error::ConnectError;
use super::open::{self, PostgresConfig};
use super::{WRITE, within};

/// Turns that a server has at once, of different datasets.
const AT_ONCE: u32 = 8;
/// Longest turn. It lasts a few requests to the object store.
const LONGEST: Duration = Duration::from_mins(3);
/// The first number of their locks, which tells them from others in the same database.
const LOCK: i32 = 1_734_435_960;

/// Turns in a PostgreSQL database.
pub struct PostgresTurns {
    pool: PgPool,
    limit: Duration,
}

impl fmt::Debug for PostgresTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresTurns")
    }
}

impl PostgresTurns {
    /// Turns in this database, which is connected to when one is taken.
    pub fn new(config: &PostgresConfig) -> Result<Self, ConnectError> {
        // Who waits for a connection waits for the turn of another dataset of the same server.
        let options = open::limited(open::options(config)?, config.acquire_timeout, config.acquire_timeout, LONGEST);
        let pool = open::pool(config, AT_ONCE).connect_lazy_with(options);
        Ok(Self { pool, limit: config.acquire_timeout * 2 })
    }
}

struct Held {
    transaction: Transaction<'static, Postgres>,
    limit: Duration,
}

#[async_trait]
impl Turn for Held {
    async fn still(&mut self) -> Result<(), TurnError> {
        let asked = sqlx::query("SELECT 1").execute(&mut *self.transaction);
        within(self.limit, asked).await.map(drop).map_err(|error| TurnError(error.into()))
    }
}

#[async_trait]
impl Turns for PostgresTurns {
    async fn take(&self, lake: LakeId, dataset: &DatasetName) -> Result<Box<dyn Turn>, TurnError> {
        let lost = |error: gadwall_domain::ports::metadata::StoreError| TurnError(error.into());
        let mut transaction = within(self.limit, self.pool.begin_with(WRITE)).await.map_err(lost)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(LOCK).bind(number(lake, dataset));
        within(self.limit, lock.execute(&mut *transaction)).await.map_err(lost)?;
        Ok(Box::new(Held { transaction, limit: self.limit }))
    }
}

/// The same number on every server, also on those of another version.
fn number(lake: LakeId, dataset: &DatasetName) -> i32 {
    let digest = Sha256::new().chain_update(lake.uuid().as_bytes()).chain_update(dataset.folded()).finalize();
    i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}
