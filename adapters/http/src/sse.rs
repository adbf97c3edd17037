//! Server-sent events: a stream of frames as the WHATWG has it.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use gadwall_application::events::{EventStream, Form, Frame, cloud_event, seconds};
use poem::http::{HeaderName, HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use serde_json::json;

pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// Most frames that are written together.
const TOGETHER: usize = 32;
/// Milliseconds after which a client comes again.
const RETRY: u32 = 2_000;
static CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");

/// A stream of events on its way.
pub(crate) struct Sse {
    body: Body,
    client_id: Option<String>,
}

impl Sse {
    /// A client's stream in a form.
    pub(crate) fn of(stream: EventStream, form: Form) -> Self {
        let client_id = Some(stream.id().to_owned());
        Self { body: Body::from_bytes_stream(frames(stream, form)), client_id }
    }

    /// Frames that were written already.
    pub(crate) fn written(
        frames: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        client_id: String,
    ) -> Self {
        Self { body: Body::from_bytes_stream(frames), client_id: Some(client_id) }
    }
}

fn frames(stream: EventStream, form: Form) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let begin = Bytes::from(format!("retry: {RETRY}\n\n"));
    futures_util::stream::unfold((stream, Some(begin)), move |(mut stream, begin)| async move {
        if let Some(begin) = begin {
            return Some((Ok(begin), (stream, None)));
        }
        let next = stream.next().await?;
        let more = stream.more(TOGETHER - 1);
        let bytes = together(&next, &more, |frame| frame.form(form, |frame| written(frame, form)));
        Some((Ok(bytes), (stream, None)))
    })
}

/// Frames as they follow each other. One alone is not copied.
fn together(next: &Frame, more: &[Arc<Frame>], write: impl Fn(&Frame) -> Bytes) -> Bytes {
    let first = write(next);
    if more.is_empty() {
        return first;
    }
    let mut all = BytesMut::with_capacity(first.len() * (more.len() + 1));
    all.extend_from_slice(&first);
    for frame in more {
        all.extend_from_slice(&write(frame));
    }
    all.freeze()
}

fn written(frame: &Frame, form: Form) -> Bytes {
    let data = match (form, &frame.logged) {
        (Form::Cloud, Some(event)) => cloud_event(event).to_string(),
        _ => json!({ "timestamp": seconds(frame.at), "data": frame.data }).to_string(),
    };
    event(frame.position.map(|position| position.to_string()).as_deref(), &frame.kind, &data)
}

/// One event. Neither of its parts has the end of a line: JSON has none.
pub(crate) fn event(id: Option<&str>, kind: &str, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + kind.len() + 48);
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {kind}\ndata: {data}\n\n");
    text.into()
}

impl IntoResponse for Sse {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .content_type(EVENT_STREAM)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONNECTION, "keep-alive")
            .header("X-Accel-Buffering", "no")
            .body(self.body);
        if let Some(id) = self.client_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
            response.headers_mut().insert(CLIENT_ID.clone(), id);
        }
        response
    }
}

/// How the document tells of a stream.
pub(crate) fn media_type() -> MetaMediaType {
    let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
    MetaMediaType { content_type: EVENT_STREAM, schema }
}

/// The header that tells a client's id.
pub(crate) fn client_header() -> MetaHeader {
    MetaHeader {
        name: "X-Client-Id".to_owned(),
        description: Some("The client's id.".to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}

impl ApiResponse for Sse {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Server-sent events, until the client goes or is cut.",
                status: Some(200),
                status_range: None,
                content: vec![media_type()],
                headers: vec![client_header()],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_lines_with_an_empty_one_behind() {
        assert_eq!(event(Some("7"), "table.created", "{}"), "id: 7\nevent: table.created\ndata: {}\n\n");
        assert_eq!(event(None, "ping", "1"), "event: ping\ndata: 1\n\n");
    }
}
