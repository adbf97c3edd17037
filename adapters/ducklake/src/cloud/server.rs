//! The PostgreSQL server that holds the lakes' catalogs: a schema and a role for each, their newest snapshots, and the
//! writers' turns.
//!
//! A lake's role owns its schema and may see nothing else, so that even what gets past the gate reaches one project only.
//! The role that Gadwall itself logs in with is a member of all of them.

use std::time::Duration;

use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::LakeError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Postgres, Row as _, Transaction};
use thiserror::Error;

use super::turn::Turn;
use super::{scram, shares};
use crate::config::PostgresPlace;
use crate::error::fault;
use crate::sql;

/// Idle connections are closed after this long.
const IDLE: Duration = Duration::from_mins(5);
/// Connections are replaced after this long, so that a server that was moved is found.
const LIFETIME: Duration = Duration::from_mins(30);
/// For how long a connection that was in order is taken to be so.
const FRESH: Duration = Duration::from_secs(1);
/// What the projects' passwords are derived with, beside the key. Another number gives other passwords.
const GENERATION: u32 = 1;

/// Why the catalogs' server can't be used.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It can't be reached, or refuses.
    #[error(
        "the catalogs' database can't be used: {0}; check host, port, database, user and password of the lake's catalog"
    )]
    Unusable(String),
    /// The TLS mode isn't one.
    #[error("the catalogs' TLS mode is not one of disable, allow, prefer, require, verify-ca, verify-full")]
    SslMode,
    /// The role may not do what is needed.
    #[error(
        "the role that Gadwall logs in with may not create roles and schemas; as a superuser: \
         ALTER ROLE … CREATEROLE; GRANT CREATE ON DATABASE … TO …"
    )]
    Rights,
}

/// The catalogs' server.
pub(crate) struct CatalogServer {
    place: PostgresPlace,
    pool: PgPool,
}

