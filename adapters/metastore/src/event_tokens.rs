//! Tokens of streams of events, by the digest of their text.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::access::KeyDigest;
use gadwall_domain::live::EventToken;
use gadwall_domain::ports::events::EventTokens;
use gadwall_domain::ports::metadata::StoreError;

use crate::rows::{self, micros, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

pub(crate) const FORGET: &str = "DELETE FROM event_tokens WHERE expires_at <= $1";

#[async_trait]
impl EventTokens for SqlTx {
    async fn insert(&mut self, token: &EventToken) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO event_tokens (digest, viewer, expires_at) VALUES ($1, $2, $3)")
            .bind(&token.digest.0[..])
            .bind(to_json("viewer", &token.viewer)?)
            .bind(micros(token.expires_at));
        self.run(statement).await.map(drop)
    }

    async fn find(&mut self, digest: &KeyDigest, now: DateTime<Utc>) -> Result<Option<EventToken>, StoreError> {
        let statement = sql("SELECT * FROM event_tokens WHERE digest = $1 AND expires_at > $2")
            .bind(&digest.0[..])
            .bind(micros(now));
        self.find_row(statement).await?.as_ref().map(rows::event_token).transpose()
    }

    async fn forget_ended(&mut self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run(sql(FORGET).bind(micros(now))).await
    }
}
