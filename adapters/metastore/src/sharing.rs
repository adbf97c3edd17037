//! Shares, grants, links and reads through them, by folded names.

use async_trait::async_trait;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::sharing::SharingRepository;
use gadwall_domain::sharing::{Grant, KnownLink, Link, Readership, Share, SourceBucket};

use crate::rows::{self, micros, number};
use crate::statement::{Value, sql, with_rows};
use crate::tx::SqlTx;

/// Rows of reads that are written by one statement.
const AT_ONCE: usize = 500;
/// In front of new reads: of projects that are there.
const ADD_READS: &str = "INSERT INTO readerships
        (source, bucket_key, bucket, table_key, table_name, reader, reads, last_read_at)
    SELECT n.column1, n.column2, n.column3, n.column4, n.column5, n.column6, n.column7, n.column8 FROM (";
/// Behind them. `WHERE` also tells SQLite that what follows is no join's condition.
const TO_THOSE_KNOWN: &str = ") AS n
    WHERE EXISTS (SELECT 1 FROM projects p WHERE p.id_key = n.column1)
      AND EXISTS (SELECT 1 FROM projects p WHERE p.id_key = n.column6)
    ON CONFLICT (source, bucket_key, table_key, reader) DO UPDATE SET
        reads = readerships.reads + excluded.reads,
        last_read_at = CASE WHEN excluded.last_read_at > readerships.last_read_at
                            THEN excluded.last_read_at ELSE readerships.last_read_at END";

/// Reads as they are added.
fn added(read: &Readership) -> Result<[Value<'_>; 8], StoreError> {
    Ok([
        read.source.project.folded().into(),
        read.source.bucket.folded().into(),
        read.source.bucket.as_str().into(),
        read.table.folded().into(),
        read.table.as_str().into(),
        read.reader.folded().into(),
        number("reads", read.reads)?.into(),
        micros(read.last_read_at).into(),
    ])
}

/// Links that fit a condition, with what opens them.
macro_rules! known_links {
    ($condition:literal) => {
        concat!(
            "SELECT p.id AS project, l.name, s.id AS source, l.bucket, l.snapshot, l.unconditional,
                    l.created_at, l.created_by,
                    (SELECT count(*) FROM shares h
                      WHERE h.source = l.source AND h.bucket_key = l.bucket_key AND h.target = l.project) AS shares,
                    (SELECT count(*) FROM read_grants g
                      WHERE g.source = l.source AND g.bucket_key = l.bucket_key) AS grants
               FROM links l JOIN projects p ON p.id_key = l.project JOIN projects s ON s.id_key = l.source
              WHERE ",
            $condition
        )
    };
}

#[async_trait]
impl SharingRepository for SqlTx {
    async fn insert_share(&mut self, share: &Share) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO shares (source, bucket_key, bucket, target, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(share.source.project.folded())
        .bind(share.source.bucket.folded())
        .bind(share.source.bucket.as_str())
        .bind(share.target.folded())
        .bind(micros(share.created_at))
        .bind(share.created_by.as_str());
        self.run(statement).await.map(drop)
    }

    async fn remove_share(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM shares WHERE source = $1 AND bucket_key = $2 AND target = $3")
            .bind(source.project.folded())
            .bind(source.bucket.folded())
            .bind(target.folded());
        Ok(self.run(statement).await? > 0)
    }

    async fn shares_by(&mut self, source: &ProjectId) -> Result<Vec<Share>, StoreError> {
        let statement = sql("SELECT s.id AS source, h.bucket, t.id AS target, h.created_at, h.created_by
               FROM shares h JOIN projects s ON s.id_key = h.source JOIN projects t ON t.id_key = h.target
              WHERE h.source = $1 ORDER BY h.bucket_key, h.target")
        .bind(source.folded());
        self.all(statement).await?.iter().map(rows::share).collect()
    }

    async fn shares_with(&mut self, target: &ProjectId) -> Result<Vec<Share>, StoreError> {
        let statement = sql("SELECT s.id AS source, h.bucket, t.id AS target, h.created_at, h.created_by
               FROM shares h JOIN projects s ON s.id_key = h.source JOIN projects t ON t.id_key = h.target
              WHERE h.target = $1 ORDER BY h.source, h.bucket_key")
        .bind(target.folded());
        self.all(statement).await?.iter().map(rows::share).collect()
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO read_grants (source, bucket_key, bucket, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5)")
        .bind(grant.source.project.folded())
        .bind(grant.source.bucket.folded())
        .bind(grant.source.bucket.as_str())
        .bind(micros(grant.created_at))
        .bind(grant.created_by.as_str());
        self.run(statement).await.map(drop)
    }

    async fn remove_grant(&mut self, source: &SourceBucket) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM read_grants WHERE source = $1 AND bucket_key = $2")
            .bind(source.project.folded())
            .bind(source.bucket.folded());
        Ok(self.run(statement).await? > 0)
    }

    async fn grants(&mut self, of: Option<&ProjectId>, limit: u32) -> Result<Vec<Grant>, StoreError> {
        let statement = sql("SELECT p.id AS source, g.bucket, g.created_at, g.created_by
               FROM read_grants g JOIN projects p ON p.id_key = g.source
              WHERE $1 IS NULL OR g.source = $1 ORDER BY g.source, g.bucket_key LIMIT $2")
        .bind(of.map(ProjectId::folded))
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::grant).collect()
    }

    async fn insert_link(&mut self, link: &Link) -> Result<(), StoreError> {
        let snapshot = link.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
        let statement = sql("INSERT INTO links (project, name_key, name, source, bucket_key, bucket, snapshot,
                                unconditional, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(link.project.folded())
        .bind(link.name.folded())
        .bind(link.name.as_str())
        .bind(link.source.project.folded())
        .bind(link.source.bucket.folded())
        .bind(link.source.bucket.as_str())
        .bind(snapshot)
        .bind(i64::from(link.unconditional))
        .bind(micros(link.created_at))
        .bind(link.created_by.as_str());
        self.run(statement).await.map(drop)
    }

    async fn remove_link(&mut self, project: &ProjectId, name: &BucketName) -> Result<bool, StoreError> {
        let statement =
            sql("DELETE FROM links WHERE project = $1 AND name_key = $2").bind(project.folded()).bind(name.folded());
        Ok(self.run(statement).await? > 0)
    }

    async fn links_of(&mut self, project: &ProjectId) -> Result<Vec<KnownLink>, StoreError> {
        let statement = sql(known_links!("l.project = $1 ORDER BY l.name_key")).bind(project.folded());
        self.all(statement).await?.iter().map(rows::link).collect()
    }

    async fn links_to(&mut self, source: Option<&SourceBucket>) -> Result<Vec<KnownLink>, StoreError> {
        let statement = match source {
            None => sql(known_links!("1 = 1 ORDER BY l.project, l.name_key")),
            Some(source) => sql(known_links!("l.source = $1 AND l.bucket_key = $2 ORDER BY l.project, l.name_key"))
                .bind(source.project.folded())
                .bind(source.bucket.folded()),
        };
        self.all(statement).await?.iter().map(rows::link).collect()
    }

    async fn end_unconditional(&mut self, source: &SourceBucket, target: &ProjectId) -> Result<(), StoreError> {
        let statement =
            sql("UPDATE links SET unconditional = 0 WHERE source = $1 AND bucket_key = $2 AND project = $3")
                .bind(source.project.folded())
                .bind(source.bucket.folded())
                .bind(target.folded());
        self.run(statement).await.map(drop)
    }

    async fn add_reads(&mut self, reads: &[Readership]) -> Result<(), StoreError> {
        for some in reads.chunks(AT_ONCE) {
            let rows = some.iter().map(added).collect::<Result<Vec<_>, _>>()?;
            self.run(with_rows(ADD_READS, rows, TO_THOSE_KNOWN)).await?;
        }
        Ok(())
    }

    async fn readers(&mut self, owner: &ProjectId, limit: u32) -> Result<Vec<Readership>, StoreError> {
        let statement = sql("SELECT s.id AS source, r.bucket, r.table_name, p.id AS reader, r.reads, r.last_read_at
               FROM readerships r JOIN projects s ON s.id_key = r.source JOIN projects p ON p.id_key = r.reader
              WHERE r.source = $1 ORDER BY r.bucket_key, r.table_key, r.reader LIMIT $2")
        .bind(owner.folded())
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::readership).collect()
    }

    async fn forget_bucket(&mut self, source: &SourceBucket) -> Result<(), StoreError> {
        for text in [
            "DELETE FROM links WHERE source = $1 AND bucket_key = $2",
            "DELETE FROM shares WHERE source = $1 AND bucket_key = $2",
            "DELETE FROM read_grants WHERE source = $1 AND bucket_key = $2",
            "DELETE FROM readerships WHERE source = $1 AND bucket_key = $2",
        ] {
            self.run(sql(text).bind(source.project.folded()).bind(source.bucket.folded())).await?;
        }
        Ok(())
    }

    async fn forget_project(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        for text in [
            "DELETE FROM links WHERE source = $1 OR project = $1",
            "DELETE FROM shares WHERE source = $1 OR target = $1",
            "DELETE FROM read_grants WHERE source = $1",
            "DELETE FROM readerships WHERE source = $1 OR reader = $1",
        ] {
            self.run(sql(text).bind(project.folded())).await?;
        }
        Ok(())
    }
}