impl CatalogServer {
    /// Connects, and looks whether everything that is needed is allowed.
    pub(crate) async fn connect(place: &PostgresPlace) -> Result<Self, ServerError> {
        let mode: PgSslMode = place.ssl_mode.parse().map_err(|_| ServerError::SslMode)?;
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&place.host)
            .port(place.port)
            .database(&place.database)
            .username(&place.user)
            .ssl_mode(mode)
            .application_name("gadwall")
            .options([
                ("statement_timeout", format!("{}ms", place.statement_timeout.max(place.turn_timeout).as_millis())),
                ("lock_timeout", format!("{}ms", place.turn_timeout.as_millis())),
            ]);
        if let Some(password) = &place.password {
            options = options.password(password);
        }
        let pool = PgPoolOptions::new()
            .max_connections(place.max_connections.max(2))
            .acquire_timeout(place.connect_timeout)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            // What was used a moment ago is not asked whether it still stands: that costs as much as a short question.
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| ServerError::Unusable(reason(&error)))?;
        let server = Self { place: place.clone(), pool };
        server.require_rights().await?;
        Ok(server)
    }

    async fn require_rights(&self) -> Result<(), ServerError> {
        let look = "SELECT (rolsuper OR rolcreaterole) AND has_database_privilege(current_database(), 'CREATE')
                      FROM pg_roles WHERE rolname = current_user";
        let allowed = sqlx::query(look).fetch_one(&self.pool).await.and_then(|row| row.try_get::<bool, _>(0));
        match allowed {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServerError::Rights),
            Err(error) => Err(ServerError::Unusable(reason(&error))),
        }
    }

    pub(crate) fn place(&self) -> &PostgresPlace {
        &self.place
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The schema of a lake's catalog. Its role has the same name.
    pub(crate) fn schema(lake: LakeId) -> String {
        sql::catalog(lake)
    }

    /// The password of a lake's role. Kept nowhere: it follows from the key.
    pub(crate) fn password(&self, lake: LakeId) -> Result<String, LakeError> {
        Ok(hex::encode(self.derived("role", lake)?))
    }

    /// Something that only who knows the key can tell, and that is always the same.
    fn derived(&self, what: &str, lake: LakeId) -> Result<[u8; 32], LakeError> {
        let message = format!("gadwall lake {what} {GENERATION} {}", lake.uuid().simple());
        scram::hmac(self.place.secret_key.as_bytes(), message.as_bytes())
            .map_err(|_| fault("the key for the projects' passwords can't be used"))
    }

    /// What the server keeps of the password of a lake's role.
    fn verifier(&self, lake: LakeId) -> Result<String, LakeError> {
        let salt = self.derived("salt", lake)?;
        scram::verifier(&self.password(lake)?, &salt[..16])
            .map_err(|_| fault("the key for the projects' passwords can't be used"))
    }

    /// Makes a lake's role and schema, and gives the role its password. What is there already is left as it is.
    pub(crate) async fn provide(&self, lake: LakeId) -> Result<(), LakeError> {
        let (role, schema) = (Self::schema(lake), sql::ident(&Self::schema(lake)));
        let password = sql::text(&self.verifier(lake)?);
        // Several replicas may be asked at once.
        let mut tx = self.begin_alone(turn_key(lake)).await?;
        let verb = if has_role(&mut tx, &role).await? { "ALTER" } else { "CREATE" };
        for statement in [
            format!("{verb} ROLE {schema} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {password}"),
            format!("GRANT {schema} TO CURRENT_USER"),
            format!("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {schema}"),
        ] {
            tx.execute(AssertSqlSafe(statement)).await.map_err(unreachable)?;
        }
        tx.commit().await.map_err(unreachable)
    }

    /// Makes the indexes that DuckLake doesn't: without them each look at a table's files reads those of all.
    pub(crate) async fn index(&self, lake: LakeId) -> Result<(), LakeError> {
        const INDEXES: [(&str, &str); 6] = [
            ("ducklake_data_file", "table_id"),
            ("ducklake_delete_file", "table_id"),
            ("ducklake_column", "table_id"),
            ("ducklake_file_column_stats", "table_id, column_id"),
            ("ducklake_table_column_stats", "table_id"),
            ("ducklake_snapshot_changes", "snapshot_id"),
        ];
        let schema = sql::ident(&Self::schema(lake));
        for (table, columns) in INDEXES {
            let name = sql::ident(&format!("gadwall_{table}"));
            let statement = format!("CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} ({columns})");
            self.pool.execute(AssertSqlSafe(statement)).await.map_err(unreachable)?;
        }
        Ok(())
    }

    /// Has others that write to the catalog keep rows in files, too: by themselves they put few rows into the catalog, in
    /// tables that the lake's role may not read and the engine breaks on.
    pub(crate) async fn keep_rows_in_files(&self, lake: LakeId) -> Result<(), LakeError> {
        let schema = sql::ident(&Self::schema(lake));
        let statement = format!(
            "INSERT INTO {schema}.ducklake_metadata (key, value) SELECT 'data_inlining_row_limit', '0'
              WHERE NOT EXISTS (SELECT FROM {schema}.ducklake_metadata WHERE key = 'data_inlining_row_limit')"
        );
        self.pool.execute(AssertSqlSafe(statement)).await.map(drop).map_err(unreachable)
    }

    /// Whether there is a schema for the lake.
    pub(crate) async fn has(&self, lake: LakeId) -> Result<bool, LakeError> {
        let found = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1")
            .bind(Self::schema(lake))
            .fetch_optional(&self.pool)
            .await;
        Ok(found.map_err(unreachable)?.is_some())
    }

    /// Removes a lake's catalog and role. What isn't there is fine.
    pub(super) async fn remove(&self, lake: LakeId) -> Result<(), LakeError> {
        let (role, name) = (Self::schema(lake), sql::ident(&Self::schema(lake)));
        // Another replica may be at it: of two that drop the same thing at once, one may fail. It isn't the writers' turn: a
        // writer ends when its engine is cut off.
        let removal = !turn_key(lake);
        // An engine that is cut off connects again, and what it then reads would be waited for.
        let mut tx = self.begin_alone(removal).await?;
        if has_role(&mut tx, &role).await? {
            tx.execute(AssertSqlSafe(format!("ALTER ROLE {name} NOLOGIN"))).await.map_err(unreachable)?;
        }
        tx.commit().await.map_err(unreachable)?;
        let mut tx = self.begin_alone(removal).await?;
        // Engines of other replicas that still have it open are cut off.
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
            .bind(&role)
            .execute(&mut *tx)
            .await
            .map_err(unreachable)?;
        shares::forget(&mut tx, lake).await?;
        for statement in [format!("DROP SCHEMA IF EXISTS {name} CASCADE"), format!("DROP ROLE IF EXISTS {name}")] {
            tx.execute(AssertSqlSafe(statement)).await.map_err(unreachable)?;
        }
        tx.commit().await.map_err(unreachable)
    }

    /// Begins a transaction that has an advisory lock for as long as it lasts.
    async fn begin_alone(&self, key: i64) -> Result<Transaction<'static, Postgres>, LakeError> {
        let mut tx = self.pool.begin().await.map_err(unreachable)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key);
        lock.execute(&mut *tx).await.map_err(unreachable)?;
        Ok(tx)
    }

    /// A connection. None in time where there is room for more: then it isn't others that are in the way.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, LakeError> {
        self.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut if self.pool.size() < self.pool.options().get_max_connections() => {
                LakeError::Unavailable(error.into())
            }
            error => unreachable(error),
        })
    }

    /// A lake's newest snapshot.
    pub(crate) async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        let mut connection = self.connection().await?;
        head(&mut connection, lake).await
    }

    /// Waits until no other process writes to the lake, and keeps them out while the turn lasts.
    pub(crate) async fn turn(&self, lake: LakeId) -> Result<Turn, LakeError> {
        let connection = self.connection().await?;
        let mut turn = Turn::new(connection, turn_key(lake));
        turn.take().await?;
        turn.head = Some(head(turn.connection()?, lake).await?);
        Ok(turn)
    }

    /// Whether the server answers.
    pub(super) async fn ping(&self) -> Result<(), LakeError> {
        let mut connection = self.connection().await?;
        connection.ping().await.map_err(unreachable)
    }
}

