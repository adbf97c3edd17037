//! Changes written as they come.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gadwall_application::changes::{ChangeStream, Marker, Part};
use gadwall_application::error::UseCaseError;
use gadwall_application::events::{Frame, seconds};
use gadwall_domain::error::Classify as _;
use gadwall_domain::rows::RowStream;
use gadwall_formats::encode::json::Rows;
use serde_json::{Value, json};

use crate::output::PREVIEW;
use crate::sse;

/// Bytes that are sent together.
const CHUNK: usize = 64 * 1024;

/// How changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Events,
    Lines,
}

/// Rows that are being written.
struct Writing {
    rows: Rows,
    stream: RowStream,
    batch: Option<(arrow_array::RecordBatch, usize)>,
}

struct State {
    changes: ChangeStream,
    form: Form,
    writing: Option<Writing>,
    /// Whether something was sent: the first bytes tell a client that it is connected.
    begun: bool,
    ended: bool,
}

/// The bytes of a stream of changes. One that fails breaks off: its client goes on from the last checkpoint.
pub(super) fn written(changes: ChangeStream, form: Form) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let state = State { changes, form, writing: None, begun: false, ended: false };
    futures_util::stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        match state.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), state)),
            Ok(None) => None,
            Err(broken) => {
                state.ended = true;
                Some((broken, state))
            }
        }
    })
}

impl State {
    async fn next(&mut self) -> Result<Option<Bytes>, io::Result<Bytes>> {
        if !self.begun {
            self.begun = true;
            if self.form == Form::Events {
                return Ok(Some(Bytes::from_static(b": changes\n\n")));
            }
        }
        loop {
            if let Some(writing) = &mut self.writing {
                let chunk = writing.chunk(self.form).await.map_err(Err)?;
                if let Some(last) = self.changes.alive() {
                    self.ended = true;
                    return Ok(Some(self.word(&last)));
                }
                match chunk {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => self.writing = None,
                }
            }
            let part = match self.changes.next().await {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(None),
                Err(error) => return Err(Ok(self.failed(&error))),
            };
            return Ok(Some(match part {
                Part::Rows(stream) => {
                    let rows = Rows::new(&stream.schema, PREVIEW).map_err(|error| Err(io::Error::other(error)))?;
                    self.writing = Some(Writing { rows, stream, batch: None });
                    continue;
                }
                Part::Marker(marker) => self.one(None, "schema", &told(&marker)),
                Part::Gap(snapshot) => {
                    let id = snapshot.to_string();
                    self.one(Some(&id), "reset", &json!({ "snapshot_id": snapshot }))
                }
                Part::Checkpoint(snapshot) => {
                    let id = snapshot.to_string();
                    self.one(Some(&id), "checkpoint", &json!({ "snapshot_id": snapshot }))
                }
                Part::Word(frame) => self.word(&frame),
            }));
        }
    }

    fn word(&self, frame: &Frame) -> Bytes {
        self.one(None, &frame.kind, &json!({ "timestamp": seconds(frame.at), "data": frame.data }))
    }

    /// Why it can't go on: what a problem would have said.
    fn failed(&self, error: &UseCaseError) -> Bytes {
        tracing::warn!(error = %error, "a stream of changes is ended");
        let is_fault = matches!(error.kind(), gadwall_domain::error::ErrorKind::Internal);
        let message = if is_fault { "the changes can't be read".to_owned() } else { error.to_string() };
        let data = json!({ "error_type": error.code(), "message": message, "details": error.details() });
        self.one(None, "error", &json!({ "data": data }))
    }

    fn one(&self, id: Option<&str>, kind: &str, data: &Value) -> Bytes {
        match self.form {
            Form::Events => sse::event(id, kind, &data.to_string()),
            Form::Lines => format!("{}\n", json!({ "event": kind, "data": data })).into(),
        }
    }
}

impl Writing {
    /// The next rows; none once all are written.
    async fn chunk(&mut self, form: Form) -> io::Result<Option<Bytes>> {
        let mut out = Vec::new();
        while out.len() < CHUNK {
            let Some((batch, from)) = self.batch.take() else {
                match self.stream.batches.next().await {
                    Some(batch) => self.batch = Some((batch.map_err(io::Error::other)?, 0)),
                    None => break,
                }
                continue;
            };
            let rows = self.rows.batch(&batch).map_err(io::Error::other)?;
            let mut row = from;
            while row < rows.len() && out.len() < CHUNK {
                write_row(form, &mut out, |out| rows.write(row, out));
                row += 1;
            }
            if row < rows.len() {
                drop(rows);
                self.batch = Some((batch, row));
            }
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

fn write_row(form: Form, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    match form {
        Form::Events => {
            out.extend_from_slice(b"event: change\ndata: ");
            write(out);
            out.extend_from_slice(b"\n\n");
        }
        Form::Lines => {
            out.extend_from_slice(b"{\"event\":\"change\",\"data\":");
            write(out);
            out.extend_from_slice(b"}\n");
        }
    }
}

fn told(marker: &Marker) -> Value {
    json!({
        "snapshot_id": marker.snapshot,
        "type": marker.kind,
        "committed_at": marker.at,
        "resync": marker.resync,
        "change": marker.change,
    })
}
