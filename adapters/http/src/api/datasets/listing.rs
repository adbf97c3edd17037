//! Listings: a page with a way to the next one, or all names as they are read.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use gadwall_application::caller::Caller;
use gadwall_application::datasets::Datasets;
use gadwall_domain::dataset::{DatasetName, ObjectInfo, ObjectName};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::objects::ObjectQuery;
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;

use super::conditions::quoted;
use crate::api::number;
use crate::api::paging::percent_encoded;
use crate::problem::{ApiError, ApiResult};

/// Names read at a time where all are told.
const ALL_AT_A_TIME: u32 = 5_000;

/// An object without its bytes.
#[derive(Debug, Object)]
#[oai(rename = "Object")]
pub(crate) struct ObjectBody {
    /// Its name, with slashes.
    name: String,
    /// Bytes.
    size: u64,
    /// The media type it was put with; guessed by its name where none was told.
    content_type: String,
    /// This version of it, in quotes as in headers.
    etag: String,
    /// When it was put.
    last_modified: DateTime<Utc>,
}

impl From<ObjectInfo> for ObjectBody {
    fn from(info: ObjectInfo) -> Self {
        Self {
            etag: quoted(&info.etag),
            name: info.name.to_string(),
            size: info.size,
            content_type: info.content_type.as_str().to_owned(),
            last_modified: info.last_modified,
        }
    }
}

/// A page of objects, by the bytes of their names.
#[derive(Debug, Object)]
pub(crate) struct ObjectList {
    /// The objects.
    objects: Vec<ObjectBody>,
    /// Where the next page starts; none on the last.
    #[oai(skip_serializing_if_is_none)]
    next_cursor: Option<String>,
}

/// The names of a dataset's objects.
#[derive(Debug, Object)]
pub(crate) struct ObjectNames {
    /// The dataset.
    bucket: String,
    /// All of its objects, by the bytes of their names.
    objects: Vec<String>,
}

/// [`ObjectNames`], sent as they are read.
pub(crate) struct AllNames(Body);

impl IntoResponse for AllNames {
    fn into_response(self) -> Response {
        Response::builder().content_type("application/json").body(self.0)
    }
}

impl ApiResponse for AllNames {
    fn meta() -> MetaResponses {
        let content =
            vec![MetaMediaType { content_type: "application/json", schema: Json::<ObjectNames>::schema_ref() }];
        let response =
            MetaResponse { description: "", status: Some(200), status_range: None, content, headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        ObjectNames::register(registry);
    }
}

/// What a page is asked for by.
pub(super) struct PageQuery {
    pub(super) prefix: Option<String>,
    pub(super) limit: Option<i64>,
    pub(super) cursor: Option<String>,
}

/// A page and the `Link` to the next one.
pub(super) async fn page(
    datasets: &Datasets,
    caller: &Caller,
    project: &ProjectId,
    dataset: &DatasetName,
    asked: PageQuery,
) -> ApiResult<(ObjectList, Option<String>)> {
    let limit = number("limit", asked.limit, 1..=1000, 1000)?;
    let after = asked.cursor.as_deref().map(cursor).transpose()?;
    let prefix = asked.prefix.unwrap_or_default();
    // One more than asked for tells whether there is a next page.
    let query = ObjectQuery { prefix, after, limit: limit + 1 };
    let mut found = datasets.objects(caller, project, dataset, &query).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.name.as_str()));
    let link = next.as_ref().map(|next| {
        let prefix = match query.prefix.as_str() {
            "" => String::new(),
            prefix => format!("&prefix={}", percent_encoded(prefix)),
        };
        format!("</projects/{project}/datasets/{dataset}?limit={limit}&cursor={next}{prefix}>; rel=\"next\"")
    });
    Ok((ObjectList { objects: found.into_iter().map(Into::into).collect(), next_cursor: next }, link))
}

fn cursor(text: &str) -> ApiResult<ObjectName> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|name| ObjectName::parse(&name).ok());
    name.ok_or_else(|| ApiError::out_of_range("cursor is the next_cursor of an earlier page"))
}

/// All names, read while they are sent.
pub(super) async fn names(
    datasets: Arc<Datasets>,
    caller: Caller,
    project: ProjectId,
    dataset: DatasetName,
) -> ApiResult<AllNames> {
    let query = ObjectQuery { limit: ALL_AT_A_TIME, ..ObjectQuery::default() };
    // A failure before the first names is an answer of its own.
    let first = datasets.objects(&caller, &project, &dataset, &query).await?;
    let mut head = format!("{{\"bucket\":{},\"objects\":[", Value::from(dataset.as_str()));
    write(&mut head, &first, true);
    let state = Some((first, query, head));
    let chunks = futures_util::stream::unfold(state, move |state| {
        let (datasets, caller, project, dataset) =
            (Arc::clone(&datasets), caller.clone(), project.clone(), dataset.clone());
        async move {
            let (page, mut query, mut text) = state?;
            if page.len() < ALL_AT_A_TIME as usize {
                text.push_str("]}");
                return Some((Ok(Bytes::from(text)), None));
            }
            query.after = page.last().map(|info| info.name.clone());
            match datasets.objects(&caller, &project, &dataset, &query).await {
                Ok(next) => {
                    let mut more = String::new();
                    write(&mut more, &next, false);
                    Some((Ok(text.into()), Some((next, query, more))))
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a listing broke off");
                    Some((Err(std::io::Error::other(error)), None))
                }
            }
        }
    });
    Ok(AllNames(Body::from_bytes_stream(chunks)))
}

fn write(text: &mut String, page: &[ObjectInfo], first: bool) {
    for (index, info) in page.iter().enumerate() {
        if index > 0 || !first {
            text.push(',');
        }
        text.push_str(&Value::from(info.name.as_str()).to_string());
    }
}