async fn has_role(connection: &mut PgConnection, role: &str) -> Result<bool, LakeError> {
    let look = sqlx::query("SELECT 1 FROM pg_roles WHERE rolname = $1").bind(role);
    Ok(look.fetch_optional(connection).await.map_err(unreachable)?.is_some())
}

async fn head(connection: &mut PgConnection, lake: LakeId) -> Result<SnapshotId, LakeError> {
    let schema = sql::ident(&CatalogServer::schema(lake));
    let statement = AssertSqlSafe(format!("SELECT max(snapshot_id) FROM {schema}.ducklake_snapshot"));
    let row = sqlx::query(statement).fetch_one(connection).await.map_err(unreachable)?;
    let number: i64 = row.try_get(0).map_err(|_| fault("the catalog has no snapshot"))?;
    SnapshotId::new(number).map_err(|error| fault(error.to_string()))
}

/// Names a lake among the server's advisory locks.
fn turn_key(lake: LakeId) -> i64 {
    let (high, low) = lake.uuid().as_u64_pair();
    (high ^ low).cast_signed()
}

/// What the server said, without what is quoted of the connection.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(said) => said.message().to_owned(),
        sqlx::Error::Io(error) => error.kind().to_string(),
        sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
        _ => "the connection failed".to_owned(),
    }
}

/// A failure of the server or of the way to it.
pub(super) fn unreachable(error: sqlx::Error) -> LakeError {
    const UNDEFINED_TABLE: &str = "42P01";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match &error {
        sqlx::Error::PoolTimedOut => LakeError::Busy,
        sqlx::Error::Database(said) if said.code().as_deref() == Some(UNDEFINED_TABLE) => LakeError::NoLake,
        sqlx::Error::Database(said) if said.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => LakeError::Busy,
        _ => LakeError::Unavailable(Box::new(error)),
    }
}
