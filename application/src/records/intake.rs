//! Many records on their way in: completed one by one as they come, kept all or none.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gadwall_domain::access::Scope;
use gadwall_domain::names::{ProjectId, TableName};
use gadwall_domain::ontology::{Filled, Reading, Record, RecordError, RefusedRecords};
use gadwall_domain::ports::lake::LoadMode;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::rows::{MAX_VIOLATIONS, RowBatchStream, RowSource, RowsError, Violations};
use gadwall_domain::schema::TableSchema;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Inserted, MAX_RECORDS, Records, in_main, new_id, not_yet, violation};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::schemas::Resolved;
use crate::tables::{Meant, OpenTable};

/// Texts of records, some at a time.
pub type Texts = Pin<Box<dyn Stream<Item = Result<Vec<String>, RowsError>> + Send>>;
/// A document of JSON, piece by piece.
pub type Document = Pin<Box<dyn Stream<Item = Result<Bytes, RowsError>> + Send>>;

/// The table that records go into, and what is known of those that came.
pub struct Intake {
    open: OpenTable,
    schema: Resolved,
    came: Arc<Came>,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("schema", &self.schema.id).finish_non_exhaustive()
    }
}

/// Records that came, and how they are completed.
struct Came {
    schema: Resolved,
    ids: Arc<dyn IdGenerator>,
    caller: Caller,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    count: u64,
    /// The keys of the first ones.
    keys: Vec<Map<String, Value>>,
    /// What is wrong with some, and not yet told.
    violations: Violations,
    /// Those that are no records, and why.
    refused: Vec<(u64, RecordError)>,
}

impl Records {
    /// Opens the table of an entity for new records.
    pub async fn take_in(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
    ) -> Result<Intake, UseCaseError> {
        let schema = self.schema_of(caller, project, entity, Scope::Write).await?;
        let table = in_main(entity.clone());
        let open = self.tables.open(caller, project, &table, Scope::Write).await.map_err(not_yet)?;
        let came = Came {
            schema: schema.clone(),
            ids: Arc::clone(&self.ids),
            caller: caller.clone(),
            clock: Arc::clone(&self.clock),
            known: Mutex::default(),
        };
        Ok(Intake { open, schema, came: Arc::new(came) })
    }

    /// Keeps what came, all or none: the rows are what its JSON says. Answers how many there are, too, and the keys of the
    /// first [`MAX_RECORDS`].
    pub async fn keep(
        &self,
        caller: &Caller,
        intake: Intake,
        rows: RowBatchStream,
    ) -> Result<(Inserted, u64), UseCaseError> {
        let Intake { open, schema, came } = intake;
        let of_rows = Arc::clone(&came);
        let rows = rows.map(move |batch| {
            let mut batch = batch?;
            // A record's row comes after what was found wrong in its text.
            batch.violations.merge(std::mem::take(&mut of_rows.known().violations));
            Ok(batch)
        });
        let rows = RowSource::Batches(Box::pin(rows));
        let done = self.tables.load(caller, open, LoadMode::Append, rows, Meant::default()).await?;
        let (keys, count) = {
            let mut known = came.known();
            (std::mem::take(&mut known.keys), known.count)
        };
        Ok((Inserted { keys, schema, snapshot: done.snapshot }, count.max(done.rows.inserted)))
    }
}

impl Intake {
    /// The columns that records must fit.
    pub fn columns(&self) -> Arc<TableSchema> {
        self.open.schema()
    }

    /// Completes records as they come. The first ones that are none are told together; nothing after them is passed on.
    pub fn complete(&self, texts: Texts) -> Document {
        let came = Arc::clone(&self.came);
        let state = Some((texts, came));
        Box::pin(futures_util::stream::unfold(state, |state| async move {
            let (mut texts, came) = state?;
            let piece = match texts.next().await {
                Some(Ok(some)) => came.complete(&some),
                Some(Err(error)) => Err(error),
                None => return Some((came.end(), None)),
            };
            let goes_on = piece.is_ok();
            Some((piece, goes_on.then_some((texts, came))))
        }))
    }
}

impl Came {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complete(&self, texts: &[String]) -> Result<Bytes, RowsError> {
        let mut json = Vec::with_capacity(texts.iter().map(|text| text.len() + 64).sum());
        let mut known = self.known();
        for text in texts {
            let index = usize::try_from(known.count).unwrap_or(usize::MAX);
            // Each has its own time: in a list the last one of a request comes first.
            let filled = Filled { uuid: self.new_id(index), now: self.clock.now() };
            known.count += 1;
            let row = known.count;
            match Record::complete(text, &self.schema.schema, Reading::Exact, &filled) {
                Ok(record) => {
                    for (column, reason) in record.findings {
                        known.violations.push(violation(row, &column, reason));
                    }
                    if known.keys.len() < MAX_RECORDS {
                        known.keys.push(record.key);
                    }
                    json.push(if row == 1 { b'[' } else { b',' });
                    json.extend_from_slice(record.json.as_bytes());
                }
                Err(error) => known.refused.push((row, error)),
            }
            if known.refused.len() >= MAX_VIOLATIONS {
                return Err(refused(&mut known));
            }
        }
        Ok(if known.refused.is_empty() { json.into() } else { Bytes::new() })
    }

    fn end(&self) -> Result<Bytes, RowsError> {
        let mut known = self.known();
        // None came, or some that are none.
        if known.count == 0 || !known.refused.is_empty() {
            Err(refused(&mut known))
        } else {
            Ok(Bytes::from_static(b"]"))
        }
    }

    fn new_id(&self, index: usize) -> Uuid {
        new_id(&*self.ids, &self.caller, index)
    }
}

fn refused(known: &mut Known) -> RowsError {
    RefusedRecords(std::mem::take(&mut known.refused)).into()
}
