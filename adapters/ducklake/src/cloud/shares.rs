//! What engines may read of other projects' lakes: a schema of views over the owner's catalog for each reader and owner,
//! which show the linked buckets and nothing else, and which the reader's role alone may read.
//!
//! A schema is made when it is needed and never changed: its name tells what it shows, and another one takes its place.
//! What it shows, and for which version of the owner's catalog that was looked up, stands in its comment.

use std::collections::BTreeSet;

use gadwall_domain::ids::LakeId;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{LakeError, LakeLink};
use gadwall_domain::query::LinkedSource;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use super::extent::{Extent, statements};
use super::server::{CatalogServer, unreachable};
use crate::error::fault;
use crate::sql;

/// How long the place of an old schema is waited for: those who read it go on, and it is removed another time.
const STALE_LOCK: &str = "SET LOCAL lock_timeout = '200ms'";

/// What a reader sees of an owner's lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Its schema.
    pub(crate) schema: String,
    /// Whose lake it shows.
    pub(crate) owner: LakeId,
    shown: Shown,
}

/// What is noted with a share's schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shown {
    /// The buckets that are linked.
    buckets: BTreeSet<BucketText>,
    /// Folders of data files, below that of the lake.
    folders: BTreeSet<String>,
    /// The version of the owner's catalog by which the rest was settled.
    version: i64,
}

/// A bucket's name as its owner spells it.
type BucketText = String;

impl PartialEq for Shown {
    /// Whether an engine that reads one reads the other, too.
    fn eq(&self, other: &Self) -> bool {
        (&self.buckets, &self.folders) == (&other.buckets, &other.folders)
    }
}

impl Eq for Shown {}

impl Share {
    /// Folders of data files that are read, below that of the lake.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.shown.folders.iter().map(String::as_str)
    }

    fn shows(&self, bucket: &BucketName) -> bool {
        self.shown.buckets.contains(bucket.as_str())
    }
}

/// A lake's id in names of schemas: with all its digits, two of them are too long.
fn short(lake: LakeId) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = lake.uuid().as_u128();
    let mut text = ['0'; 25];
    for place in text.iter_mut().rev() {
        *place = char::from(DIGITS[usize::try_from(rest % 36).unwrap_or_default()]);
        rest /= 36;
    }
    text.iter().collect()
}

fn long(text: &str) -> Option<LakeId> {
    u128::from_str_radix(text, 36).ok().map(|number| LakeId::new(Uuid::from_u128(number)))
}

/// What all schemas begin with by which one lake reads another.
fn prefix(reader: LakeId, owner: LakeId) -> String {
    format!("share_{}_{}_", short(reader), short(owner))
}

/// The lakes that a schema is for: the reader and the owner.
fn sides(schema: &str) -> Option<(LakeId, LakeId)> {
    let mut parts = schema.strip_prefix("share_")?.split('_');
    Some((long(parts.next()?)?, long(parts.next()?)?))
}

