//! Bodies of JSON whose numbers keep every digit.
//!
//! The framework reads JSON into values first, where `12345678901234567890.12` becomes the nearest double. Conditions and
//! new values of rows must not.

use poem::{Request, RequestBody, Result};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A body that is read by itself, and looks like a document.
pub(crate) trait Described: DeserializeOwned + Send {
    /// What it looks like.
    type Document: Type;
}

/// A JSON body that keeps its text where that is wanted.
#[derive(Debug)]
pub(crate) struct Exact<T>(pub(crate) T);

/// A part of a body as text; `None` when it is missing or null.
pub(crate) type Part = Option<Box<RawValue>>;

impl<'a, T: Described> ApiExtractor<'a> for Exact<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::Document::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content_type = Json::<T::Document>::CONTENT_TYPE;
        let content = vec![MetaMediaType { content_type, schema: T::Document::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let given = request.content_type();
        if let Some(other) = given.filter(|given| !Json::<T::Document>::check_content_type(given)) {
            return Err(ContentTypeError::NotSupported { content_type: other.to_owned() }.into());
        }
        let data = <Vec<u8> as poem::FromRequest>::from_request(request, body).await?;
        let text = match (given, data.as_slice()) {
            // Many clients can't send a body with DELETE; the route says what is missing.
            (None, []) => b"{}",
            (None, _) => return Err(ContentTypeError::ExpectContentType.into()),
            (Some(_), text) => text,
        };
        let unread = |error: serde_json::Error| ParseRequestPayloadError { reason: error.to_string() };
        Ok(Self(serde_json::from_slice(text).map_err(unread)?))
    }
}
