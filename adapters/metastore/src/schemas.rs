//! Versions of schemas by id and digest, and the tables that follow them.

use async_trait::async_trait;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::ontology::{GovernedTable, KnownVersion, SchemaId, SchemaVersion};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::ontology::SchemaRepository;
use gadwall_domain::table::TableRef;

use crate::row::Row;
use crate::rows::{get, micros, number, parsed, snapshot, time};
use crate::statement::sql;
use crate::tx::SqlTx;

#[async_trait]
impl SchemaRepository for SqlTx {
    async fn record(&mut self, version: &SchemaVersion, keep: u32) -> Result<(), StoreError> {
        let statement =
            sql("INSERT INTO schema_versions (schema_id, digest, version, document, tag, first_seen, last_seen)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (schema_id, digest) DO UPDATE SET tag = excluded.tag, last_seen = excluded.last_seen")
            .bind(version.id.as_str())
            .bind(version.digest.as_str())
            .bind(version.version.as_str())
            .bind(version.document.to_string())
            .bind(version.tag.as_deref())
            .bind(micros(version.first_seen))
            .bind(micros(version.last_seen));
        self.run(statement).await?;
        let statement = sql("DELETE FROM schema_versions WHERE schema_id = $1 AND digest NOT IN
             (SELECT digest FROM schema_versions WHERE schema_id = $1 ORDER BY last_seen DESC, digest LIMIT $2)")
        .bind(version.id.as_str())
        .bind(i64::from(keep));
        self.run(statement).await.map(drop)
    }

    async fn latest(&mut self, id: &SchemaId) -> Result<Option<SchemaVersion>, StoreError> {
        let statement =
            sql("SELECT * FROM schema_versions WHERE schema_id = $1 ORDER BY last_seen DESC, digest LIMIT 1")
                .bind(id.as_str());
        self.find_row(statement).await?.as_ref().map(version).transpose()
    }

    async fn find(&mut self, id: &SchemaId, name: &str) -> Result<Option<SchemaVersion>, StoreError> {
        let statement = sql("SELECT * FROM schema_versions WHERE schema_id = $1 AND (version = $2 OR digest = $2)
              ORDER BY last_seen DESC, digest LIMIT 1")
        .bind(id.as_str())
        .bind(name);
        self.find_row(statement).await?.as_ref().map(version).transpose()
    }

    async fn versions(&mut self, id: &SchemaId) -> Result<Vec<KnownVersion>, StoreError> {
        let statement = sql("SELECT schema_id, version, digest, first_seen, last_seen FROM schema_versions
              WHERE schema_id = $1 ORDER BY last_seen DESC, digest")
        .bind(id.as_str());
        self.all(statement).await?.iter().map(known).collect()
    }

    async fn list(&mut self, limit: u32) -> Result<Vec<KnownVersion>, StoreError> {
        let statement = sql("SELECT v.schema_id, v.version, v.digest, v.first_seen, v.last_seen
               FROM schema_versions v WHERE v.digest =
             (SELECT o.digest FROM schema_versions o WHERE o.schema_id = v.schema_id
               ORDER BY o.last_seen DESC, o.digest LIMIT 1) ORDER BY v.schema_id LIMIT $1")
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(known).collect()
    }

    async fn govern(&mut self, table: &GovernedTable) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO governed_tables
               (project, bucket_key, table_key, bucket, name, schema_id, version, snapshot, applied_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (project, bucket_key, table_key) DO UPDATE SET
               bucket = excluded.bucket, name = excluded.name, schema_id = excluded.schema_id,
               version = excluded.version, snapshot = excluded.snapshot, applied_at = excluded.applied_at")
        .bind(table.project.folded())
        .bind(table.table.bucket.folded())
        .bind(table.table.table.folded())
        .bind(table.table.bucket.as_str())
        .bind(table.table.table.as_str())
        .bind(table.schema.as_str())
        .bind(table.version.as_str())
        .bind(number("snapshot", table.snapshot.get())?)
        .bind(micros(table.applied_at));
        self.run(statement).await.map(drop)
    }

    async fn governed(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<GovernedTable>, StoreError> {
        let statement = sql("SELECT * FROM governed_tables WHERE project = $1 AND bucket_key = $2 AND table_key = $3")
            .bind(project.folded())
            .bind(table.bucket.folded())
            .bind(table.table.folded());
        self.find_row(statement).await?.as_ref().map(|row| governed(project, row)).transpose()
    }

    async fn release(&mut self, project: &ProjectId, table: Option<&TableRef>) -> Result<(), StoreError> {
        let statement = match table {
            None => sql("DELETE FROM governed_tables WHERE project = $1").bind(project.folded()),
            Some(table) => sql("DELETE FROM governed_tables WHERE project = $1 AND bucket_key = $2 AND table_key = $3")
                .bind(project.folded())
                .bind(table.bucket.folded())
                .bind(table.table.folded()),
        };
        self.run(statement).await.map(drop)
    }
}

fn version(row: &Row) -> Result<SchemaVersion, StoreError> {
    Ok(SchemaVersion {
        id: parsed(row, "schema_id", SchemaId::parse)?,
        version: get(row, "version")?,
        digest: get(row, "digest")?,
        document: parsed(row, "document", |text: &str| serde_json::from_str(text))?,
        tag: get(row, "tag")?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
    })
}

fn known(row: &Row) -> Result<KnownVersion, StoreError> {
    Ok(KnownVersion {
        id: parsed(row, "schema_id", SchemaId::parse)?,
        version: get(row, "version")?,
        digest: get(row, "digest")?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
    })
}

fn governed(project: &ProjectId, row: &Row) -> Result<GovernedTable, StoreError> {
    Ok(GovernedTable {
        project: project.clone(),
        table: TableRef {
            bucket: parsed(row, "bucket", BucketName::parse)?,
            table: parsed(row, "name", TableName::parse)?,
        },
        schema: parsed(row, "schema_id", SchemaId::parse)?,
        version: get(row, "version")?,
        snapshot: snapshot(row, "snapshot")?,
        applied_at: time(row, "applied_at")?,
    })
}