/// Names what shares of two lakes are changed under, among the server's advisory locks.
fn turn_key(reader: LakeId, owner: LakeId) -> i64 {
    let digest = Sha256::digest(prefix(reader, owner));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

impl CatalogServer {
    /// What a lake's engine may read of others.
    pub(crate) async fn shares(&self, reader: LakeId) -> Result<Vec<Share>, LakeError> {
        let mut connection = self.pool().acquire().await.map_err(unreachable)?;
        let found = schemas(&mut connection, &format!("share_{}_", short(reader))).await?;
        let mut shares: Vec<Share> = Vec::new();
        // The newest of each owner counts.
        for share in found {
            if !shares.iter().any(|newer| newer.owner == share.owner) {
                shares.push(share);
            }
        }
        shares.sort_by_key(|share| share.owner.uuid());
        Ok(shares)
    }

    /// Whether shares show what links mean to show, as the owners' catalogs are now.
    pub(crate) async fn are_shown(&self, shares: &[Share], sources: &[&LinkedSource]) -> Result<bool, LakeError> {
        let mut connection = self.pool().acquire().await.map_err(unreachable)?;
        for source in sources {
            let share = shares.iter().find(|share| share.owner == source.lake && share.shows(&source.bucket));
            let Some(share) = share else { return Ok(false) };
            if share.shown.version != version(&mut connection, source.lake).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets a lake's role read a bucket of another, beside what it reads already.
    pub(crate) async fn share(&self, reader: LakeId, owner: LakeId, bucket: &BucketName) -> Result<(), LakeError> {
        let mut tx = self.pool().begin().await.map_err(unreachable)?;
        take_turn(&mut tx, reader, owner).await?;
        let known = schemas(&mut tx, &prefix(reader, owner)).await?;
        let mut buckets = known.first().map(|share| share.shown.buckets.clone()).unwrap_or_default();
        buckets.insert(bucket.as_str().to_owned());
        let made = make(&mut tx, reader, owner, buckets).await?;
        tx.commit().await.map_err(unreachable)?;
        for old in known.iter().filter(|old| old.schema != made) {
            self.drop_stale(&old.schema).await;
        }
        Ok(())
    }

    /// Ends what a lake's role may read of a bucket of another, and those who are at it. What never was is fine.
    pub(crate) async fn end_share(&self, link: &LakeLink) -> Result<(), LakeError> {
        let LakeLink { reader, owner, bucket } = link;
        let mut tx = self.pool().begin().await.map_err(unreachable)?;
        take_turn(&mut tx, *reader, *owner).await?;
        let known = schemas(&mut tx, &prefix(*reader, *owner)).await?;
        let ended: Vec<&Share> = known.iter().filter(|share| share.shows(bucket)).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let role = sql::ident(&Self::schema(*reader));
        for share in &ended {
            let schema = sql::ident(&share.schema);
            run(&mut tx, format!("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}")).await?;
            run(&mut tx, format!("REVOKE ALL ON SCHEMA {schema} FROM {role}")).await?;
        }
        // From here on nobody begins to read it.
        tx.commit().await.map_err(unreachable)?;
        let mut tx = self.pool().begin().await.map_err(unreachable)?;
        take_turn(&mut tx, *reader, *owner).await?;
        let known = schemas(&mut tx, &prefix(*reader, *owner)).await?;
        for share in known.iter().filter(|share| share.shows(bucket)) {
            cut_off(&mut tx, &share.schema).await?;
            drop_schema(&mut tx, &share.schema).await?;
        }
        if let Some(newest) = known.first().filter(|share| share.shows(bucket)) {
            let mut rest = newest.shown.buckets.clone();
            rest.remove(bucket.as_str());
            if !rest.is_empty() {
                make(&mut tx, *reader, *owner, rest).await?;
            }
        }
        tx.commit().await.map_err(unreachable)
    }

    /// All that lakes' roles may read of others.
    pub(crate) async fn all_shares(&self) -> Result<Vec<LakeLink>, LakeError> {
        let mut connection = self.pool().acquire().await.map_err(unreachable)?;
        let mut links = Vec::new();
        for share in schemas(&mut connection, "share_").await? {
            let Some((reader, owner)) = sides(&share.schema) else { continue };
            let named = |text: &BucketText| BucketName::parse(text).ok();
            let buckets = share.shown.buckets.iter().filter_map(named);
            links.extend(buckets.map(|bucket| LakeLink { reader, owner, bucket }));
        }
        Ok(links)
    }

    /// Removes schemas in whose place there are others by now.
    pub(crate) async fn drop_stale_shares(&self) -> Result<(), LakeError> {
        let found = {
            let mut connection = self.pool().acquire().await.map_err(unreachable)?;
            schemas(&mut connection, "share_").await?
        };
        let mut seen = BTreeSet::new();
        for share in found {
            if !seen.insert(share.schema.rsplit_once('_').map(|(pair, _)| pair.to_owned())) {
                self.drop_stale(&share.schema).await;
            }
        }
        Ok(())
    }

    /// Removes a schema unless somebody reads it still; then it is removed later.
    async fn drop_stale(&self, schema: &str) {
        let dropped = async {
            let mut tx = self.pool().begin().await?;
            tx.execute(STALE_LOCK).await?;
            tx.execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {} CASCADE", sql::ident(schema)))).await?;
            tx.commit().await
        };
        if let Err(error) = dropped.await {
            tracing::debug!(error = %error, "a share that is out of date is read still");
        }
    }
}

/// Removes all schemas by which a lake reads or is read, and cuts off who is at it: the lake goes.
pub(super) async fn forget(connection: &mut PgConnection, lake: LakeId) -> Result<(), LakeError> {
    for share in schemas(connection, "share_").await? {
        if sides(&share.schema).is_some_and(|(reader, owner)| reader == lake || owner == lake) {
            cut_off(connection, &share.schema).await?;
            drop_schema(connection, &share.schema).await?;
        }
    }
    Ok(())
}

async fn drop_schema(connection: &mut PgConnection, schema: &str) -> Result<(), LakeError> {
    run(connection, format!("DROP SCHEMA IF EXISTS {} CASCADE", sql::ident(schema))).await
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), LakeError> {
    connection.execute(AssertSqlSafe(statement)).await.map(drop).map_err(unreachable)
}

/// Until the transaction ends nobody else changes what one lake reads of another.
async fn take_turn(connection: &mut PgConnection, reader: LakeId, owner: LakeId) -> Result<(), LakeError> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(turn_key(reader, owner));
    lock.execute(connection).await.map(drop).map_err(unreachable)
}

/// Schemas whose names begin so, newest first.
async fn schemas(connection: &mut PgConnection, prefix: &str) -> Result<Vec<Share>, LakeError> {
    let look = "SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace
                 WHERE starts_with(nspname, $1) ORDER BY oid DESC";
    let rows = sqlx::query(look).bind(prefix).fetch_all(connection).await.map_err(unreachable)?;
    let share = |row: &sqlx::postgres::PgRow| {
        let (schema, note): (String, Option<String>) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        let shown = serde_json::from_str(&note?).ok()?;
        Some(Share { owner: sides(&schema)?.1, schema, shown })
    };
    Ok(rows.iter().filter_map(share).collect())
}

/// Ends sessions that are reading a schema's views.
async fn cut_off(connection: &mut PgConnection, schema: &str) -> Result<(), LakeError> {
    let readers = "SELECT pg_terminate_backend(l.pid)
                     FROM (SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                             JOIN pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname = $1 AND l.pid <> pg_backend_pid()
                              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) l";
    sqlx::query(readers).bind(schema).execute(connection).await.map(drop).map_err(unreachable)
}

/// The version of the shapes in a lake's catalog: another one after each change of anything but rows.
async fn version(connection: &mut PgConnection, lake: LakeId) -> Result<i64, LakeError> {
    let schema = sql::ident(&CatalogServer::schema(lake));
    let statement = format!("SELECT max(schema_version) FROM {schema}.ducklake_snapshot");
    let row = sqlx::query(AssertSqlSafe(statement)).fetch_one(connection).await.map_err(unreachable)?;
    row.try_get(0).map_err(|_| fault("the catalog has no snapshot"))
}

/// Makes the schema that shows these buckets, if there is none that does; answers its name.
async fn make(
    connection: &mut PgConnection,
    reader: LakeId,
    owner: LakeId,
    buckets: BTreeSet<BucketText>,
) -> Result<String, LakeError> {
    let version = version(connection, owner).await?;
    let extent = Extent::of(connection, owner, &buckets).await?;
    let folders = extent.folders().clone();
    let statements = statements(connection, owner, &extent).await?;
    // It tells what is shown and how, for whom, and in which columns: what is the same has the same name.
    let digest = Sha256::digest(format!("{buckets:?}{folders:?}{statements:?}"));
    let tag: String = hex::encode(digest).chars().take(5).collect();
    let name = format!("{}{tag}", prefix(reader, owner));
    let schema = sql::ident(&name);
    let note = serde_json::to_string(&Shown { buckets, folders, version }).map_err(|error| fault(error.to_string()))?;
    if schemas(connection, &name).await?.is_empty() {
        run(connection, format!("CREATE SCHEMA {schema}")).await?;
        for statement in statements {
            run(connection, statement.within(&schema)).await?;
        }
    }
    // Also of one whose end was begun and not finished.
    let role = sql::ident(&CatalogServer::schema(reader));
    run(connection, format!("GRANT USAGE ON SCHEMA {schema} TO {role}")).await?;
    run(connection, format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")).await?;
    run(connection, format!("COMMENT ON SCHEMA {schema} IS {}", sql::text(&note))).await?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_schemas_fit_and_tell_their_lakes() {
        for (reader, owner) in [(0, 1), (u128::MAX, u128::MAX - 1), (42, 1 << 100)] {
            let (reader, owner) = (LakeId::new(Uuid::from_u128(reader)), LakeId::new(Uuid::from_u128(owner)));
            let name = format!("{}abcde", prefix(reader, owner));
            assert!(name.len() <= 63, "{name}");
            assert_eq!(sides(&name), Some((reader, owner)));
        }
    }
}
